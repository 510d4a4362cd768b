"""Makes docs/report.html again, from what docs/results holds of the published run.

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
_SIDE = 366  # of a grid, in the frames of training.gif above their captions


def published_run(folder) -> Path:
    """Lays out the published run in a folder: its grids come from the animation's frames."""
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
