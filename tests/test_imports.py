"""What may import what: no cycles, and a trainer that needs neither Ray nor nltk."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "pipeline", "model", "jobs")
ALLOWED = {
    "schemas": set(),
    "pipeline": {"schemas"},
    "model": {"schemas"},
    "jobs": {"schemas", "pipeline", "model"},
}
HEAVY = {"torch", "ray", "nltk", "sentencepiece", "tokenizers", "webdataset", "numba"}


def modules_of(package: str) -> list[str]:
    files = [path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.with_suffix("").parts) for path in files if path.stem != "__init__"]


def loaded_by(modules: list[str]) -> set[str]:
    """Names of `HEAVY` loaded in a fresh interpreter by importing `modules`."""
    code = (
        f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


def test_pipeline_loads_neither_torch_nor_ray() -> None:
    assert not loaded_by(modules_of("pipeline")) & {"torch", "ray"}


def test_model_and_trainer_load_neither_ray_nor_nltk_nor_a_tokenizer() -> None:
    trainer = ["jobs.train", "jobs.heldout", "pipeline.stream"]
    assert loaded_by(modules_of("model") + trainer) == {"torch"}


def test_the_stream_loads_nothing_heavy() -> None:
    assert loaded_by(["pipeline.stream"]) == set()


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert loaded_by(["jobs.cli"]) == set()


def imports_of(path: Path) -> set[str]:
    """Everything imported anywhere in a file: modules, and what is taken from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_stands_before_them(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        ours = {name.split(".")[0] for name in imports_of(path)} & set(PACKAGES)
        assert ours <= ALLOWED[package] | {package}, path


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_form_no_cycle(package: str) -> None:
    files = {name: ROOT / f"{name.replace('.', '/')}.py" for name in modules_of(package)}
    edges = {name: imports_of(path) & files.keys() for name, path in files.items()}
    while leaves := [name for name, targets in edges.items() if not targets & edges.keys()]:
        for name in leaves:
            del edges[name]
    assert not edges


@pytest.mark.parametrize("package", PACKAGES)
def test_package_files_hold_a_docstring_and_no_imports(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        assert len(tree.body) == 1, path


def test_only_jobs_print_or_read_arguments() -> None:
    for package in ("schemas", "pipeline", "model"):
        for path in (ROOT / package).rglob("*.py"):
            calls = {
                node.func.id
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not calls & {"print", "input", "eval", "exec"}, path
            assert not imports_of(path) & {"pickle", "argparse", "click", "rich"}, path
