"""What this server can do, as OpenAPI in JSON (PS3.18 §8.9)."""

from __future__ import annotations

from typing import Any

from .requests import ROOT

__all__ = ["describe_capabilities"]

_JSON = "application/dicom+json"
_FRAMES = (
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="image/jphc"',
    "application/octet-stream",
    "image/jphc",
    "image/jp2",
    "image/jls",
    "image/jpeg",
    "image/dicom-rle",
)
_SEVERAL = ('multipart/related; type="application/dicom"', "application/zip")
_OBJECTS = (*_SEVERAL, "application/dicom")
_PICTURES = (
    "image/jpeg",
    "image/png",
    'multipart/related; type="image/jpeg"',
    'multipart/related; type="image/png"',
)
_STORED = (
    _SEVERAL[0],
    "application/dicom",
    'multipart/related; type="application/dicom+json"',
)
_PROGRESSIVE = ('multipart/related; type="application/json"',)
_BULK = ("application/octet-stream", 'multipart/related; type="application/octet-stream"')


def describe_capabilities(*, version: str) -> dict[str, Any]:
    """The OpenAPI description of the service."""
    study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{instance}"
    one = f"{study}{series}{instance}"
    paths = {
        "/studies": ("Search for studies", (_JSON,)),
        "/series": ("Search for series", (_JSON,)),
        "/instances": ("Search for instances", (_JSON,)),
        f"{study}/series": ("Search for the series of a study", (_JSON,)),
        f"{study}/instances": ("Search for the instances of a study", (_JSON,)),
        f"{study}{series}/instances": ("Search for the instances of a series", (_JSON,)),
        study: ("Retrieve a study", _SEVERAL),
        f"{study}{series}": ("Retrieve a series", _SEVERAL),
        one: ("Retrieve an instance", _OBJECTS),
        f"{study}{series}/progressive": (
            "Retrieve the frames of a series, low resolution first; order, until, Range",
            _PROGRESSIVE,
        ),
        f"{one}/progressive": (
            "Retrieve the frames of an instance, low resolution first; order, until, Range",
            _PROGRESSIVE,
        ),
        f"{study}/metadata": ("Retrieve the metadata of a study", (_JSON,)),
        f"{study}{series}/metadata": ("Retrieve the metadata of a series", (_JSON,)),
        f"{one}/metadata": ("Retrieve the metadata of an instance", (_JSON,)),
        f"{one}/frames/{{frames}}": ("Retrieve frames; Range, fsiz, reduce", _FRAMES),
        f"{one}/frames/{{frames}}/rendered": ("Retrieve pictures of frames", _PICTURES),
        f"{one}/frames/{{frames}}/thumbnail": (
            "Retrieve a small picture of a frame",
            _PICTURES[:2],
        ),
        f"{one}/rendered": ("Retrieve pictures of an instance", _PICTURES),
        f"{one}/thumbnail": ("Retrieve a small picture of an instance", _PICTURES[:2]),
        f"{study}{series}/rendered": ("Retrieve pictures of a series", _PICTURES),
        f"{study}{series}/thumbnail": ("Retrieve a small picture of a series", _PICTURES[:2]),
        f"{study}/rendered": ("Retrieve pictures of a study", _PICTURES),
        f"{study}/thumbnail": ("Retrieve a small picture of a study", _PICTURES[:2]),
        f"{one}/bulkdata/{{path}}": ("Retrieve bulk data; Range", _BULK),
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Mersey DICOMweb", "version": version},
        "servers": [{"url": ROOT}],
        "paths": {
            path: {"get": _operation(path, summary, types)}
            | ({"post": _store_operation(path)} if path in ("/studies", study) else {})
            for path, (summary, types) in paths.items()
        },
    }


def _operation(path: str, summary: str, types: tuple[str, ...]) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {"200": {"description": summary, "content": {name: {} for name in types}}},
    }


def _store_operation(path: str) -> dict[str, Any]:
    """Storing instances (PS3.18 §10.5)."""
    operation = _operation(path, "Store instances", (_JSON,))
    content: dict[str, Any] = {name: {} for name in _STORED}
    operation["requestBody"] = {"required": True, "content": content}
    for status, meaning in (("202", "Some were not stored"), ("409", "None was stored")):
        operation["responses"][status] = {"description": meaning, "content": {_JSON: {}}}
    return operation
