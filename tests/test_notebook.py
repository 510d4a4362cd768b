import json
import subprocess
import sys

import pytest
from helpers import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "first_steps.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_was_saved_as_it_ran_from_top_to_bottom():
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [
        output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"
    ]


@pytest.mark.campaign
def test_the_notebooks_code_runs_in_an_empty_folder_without_network(tmp_path):
    """As plain Python, as it has no magics, and with an eighth of the images to save time."""
    code = "\n\n".join(CODE)
    assert code.count("max_images=1280,") == 1
    (tmp_path / "cells.py").write_text(code.replace("=1280,", "=160,"), encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "cells.py"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.py", "first_steps"]
    assert (tmp_path / "first_steps" / "boots.png").exists()
