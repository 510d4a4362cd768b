"""Each health rule finds the run with its illness, and nothing in the published runs."""

import dataclasses
import shutil

import pytest
from helpers import ILL_RUNS, ROOT
from make_published_page import read_published_run

from gan_tf.report import findings, read_run, rules, signals, story
from gan_tf.report.health import examined

PROBABILITIES = ("real_probability", "fake_probability")


def ill(name):
    return read_run(ILL_RUNS / name)


def evaluated(rows):
    """A long run of 40 epochs with these evaluations: epoch and numbers of each."""
    run = ill("swinging")
    long = [row | {"seconds": 100.0, "images_per_second": 600.0} for row in run.history]
    rows = [{"epoch": epoch, "unclaimed_share": 0.2, **numbers} for epoch, numbers in rows]
    return dataclasses.replace(run, history=long, evaluation=rows)


def test_the_published_run_is_sound_and_has_three_spikes(tmp_path):
    found, not_found, unknown = examined(read_published_run(tmp_path))
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
    "name, expected",
    [
        ("high_learning_rate", ["divergence"]),
        ("low_learning_rate", ["nothing_learnt"]),
        ("fast_discriminator", ["imbalance"]),
        ("slow_discriminator", ["imbalance"]),
        ("fast_generator", ["collapse"]),
        ("swinging", ["short_training", "loss_spikes"]),
        ("one_epoch", ["too_early"]),
        ("tiny_data_set", ["too_early"]),
    ],
)
def test_what_is_found_in_a_real_run(name, expected):
    found = findings(ill(name))
    assert [finding.rule for finding in found] == expected
    assert story.verdict(found)[0] == ("alarm" if len(expected) == 1 else "advice") or (
        expected == ["too_early"]
    )


@pytest.mark.parametrize("name", ["fast_discriminator", "slow_discriminator", "fast_generator"])
def test_a_fault_that_is_easing_is_no_alarm(name):
    """A network catches up, or the images have become more varied."""
    run = ill(name)
    third_last = run.history[-3]
    nearer = {column: 0.5 + 0.8 * (third_last[column] - 0.5) for column in PROBABILITIES}
    last = run.last | nearer | {"variety": 1.1 * third_last["variety"]}
    run = dataclasses.replace(run, history=[*run.history[:-1], last])
    assert findings(run)[0].title.endswith(", but less so than before")
    assert {finding.level for finding in findings(run)} <= {"advice", "note"}


def test_variety_is_measured_by_that_of_the_training_images():
    """The variety of some leaves is 0.45: for them 0.2 is enough, and 0.1 is too little."""

    def found(made, real):
        run = ill("swinging")
        return rules.collapse(
            dataclasses.replace(
                run,
                config=run.config | {"dataset": "leaves"},
                environment=run.environment | real,
                history=[row | {"variety": made} for row in run.history],
            )
        )

    assert found(0.1, {"real_variety": 0.45}).epochs == [37, 38, 39, 40]
    assert found(0.2, {"real_variety": 0.45}) is None
    assert found(0.2, {}) == rules.UNKNOWN


def test_missing_classes_are_named():
    fair = {f"share_{index}": 0.1 for index in range(10)}
    assert rules.missing_classes(evaluated([(40, fair)])) is None
    collapsed = fair | {"share_5": 0.009, "share_8": 0.0}
    assert "sandal and bag" in rules.missing_classes(evaluated([(40, collapsed)])).text
    noise = rules.missing_classes(evaluated([(40, collapsed | {"unclaimed_share": 0.7})]))
    assert "70% of the images belong to no class" in noise.text and "bag" not in noise.text


def test_a_quality_that_still_improves():
    def found(*distances):
        return rules.short_training(
            evaluated((10 * n, {"fcd": fcd}) for n, fcd in enumerate(distances, 1))
        )

    assert (
        "is 3 in the last evaluated epoch; the lowest before that is 4"
        in found(9.0, 5.0, 4.0, 3.0).text
    )
    assert found(9.0, 5.0, 3.0, 3.1) is None
    assert found(9.0, 5.0, 3.0, 2.95) is None
    assert found(9.0, 5.0, 3.0) is None  # too few to judge


def test_epochs_in_words():
    assert signals.epochs_as_text([7]) == "epoch 7"
    assert signals.epochs_as_text([21, 28, 42, 43]) == "epochs 21, 28, 42 to 43"
    assert signals.epochs_as_text([1, 2, 3]) == "epochs 1 to 3"
