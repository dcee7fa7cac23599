"""The layers of DESIGN.md: imports point down only, and the pure ones touch no I/O."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Higher layers may import lower ones; layers of one rank may not import each other.
RANKS = {
    "mersey.engine.cli": 6,
    "mersey.engine.web": 5,
    "mersey.engine.client": 5,
    "mersey.engine.runtime": 4,
    "mersey.engine.archive": 3,
    "mersey.engine.dicom": 2,
    "mersey.engine.transfer": 2,
    "mersey.codecs": 1,
    "mersey._native": 0,
}
PURE = ("mersey.codecs", "mersey.engine.dicom", "mersey.engine.transfer")
NOT_PURE = {"aiofiles", "aiohttp", "asyncio", "os", "socket", "sqlite3", "sqlalchemy", "uvloop"}


@dataclass(frozen=True, slots=True)
class Import:
    """`importer` imports `imported`, both dotted, at `line` of `path`."""

    importer: str
    imported: str
    path: Path
    line: int

    def __str__(self) -> str:
        where = self.path.relative_to(ROOT)
        return f"{where}:{self.line}: {self.importer} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(["mersey", *parts])


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """Every import, at any depth of the code; relative ones made absolute.

    ``from x import y`` counts as an import of ``x.y`` too: y may be a module.
    """
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            targets = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                targets = [first.value]
        for target in targets:
            yield Import(name, target, path, getattr(node, "lineno", 0))


def _called(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer_of(module: str) -> str | None:
    return next((layer for layer in RANKS if within(module, layer)), None)


def goes_up(found: Import) -> bool:
    """Whether an import breaks the order of the layers; `mersey.engine` itself is the top."""
    target = layer_of(found.imported)
    source = layer_of(found.importer)
    if source is None or not within(found.imported, "mersey"):
        return False
    if target is None:
        return found.imported == "mersey.engine"
    return source != target and RANKS[source] <= RANKS[target]


def breaks_purity(found: Import) -> bool:
    pure = any(within(found.importer, layer) for layer in PURE)
    return pure and any(within(found.imported, name) for name in NOT_PURE)


def takes_numba(found: Import) -> bool:
    return within(found.imported, "numba") and not within(found.importer, "mersey.codecs.kernels")


def takes_native(found: Import) -> bool:
    allowed = (
        "mersey.codecs",
        "mersey.engine.dicom",
        "mersey.engine.archive",
        "mersey.engine.transfer",
    )
    return within(found.imported, "mersey._native") and not any(
        within(found.importer, layer) for layer in allowed
    )


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    found = []
    for folder in ("engine", "codecs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += imports_of(path, path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    "rule", [goes_up, breaks_purity, takes_numba, takes_native], ids=lambda rule: rule.__name__
)
def test_no_import_breaks_the_rule(imports: list[Import], rule) -> None:
    broken = [str(found) for found in imports if rule(found)]
    assert not broken, "\n".join(broken)


def test_every_module_of_the_engine_has_a_layer() -> None:
    for path in (ROOT / "engine").rglob("*.py"):
        if path.parent != ROOT / "engine":
            assert layer_of(module_name(path)) is not None, path


@pytest.mark.parametrize(
    ("rule", "file", "source"),
    [
        (goes_up, "engine/dicom/x.py", "from ..runtime import pool"),
        (goes_up, "engine/dicom/x.py", "from ..transfer.body import Body"),
        (goes_up, "engine/web/x.py", "from ..client import pull"),
        (goes_up, "codecs/x.py", "import mersey.engine.dicom.tags"),
        (goes_up, "codecs/x.py", "from .. import engine"),
        (goes_up, "engine/archive/__init__.py", "def f():\n    from ..runtime.plan import Job"),
        (goes_up, "codecs/x.py", "import_module('mersey.engine.cli.main')"),
        (breaks_purity, "codecs/x.py", "from os import path"),
        (breaks_purity, "engine/transfer/x.py", "def f():\n    import asyncio.tasks"),
        (takes_numba, "codecs/x.py", "from numba import njit"),
        (takes_native, "engine/runtime/x.py", "from ..._native import scan"),
        (takes_native, "engine/runtime/x.py", "from ... import _native"),
    ],
)
def test_the_rules_see_what_they_forbid(rule, file: str, source: str) -> None:
    assert any(rule(found) for found in imports_of(ROOT / file, source))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("engine/web/x.py", "from ..runtime.pool import WorkerPool\nimport asyncio"),
        ("engine/dicom/x.py", "from ...codecs.errors import DicomError\nfrom ..._native import x"),
        ("engine/dicom/x.py", "from .tags import name\nfrom . import tags"),
        ("codecs/kernels/x.py", "from numba import njit\nfrom ..pixels import PixelFormat"),
        ("engine/__init__.py", "from .runtime.transcode import transcode_file"),
    ],
)
def test_the_rules_let_through_what_is_allowed(file: str, source: str) -> None:
    rules = (goes_up, breaks_purity, takes_numba, takes_native)
    found = list(imports_of(ROOT / file, source))
    assert found
    assert not any(rule(one) for rule in rules for one in found)


def test_codecs_is_a_namespace_folder() -> None:
    """A regular package named codecs could shadow the standard library's."""
    assert not (ROOT / "codecs" / "__init__.py").exists()
    assert not [folder for folder in (ROOT / "tests").rglob("codecs") if folder.is_dir()]


def test_the_error_tree_exports_every_error() -> None:
    from mersey.codecs import errors

    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert sorted(errors.__all__) == sorted(defined)
    assert all(issubclass(getattr(errors, name), errors.MerseyError) for name in errors.__all__)


def test_starting_the_command_line_imports_no_heavy_package() -> None:
    heavy = {"aiohttp", "imagecodecs", "numba", "numpy", "pydicom", "sqlalchemy", "uvicorn"}
    program = f"import sys, mersey.engine.cli.main; print(*sorted({heavy} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
