"""What is installed: the namespace, the stub of the native module, wheel and sdist."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import mersey
import mersey._native
import pytest

ROOT = Path(__file__).resolve().parents[1]
STUB = ROOT / "native" / "_native.pyi"


def public(names: object) -> set[str]:
    return {name for name in names if not name.startswith("_")}  # type: ignore[attr-defined]


def test_mersey_is_a_namespace() -> None:
    assert not hasattr(mersey, "__file__")


def test_the_stub_names_what_the_native_module_has() -> None:
    stub = ast.parse(STUB.read_text(encoding="utf-8"))
    defined = {node.name: node for node in stub.body if hasattr(node, "name")}
    assert public(defined) == public(dir(mersey._native))
    for name, node in defined.items():
        if isinstance(node, ast.ClassDef):
            members = {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
            assert public(members) == public(dir(getattr(mersey._native, name)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", folder, ROOT])
    return folder


def run(command: list[object]) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_wheel_holds_the_packages_and_their_types(built: Path) -> None:
    names = set(zipfile.ZipFile(one(built, "*.whl")).namelist())
    for folder in ("engine", "codecs"):
        sources = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert {f"mersey/{path.as_posix()}" for path in sources} <= names
        assert f"mersey/{folder}/py.typed" in names
    assert {"mersey/_native.pyi", "mersey/py.typed"} <= names
    assert any(name.startswith("mersey/_native.") and name.endswith(".so") for name in names)
    assert not {name for name in names if name.startswith(("engine/", "codecs/", "tests/"))}
    assert not names & {"mersey/__init__.py", "mersey/codecs/__init__.py"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_sdist_holds_what_a_build_needs(built: Path) -> None:
    with tarfile.open(one(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "native/CMakeLists.txt"} <= names
    assert not {name for name in names if name.startswith((".venv", "build/", "demo/", "tests/"))}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_wheel_works_in_an_environment_of_its_own(built: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment; they come from no registry again."""
    run([sys.executable, "-m", "venv", tmp_path / "venv"])
    python = tmp_path / "venv" / "bin" / "python"
    run([python, "-m", "pip", "install", "-q", "--no-deps", one(built, "*.whl")])
    site = Path(pytest.__file__).parents[1]
    link = one(tmp_path / "venv" / "lib", "python*/site-packages") / "dependencies.pth"
    program = (
        "import mersey._native, mersey.codecs.codestream as c, mersey.engine.cli.main\n"
        "print(mersey._native.__file__, c.__file__)"
    )
    link.write_text(f"import sys; sys.path.append({str(site)!r})\n")
    places = run([python, "-c", program]).split()
    assert all(Path(place).is_relative_to(tmp_path) for place in places), places
