"""Each rule of health fires on a run that has the illness, and is silent on the published ones."""

import dataclasses
import shutil

import pytest
from helpers import ROOT

from gan_tf.report import findings, read_run, rules, signals, story
from gan_tf.report.health import absent, epochs_as_text

ILL_RUNS = ROOT / "tests" / "report" / "ill_runs"
EVERY_RULE = (*rules.RULES, *rules.RULES_OF_SOUND_RUNS)
# How the published generator's classes are shared out, with what a collapse onto two would do.
FAIR = {f"share_{index}": 0.1 for index in range(10)}


def ill(name):
    return read_run(ILL_RUNS / name)


def shortened(run, epochs):
    grids = {epoch: grid for epoch, grid in run.grids.items() if epoch <= epochs}
    return dataclasses.replace(run, history=run.history[:epochs], grids=grids)


@pytest.fixture(params=["published", "seed_1"])
def sound(request, tmp_path):
    """A run with the defaults: its config, its history, and the grids that are in docs/results."""
    results = ROOT / "docs" / "results"
    folder = results if request.param == "published" else results / "seed_1"
    shutil.copy(folder / "history.csv", tmp_path)
    config = (results / "config.json").read_text()
    if request.param == "seed_1":
        config = config.replace('"epochs": 50', '"epochs": 10').replace('"seed": 0', '"seed": 1')
    (tmp_path / "config.json").write_text(config)
    if request.param == "published":
        (tmp_path / "samples").mkdir()
        for grid in results.glob("epoch_*.png"):
            shutil.copy(grid, tmp_path / "samples")
    return read_run(tmp_path)


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_it_is_silent_on_a_sound_run(rule, sound):
    assert rule(sound) is None


def test_a_sound_run_is_called_so(sound):
    assert findings(sound) == []
    assert story.verdict([])[0] == "sound"


@pytest.mark.parametrize(
    "rule, name, level",
    [
        (rules.learning_rate_too_high, "high_learning_rate", "alarm"),
        (rules.discriminator_winning, "fast_discriminator", "alarm"),
        (rules.generator_winning, "tiny_data_set", "alarm"),
        (rules.collapse, "high_learning_rate", "alarm"),
        (rules.stopped_early, "one_epoch", "advice"),
        (rules.few_images, "tiny_data_set", "advice"),
        (rules.oscillation, "swinging", "advice"),
        (rules.still_improving, "swinging", "advice"),
        (rules.spikes, "swinging", "advice"),
    ],
)
def test_it_fires_on_the_run_with_the_illness(rule, name, level):
    run = ill(name)
    finding = rule(run)
    assert (finding.rule, finding.level) == (rule.__name__, level)
    assert finding.title and finding.text and finding.advice
    assert set(finding.epochs) <= set(run.column("epoch"))
    assert finding in findings(run) or any(other.level == "alarm" for other in findings(run))


def test_a_class_that_is_not_drawn_is_named():
    row = {"epoch": 40, "fcd": 1.0, **FAIR}
    run = dataclasses.replace(ill("swinging"), evaluation=[row])
    assert rules.missing_class(run) is None
    collapsed = dataclasses.replace(run, evaluation=[row | {"share_5": 0.009, "share_8": 0.0}])
    assert "sandal and bag" in rules.missing_class(collapsed).text


def test_a_run_that_was_stopped_is_not_finished():
    finding = rules.unfinished(shortened(ill("swinging"), 12))
    assert finding.epochs == [12] and "12 of 40 epochs" in finding.text
    assert rules.unfinished(ill("swinging")) is None


def test_one_player_that_was_ahead_for_a_time_is_a_note():
    finding = rules.discriminator_winning(ill("swinging"))
    assert finding.level == "note" and finding.epochs[-1] < 40


def test_a_quality_that_still_improves():
    def evaluated(*distances):
        rows = [{"epoch": 10 * n, "fcd": fcd} for n, fcd in enumerate(distances, 1)]
        return dataclasses.replace(ill("swinging"), evaluation=rows)

    assert rules.still_improving(evaluated(9.0, 5.0, 4.0, 3.0)).epochs == [40]
    assert rules.still_improving(evaluated(9.0, 5.0, 3.0, 3.1)) is None
    assert rules.still_improving(evaluated(9.0, 5.0, 3.0, 2.95)) is None


def test_a_first_try_of_a_few_steps_is_no_alarm():
    assert rules.collapse(ill("one_epoch")).level == "advice"


@pytest.mark.parametrize("name", sorted(path.name for path in ILL_RUNS.iterdir()))
def test_every_rule_is_told_of_once(name):
    run = ill(name)
    found = findings(run)
    not_found, not_asked = absent(run, found)
    told = [finding.rule.replace("_", " ") for finding in found] + not_found + not_asked
    assert sorted(told) == sorted(rule.__name__.replace("_", " ") for rule in EVERY_RULE)
    levels = [list(rules.LEVELS).index(finding.level) for finding in found]
    assert levels == sorted(levels)


def test_turning_points_of_a_known_curve(swinging):
    losses = [1, 2, 4, 3, 2, 2, 5, 5]
    rows = [{"epoch": n, "generator_loss": loss} for n, loss in enumerate(losses, 1)]
    run = dataclasses.replace(swinging, history=rows)
    assert [row["epoch"] for row in signals.turning_points(run, 1.3)] == [1, 3, 5, 8]


@pytest.mark.parametrize(
    "epochs, text",
    [
        ([], "the whole run"),
        ([7], "epoch 7"),
        ([21, 28, 42, 43], "epochs 21, 28, 42 to 43"),
        ([1, 2, 3], "epochs 1 to 3"),
    ],
)
def test_epochs_in_words(epochs, text):
    assert epochs_as_text(epochs) == text
