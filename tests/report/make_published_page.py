"""Regenerates docs/report.html from the published run in docs/results.

python tests/report/make_published_page.py
"""

import shutil
import tempfile
from pathlib import Path

import imageio.v3 as imageio

from gan_tf.report import Run, read_run, write_report
from gan_tf.run.images import write_png
from gan_tf.run.rundir import RunDir

DOCS = Path(__file__).resolve().parents[2] / "docs"
_SIDE = 366  # pixels of a grid in training.gif, whose frames have captions below it


def published_run(folder) -> Path:
    """Restores the published run in a folder; the frames of its animation become its grids."""
    run = RunDir(Path(folder, "fashion_mnist"))
    run.samples.mkdir(parents=True)
    for name in ("config.json", "history.csv"):
        shutil.copy(DOCS / "results" / name, run.path)
    for epoch, frame in enumerate(imageio.imread(DOCS / "results" / "training.gif"), 1):
        write_png(run.sample_path(epoch), frame[:_SIDE, :_SIDE])
    return run.path


def read_published_run(folder) -> Run:
    """Returns the published run as a report reads it."""
    return read_run(published_run(folder))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(write_report(published_run(folder), DOCS / "report.html"))
