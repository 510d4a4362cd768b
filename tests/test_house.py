"""The layers of the house: a file imports only from files below it, wherever the import stands."""

import ast
import graphlib
import re

import pytest
from helpers import ROOT, command

# From top to bottom, as in docs/CONTRIBUTING.md: each file or folder of the package.
ORDER = [
    *["__main__", "cli", "commands"],
    *["training", "recording", "benchmark", "report", "evaluation", "export", "snapshots"],
    "selection",
    *["distributed", "gan"],
    "run",
    *["models", "losses", "noise", "fast_layers", "data"],
    "minimax",
    *["__init__", "config", "system", "_version"],
]
WITHOUT_TENSORFLOW = [
    *["cli", "commands", "config", "report", "minimax.figures"],
    *[f"run.{name}" for name in ("artifacts", "rundir", "lock", "images", "plots")],
    *[f"system.{name}" for name in ("interrupts", "console", "files", "errors")],
]


def imported(path):
    """Returns what a file imports from the package: names in dots, such as run.images."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write gan_tf instead of dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {re.sub(r"^gan_tf\.?", "", name) for name in names if re.match(r"gan_tf\b", name)}


@pytest.fixture(scope="module")
def imports():
    """What each file imports, by the file's name in dots."""
    folder = ROOT / "gan_tf"
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): imported(path)
        for path in sorted(folder.rglob("*.py"))
    }


def floor(name):
    folder = name.partition(".")[0]
    return ORDER.index(folder if folder in ORDER else "__init__")  # such as __version__


def test_no_import_runs_up(imports):
    assert [name for name in imports if name.partition(".")[0] not in ORDER] == []
    found = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        if floor(other) < floor(name)
    ]
    assert found == []
    assert {"models.make_generator", "models.make_discriminator"} <= imports["gan"]


def test_no_file_imports_itself_by_way_of_others(imports):
    """Within a folder too, where the order above says nothing."""
    graph = {
        name: {file for other in others for file in imports if f"{other}.".startswith(f"{file}.")}
        for name, others in imports.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_what_needs_no_tensorflow_imports_none():
    """And the minimax game needs NumPy alone, but for its figures."""
    heavy = ["tensorflow", "keras", "tensorflow_datasets", "scipy"]
    modules = ", ".join(f"gan_tf.{name}" for name in WITHOUT_TENSORFLOW)
    finished = command(
        "-c",
        "import sys, gan_tf.minimax.answers\n"
        f"print(sys.modules.keys() & {{'matplotlib', 'PIL', *{heavy}}})\n"
        f"import {modules}\n"
        f"print(sys.modules.keys() & {heavy})",
    )
    assert (finished.stdout, finished.stderr) == ("set()\nset()\n", "")
