"""Each health rule finds the run with its illness, and nothing in the published runs."""

import shutil

import pytest
from helpers import ILL_RUNS, ROOT

from gan_tf.report import findings, read_run, story


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


def test_epochs_in_words():
    assert story.epochs_as_text([7]) == "epoch 7"
    assert story.epochs_as_text([21, 28, 42, 43]) == "epochs 21, 28, 42 to 43"
    assert story.epochs_as_text([1, 2, 3]) == "epochs 1 to 3"
