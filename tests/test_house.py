"""The house stands as the README draws it."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "attribution"
MODULE = re.compile(r"[a-z_]+(?:/|\.py)")


def drawn() -> list[str]:
    """Modules in the order of the README's figure, as paths inside the package."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    figure = text.split("## The house", 1)[1].split("```", 2)[1]
    inside = figure.split("\nattribution/\n", 1)[1]
    paths, folder = [], ""
    for line in inside.splitlines():
        if not line.startswith("  "):
            break
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip(), maxsplit=1)[0]
        folder = folder if indent > 2 else ""
        for name in MODULE.findall(names):
            if name.endswith("/"):
                folder = name
            elif name != "__init__.py":
                paths.append(folder + name)
    return paths


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, packages apart."""
    return {dotted(path): path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, for types only too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively; write the whole name"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importers(package: str) -> set[str]:
    """Files of the package and the pages that import ``package``."""
    files = [*PACKAGE.rglob("*.py"), ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(name.split(".")[0] == package for name in imports(path))
    }


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git work tree: what is committed cannot be listed")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_figure_names_every_module_once():
    named = [dotted(PACKAGE / path) for path in drawn()]
    assert sorted(named) == sorted(modules())


def test_a_module_imports_only_what_stands_above_it():
    order = {dotted(PACKAGE / path): place for place, path in enumerate(drawn())}
    wrong = [
        f"{name} imports {other}, which stands below it"
        for name, path in modules().items()
        for other in imports(path) & set(order)
        if order[other] >= order[name]
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_posterior_imports_pymc():
    assert importers("pymc") | importers("nutpie") <= {"attribution/model/posterior.py"}


def test_only_the_workbench_and_the_pages_import_streamlit():
    outside = {path for path in importers("streamlit") if not path.startswith(("attribution/workbench/", "pages/"))}
    assert outside <= {"app.py"}


def test_no_room_is_for_anything():
    rooms = {part for path in PACKAGE.rglob("*") for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not rooms & {"utils", "util", "helpers", "helper", "common", "base", "types", "misc", "core", "lib"}


def test_modules_and_functions_have_the_size_of_one_thing():
    long = []
    for name, path in modules().items():
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > 400:
            long.append(f"{name} has {lines} lines; 400 is the limit")
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        long += [f"{name}.{f.name} has {length(f)} lines; 50 is the limit" for f in functions if length(f) > 50]
    assert not long, "\n".join(long)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's statements: neither its signature nor its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # pyright: ignore[reportOptionalOperand]


def test_nothing_committed_names_a_machine_or_a_registry():
    paths = re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "root", "home", "opt", "Users"]) + r")/\w")
    hosts = re.compile(
        "|".join(re.escape(".".join(h)) for h in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org")))
    )
    named = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        named += [
            f"{path.relative_to(ROOT)}:{number}: {match.group()}"
            for number, line in enumerate(text.splitlines(), 1)
            if (match := paths.search(line) or hosts.search(line))
        ]
    assert not named, "\n".join(named)


def test_the_lock_is_universal_hashed_and_without_addresses():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^([\w.\-\[\]]+)==", text, flags=re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[\w.\-\[\]]+==[^\n]*\\\n    --hash=sha256:", text, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *(w for x in extras for w in x),
    ]
    assert {re.split(r"[^\w\-]", requirement)[0] for requirement in wanted} <= {pin.split("[")[0] for pin in pins}
