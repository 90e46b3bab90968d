"""What comes in from outside: nothing that runs code out of data, nothing private of other packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sarzip

MODULES = sorted(Path(sarzip.__file__).parent.rglob("*.py"))
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "compile", "__import__"}


def others(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(package, name) of whatever is imported from, or taken as an attribute of, another package."""
    packages: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                packages[name.asname or name.name.partition(".")[0]] = name.name
                yield name.name, name.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, f"{node.module}.{name.name}") for name in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in packages:
                yield packages[root.id], node.attr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_data_never_runs(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert not {package.partition(".")[0] for package, _ in others(tree)} & RUNS_CODE
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & CALLS
    keywords = {word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords}
    assert "allow_pickle" not in keywords and "shell" not in keywords


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_private_of_other_packages(path):
    private = {
        f"{package}: {name}"
        for package, name in others(ast.parse(path.read_text("utf-8")))
        if not package.startswith(("sarzip", "_typeshed", "__future__"))
        and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    }
    # The one way to end a process at once that Python has; a question to torch, whose range has an upper end.
    assert private - {"os: _exit", "torch: _is_mkldnn_bf16_supported"} == set()
