"""Each health rule finds the run with its illness, and nothing in the published runs."""

import dataclasses
import shutil

import pytest
from helpers import ILL_RUNS, ROOT

from gan_tf.report import Run, findings, read_run, rules, signals, story
from gan_tf.report.health import examined


def test_the_published_run_is_sound_and_has_three_spikes(published):
    found, not_found, unknown = examined(published)
    (spikes,) = found
    assert (spikes.rule, spikes.level, spikes.epochs) == ("loss_spikes", "note", [21, 28, 42, 43])
    assert "epochs 21 (1.238), 28 (1.263), 42 (1.037) and 43 (1.229)" in spikes.text
    assert unknown == ["missing classes"] and len(not_found) == len(rules.RULES) - 2
    assert story.verdict(found)[0] == "sound"


def test_its_other_seed_is_sound(tmp_path):
    results = ROOT / "docs" / "results"
    shutil.copy(results / "seed_1" / "history.csv", tmp_path)
    config = (results / "config.json").read_text()
    config = config.replace('"epochs": 50', '"epochs": 10').replace('"seed": 0', '"seed": 1')
    (tmp_path / "config.json").write_text(config)
    assert findings(read_run(tmp_path)) == []


@pytest.mark.parametrize(
    "name, rules, level",
    [
        ("high_learning_rate", ["divergence"], "alarm"),
        ("low_learning_rate", ["nothing_learnt"], "alarm"),
        ("fast_discriminator", ["imbalance"], "alarm"),
        ("slow_discriminator", ["imbalance"], "alarm"),
        ("fast_generator", ["collapse"], "alarm"),
        ("swinging", ["short_training", "loss_spikes"], "advice"),
        ("one_epoch", ["too_early"], "advice"),
        ("tiny_data_set", ["too_early"], "advice"),
    ],
)
def test_what_is_found_in_a_real_run(name, rules, level):
    found = findings(read_run(ILL_RUNS / name))
    assert [finding.rule for finding in found] == rules
    assert story.verdict(found)[0] == level


@pytest.mark.parametrize(
    "gap, ratio, found", [(0.049, 1.09, True), (0.051, 1.09, False), (0.049, 1.11, False)]
)
def test_nothing_is_learnt_if_neither_gap_nor_loss_changes(swinging, gap, ratio, found):
    row = {"real_probability": 0.5, "fake_probability": 0.5 + gap}
    losses = [1.0, *[ratio] * 39]
    history = [
        before | row | {"generator_loss": loss} for before, loss in zip(swinging.history, losses)
    ]
    run = dataclasses.replace(swinging, history=history)
    assert (rules.nothing_learnt(run) is not None) == found


@pytest.mark.parametrize("name", ["fast_discriminator", "slow_discriminator", "fast_generator"])
def test_a_fault_that_is_easing_is_no_alarm(name):
    """A network catches up, or the images have become more varied."""
    run = read_run(ILL_RUNS / name)
    third_last = run.history[-3]
    nearer = {
        column: 0.5 + 0.8 * (third_last[column] - 0.5)
        for column in ("real_probability", "fake_probability")
    }
    last = run.last | nearer | {"variety": 1.1 * third_last["variety"]}
    run = dataclasses.replace(run, history=[*run.history[:-1], last])
    assert findings(run)[0].title.endswith(", but less so than before")
    assert {finding.level for finding in findings(run)} <= {"advice", "note"}


def test_epochs_in_words():
    assert signals.epochs_as_text([7]) == "epoch 7"
    assert signals.epochs_as_text([21, 28, 42, 43]) == "epochs 21, 28, 42 to 43"
    assert signals.epochs_as_text([1, 2, 3]) == "epochs 1 to 3"


@pytest.mark.parametrize(
    "epochs, first",
    [(2, None), (3, 1), (4, 2), (29, 27), (39, 37), (40, 37), (49, 46), (50, 46), (60, 55)],
)
def test_the_latest_epochs_are_the_last_tenth_but_at_least_three(epochs, first):
    rows = [{"epoch": epoch} for epoch in range(1, epochs + 1)]
    expected = [] if first is None else rows[first - 1 :]
    assert signals.latest(Run("run", {}, {}, rows, [], {})) == expected
