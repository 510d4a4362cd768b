"""What docs/results publishes of a real run, and what the text tells of it."""

import math
import re
import statistics

import imageio.v3 as imageio
import numpy as np
from helpers import ROOT

from gan_tf.rundir import RunDir

RESULTS = ROOT / "docs" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = ROOT / "docs" / "results.md"  # where it is, the numbers of the run have moved there
SECTION = (
    PAGE.read_text(encoding="utf-8")
    if PAGE.exists()
    else README.partition("## What 50 epochs make")[2].partition("\n## ")[0]
)


def test_the_text_quotes_the_history_of_the_published_run():
    """Every number with three decimals in its section stands in a published history.csv."""
    rows = RunDir(RESULTS).read_history(at_least=50)
    rows_of_both = rows + RunDir(RESULTS / "seed_1").read_history(at_least=10)
    known = {f"{value:.3f}" for row in rows_of_both for value in row.values()}
    quoted = set(re.findall(r"\d+\.\d{3}\b", SECTION))
    assert len(quoted) > 10
    assert quoted <= known | {f"{math.log(2):.3f}", f"{math.log(4):.3f}"}
    end = rows[-1]
    losses = f"generator {end['generator_loss']:.3f}, discriminator {end['discriminator_loss']:.3f}"
    assert losses in SECTION
    assert f"{statistics.median(row['seconds'] for row in rows):.1f} s (median)" in SECTION


def test_the_text_quotes_how_far_two_seeds_differ():
    rows = RunDir(RESULTS).read_history(), RunDir(RESULTS / "seed_1").read_history(at_least=10)
    for network in ["generator", "discriminator"]:
        losses = [[row[f"{network}_loss"] for row in run[:10]] for run in rows]
        assert f"{np.abs(np.subtract(*losses)).max():.2f} ({network})" in SECTION


def test_the_animation_shows_the_published_grids_and_is_small():
    assert (RESULTS / "training.gif").stat().st_size < 3e6
    frames = imageio.imread(RESULTS / "training.gif")
    assert len(frames) == 50
    for epoch in [10, 30, 50]:
        grid = imageio.imread(RESULTS / f"epoch_{epoch:04}.png")
        frame = frames[epoch - 1][: grid.shape[0]]
        np.testing.assert_array_equal(frame.reshape(*grid.shape, -1)[..., 0], grid)
