"""What docs/results publishes, and what docs/results.md and docs/study.md quote of it."""

import csv
import math
import re
import statistics

import imageio.v3 as imageio
import numpy as np
from helpers import ROOT

from gan_tf.run.rundir import RunDir

RESULTS = ROOT / "docs" / "results"
PAGE, STUDY = (  # each paragraph in one line
    re.sub(" *\n *(?=[^|#\n-])", " ", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    for name in ("results.md", "study.md")
)


def test_the_page_quotes_the_history_of_the_published_run():
    """Every number with three decimals on it stands in a published history.csv."""
    rows = RunDir(RESULTS).read_history(at_least=50)
    other_rows = RunDir(RESULTS / "seed_1").read_history(at_least=10)
    known = {f"{value:.3f}" for row in rows + other_rows for value in row.values()}
    quoted = set(re.findall(r"\d+\.\d{3}\b", re.sub("`[^`]*`", "", PAGE)))  # but for flags
    assert len(quoted) > 10
    assert quoted <= known | {f"{math.log(2):.3f}", f"{math.log(4):.3f}"}
    end = rows[-1]
    losses = f"generator {end['generator_loss']:.3f}, discriminator {end['discriminator_loss']:.3f}"
    assert losses in PAGE
    assert f"{statistics.median(row['seconds'] for row in rows):.1f} s (median)" in PAGE
    for network in ["generator", "discriminator"]:  # how far two seeds differ
        one, other = ([row[f"{network}_loss"] for row in run[:10]] for run in (rows, other_rows))
        assert f"{np.abs(np.subtract(one, other)).max():.2f} ({network})" in PAGE


def test_the_animation_shows_the_published_grids_and_is_small():
    assert (RESULTS / "training.gif").stat().st_size < 3e6
    frames = imageio.imread(RESULTS / "training.gif")
    assert len(frames) == 50
    for epoch in [10, 30, 50]:
        grid = imageio.imread(RESULTS / f"epoch_{epoch:04}.png")
        frame = frames[epoch - 1][: grid.shape[0]]
        np.testing.assert_array_equal(frame.reshape(*grid.shape, -1)[..., 0], grid)


def read_study(name):
    with open(RESULTS / "study" / f"{name}.csv", encoding="utf-8", newline="") as table:
        return {int(row["epoch"]): row for row in csv.DictReader(table)}


def quoted(row, name):
    value = float(row[name])
    return f"{100 * value:.0f} %" if name == "unclaimed_share" else f"{value:.2f}"


def test_the_table_of_the_recipes_quotes_what_was_evaluated():
    """Fréchet distance, unclaimed share and coverage, of each recipe's epochs."""
    runs = [read_study(name) for name in ["default_0", "best_0"]]
    section = PAGE.partition("## Better images")[2].partition("## The clock")[0]
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", section, re.MULTILINE)
    assert len(rows) >= 10
    names = ["fcd", "unclaimed_share", "coverage"]
    for epoch, cells in rows:
        expected = [quoted(run[int(epoch)], name) for name in names for run in runs]
        assert [cell.strip() for cell in cells.split("|")] == expected


def test_the_table_of_the_choices_quotes_what_was_evaluated():
    runs = {
        "default, seed 0": "default_0",
        "default, seed 1": "default_1",
        "`--beta-1 0.5`, seed 0": "beta_1_0.5",
        "and `--ema-decay 0.999`, seed 1: best": "best_1",
        "the same, seed 0: best": "best_0",
        "best, seed 0": "best_0",
        "best, seed 1": "best_1",
        "nothing, seed 0": "best_0",
        "nothing, seed 1": "best_1",
        "nothing, seed 0, longer": "best_0",
        "nothing, seed 1, longer": "best_1",
        "images shifted and cut out": "best_augment",
        "`--discriminator-learning-rate 1e-4`": "best_discriminator_rate_1e-4",
        "`--discriminator-learning-rate 4e-4`": "best_discriminator_rate_4e-4",
        "one-sided label smoothing, 0.1": "best_label_smoothing_0.1",
        "one-sided label smoothing, longer": "best_label_smoothing_0.1",
    }
    found = 0
    for what, epoch, *cells in re.findall(r"^\| (.+?) \| (\d+) \|(.*)\|.*\|$", STUDY, re.MULTILINE):
        if what in runs:
            row = read_study(runs[what])[int(epoch)]
            names = ["fcd", "kid", "density", "coverage", "unclaimed_share"]
            expected = [quoted(row, name) for name in names]
            assert [cell.strip() for cell in cells[0].split("|")] == expected, what
            found += 1
    assert found == 17
