"""The order of the house: imports run downwards, without circles; modules are short; rooms have faces."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sarzip

PACKAGE = Path(sarzip.__file__).parent
FLOORS = (
    ("errors", "version"),
    ("grid", "native", "system", "kinds", "measure", "picture"),
    ("container", "simulate"),
    ("codec", "raster"),
    ("pipeline", "report"),
    ("usecases", "training"),
    ("batch", "bench", "integrations"),
    ("cli",),
    ("__main__", "__init__"),
)
"""Rooms from the ground up. A room may use those below, and others of its floor as long as none uses it."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_LINES = 400
FACES = sorted(PACKAGE.rglob("__init__.py"))


def modules() -> dict[str, ast.Module]:
    """Every module by its dotted name; of packages without `__init__`."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text("utf-8"))
    return found


def imported(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules of sarzip that a module names, within functions and for types, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name if name in known else node.module for name in inner)


def room(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def test_imports_run_downwards() -> None:
    trees = modules()
    rooms: dict[str, set[str]] = {}
    upward = []
    for name, tree in trees.items():
        for other in imported(tree, set(trees)):
            if room(other) != room(name):
                rooms.setdefault(room(name), set()).add(room(other))
                if FLOOR[room(other)] > FLOOR[room(name)]:
                    upward.append(f"{name} -> {other}")
    assert not upward
    list(TopologicalSorter(rooms).static_order())  # raises CycleError and names the circle
    assert set(FLOOR) == {room(name) for name in trees}


def test_modules_do_not_import_in_circles() -> None:
    """What is imported while a module loads; a face imports its own modules, which do not import the face."""
    trees = modules()
    graph = {}
    for name, tree in trees.items():
        top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        graph[name] = {other for other in imported(top, set(trees)) if other != name}
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.parent.name)
def test_every_room_has_a_face(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert len(text) > 40 and "TODO" not in text


def test_modules_are_read_in_a_sitting() -> None:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.c"), *Path(__file__).parent.rglob("*.py")]
    long = {
        path.name: lines
        for path in files
        if (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_only_the_command_line_speaks_of_options():
    """Messages name `parameters`; cli.render.dashed makes options of them."""
    command = re.compile(r"(?<![\w-])--[a-z]")
    own = ("native/build_backend.py", "bench/codecs.py", "training/loop.py")  # they run other programs
    found = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "cli" not in path.relative_to(PACKAGE).parts and not str(path).endswith(own)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and command.search(node.value)
        if not re.search(r"rio calc|with: rio|--not-masked|dask worker|--resources", node.value)
    }
    assert not found
