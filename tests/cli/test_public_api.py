"""`mersey.engine` offers its public names and imports nothing before they are used."""

from __future__ import annotations

import subprocess
import sys

import mersey.engine
import pytest


@pytest.mark.parametrize("name", mersey.engine.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(mersey.engine, name).__name__ == name


def test_the_tables_agree() -> None:
    assert sorted(mersey.engine.__all__) == sorted(mersey.engine._HOMES)
    assert set(mersey.engine.__all__) <= set(dir(mersey.engine))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        _ = mersey.engine.Manager


@pytest.mark.parametrize("module", ["mersey.engine", "mersey.engine.cli.main"])
def test_importing_it_imports_nothing_heavy(module: str) -> None:
    heavy = [
        "numpy",
        "numba",
        "pydicom",
        "imagecodecs",
        "ojph",
        "sqlalchemy",
        "starlette",
        "asyncio",
        "rich",
    ]
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & set({heavy})))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
