"""The layers of the house: a file imports only from files below it, wherever the import stands."""

import ast
import graphlib
from pathlib import Path

import pytest
from helpers import ROOT

# From top to bottom, one file or folder after the other, as in docs/CONTRIBUTING.md. A name that is
# not there yet is no error; a file that is not named here is.
ORDER = [
    *["__main__", "cli", "commands"],
    *["training", "recording", "benchmark", "report", "evaluation", "export", "snapshots"],
    "selection",
    *["distributed", "gan"],
    "run",
    *["models", "losses", "noise", "fast_layers", "data"],
    "minimax",
    *["config", "system", "_version"],
]
GROUND_FLOOR = {"config", "system", "_version"}
WITHOUT_TENSORFLOW = [
    *[
        "__init__",
        "__main__",
        "cli",
        "commands",
        "_version",
        "config",
        "report",
        "minimax",
    ],
    *[f"run.{name}" for name in ("artifacts", "rundir", "lock", "images", "plots")],
    *[f"system.{name}" for name in ("interrupts", "console", "files", "errors")],
]


def parsed(package):
    """Returns the syntax tree of each file of a package, by its name in dots: minimax.games."""
    trees = {}
    for path in sorted(Path(package).rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imports(name, trees, at_import_only=False):
    """Returns what a file imports: names of the package's files, and of other packages.

    Args:
      name: of the file, in dots.
      trees: as from `parsed`.
      at_import_only: leave out what is imported within functions.
    """
    if at_import_only:
        nodes = []
        waiting = list(trees[name].body)
        while waiting:
            nodes.append(node := waiting.pop())
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                waiting += ast.iter_child_nodes(node)
    else:
        nodes = ast.walk(trees[name])
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ""
            if node.level:  # from . import x, from .x import y
                folder = ["gan_tf", *name.split(".")][: -node.level]
                start = ".".join(folder) + ("." if node.module else "")
            module = start + (node.module or "")
            for alias in node.names:
                whole = f"{module}.{alias.name}".removeprefix("gan_tf.")
                is_file = whole in trees or f"{whole}.__init__" in trees
                found.add(f"gan_tf.{whole}" if is_file and module.startswith("gan_tf") else module)
    ours = set()
    for module in found:
        if module == "gan_tf" or module.startswith("gan_tf."):
            file = module.removeprefix("gan_tf").removeprefix(".")
            ours.add(f"{file}.__init__".removeprefix(".") if file not in trees else file)
        else:
            ours.add(f"({module.partition('.')[0]})")  # another package
    return ours - {name}


def arrows_up(trees, order):
    """Lists the imports that run up, and the files that have no place in the order."""
    floors = {name: floor for floor, name in enumerate(order)}
    found = []
    for name in trees:
        floor = name.partition(".")[0]
        if floor == "__init__":
            continue
        if floor not in floors:
            found.append(f"{name} has no place")
            continue
        for other in sorted(imports(name, trees)):
            above = other.partition(".")[0]
            if above == floor or above == "__init__" or other.startswith("("):
                continue  # of the same folder, or the package itself, for its version
            if above not in floors or floors[above] < floors[floor]:
                found.append(f"{name} imports {other}")
    return found


def test_no_import_runs_up():
    assert arrows_up(parsed(ROOT / "gan_tf"), ORDER) == []


def test_no_file_imports_itself_by_way_of_others():
    """Within a folder too, where the order above says nothing."""
    trees = parsed(ROOT / "gan_tf")
    graph = {
        name: {other for other in imports(name, trees) if "__init__" not in other}
        for name in trees
        if "__init__" not in name
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph) > 20


def test_the_package_itself_loads_the_ground_floor_only():
    trees = parsed(ROOT / "gan_tf")
    ours = {name for name in imports("__init__", trees) if not name.startswith("(")}
    assert {name.partition(".")[0] for name in ours} <= GROUND_FLOOR


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_importing_it_needs_no_tensorflow(name):
    trees = parsed(ROOT / "gan_tf")
    waiting = [file for file in trees if file == name or file.startswith(f"{name}.")]
    assert waiting
    seen = set()
    while waiting:
        seen.add(file := waiting.pop())
        found = imports(file, trees, at_import_only=True)
        assert found.isdisjoint({"(tensorflow)", "(keras)", "(tensorflow_datasets)"}), file
        waiting += [other for other in found if other in trees and other not in seen]


def test_minimax_needs_numpy_alone():
    """Matplotlib and Pillow for its figures."""
    trees = parsed(ROOT / "gan_tf")
    for name in [name for name in trees if name.partition(".")[0].startswith("minimax")]:
        heavy = {"(tensorflow)", "(keras)", "(tensorflow_datasets)", "(scipy)"}
        assert imports(name, trees).isdisjoint(heavy)


@pytest.mark.parametrize(
    "source, found",
    [
        ("from gan_tf import above", ["below imports above"]),
        ("from gan_tf.above import name", ["below imports above"]),
        ("import gan_tf.above", ["below imports above"]),
        ("from . import above", ["below imports above"]),
        ("from .above import name", ["below imports above"]),
        ("def late():\n    from gan_tf import above", ["below imports above"]),
        ("from gan_tf.folder.inner import name", ["below imports folder.inner"]),
        ("from gan_tf.folder import inner", ["below imports folder.inner"]),
        ("import numpy\nimport gan_tf\nfrom gan_tf import __version__", []),
    ],
)
def test_an_arrow_that_runs_up_would_be_found(tmp_path, source, found):
    (tmp_path / "folder").mkdir()
    for name in ["__init__", "above", "folder/__init__", "folder/inner"]:
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "below.py").write_text(source)
    assert arrows_up(parsed(tmp_path), ["above", "folder", "below"]) == found
    assert arrows_up(parsed(tmp_path), ["below", "above", "folder"]) == []
    assert "above has no place" in arrows_up(parsed(tmp_path), ["below", "folder"])
