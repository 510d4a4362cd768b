import hashlib
import json

import numpy as np
import pytest
from helpers import contents

from gan_tf import UserError, images, load_pretrained, load_snapshot
from gan_tf.export import write_weights


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "weights" / "small.npz"
    write_weights(small_run, path, epoch=2, commit="abc")
    return path


def difference(samples, others):
    """The largest difference between two arrays of images in [-1, 1], in grey levels of 255."""
    return np.abs(images.to_uint8(samples).astype(int) - images.to_uint8(others)).max()


def test_an_export_draws_what_its_run_draws_within_one_grey_level(small_run, exported):
    run, alone = load_snapshot(small_run, epoch=2), load_pretrained(exported)
    assert difference(alone.sample(300, seed=4), run.sample(300, seed=4)) <= 1
    assert difference(alone.sample_training_noise(), run.sample_training_noise()) <= 1
    other_epoch = load_snapshot(small_run, epoch=3).sample(300, seed=4)
    assert difference(alone.sample(300, seed=4), other_epoch) > 1


def test_an_export_says_where_it_comes_from(small_run, exported):
    record = json.loads(exported.with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert record["commit"] == "abc" and record["epoch"] == 2
    of_run = json.loads((small_run / "config.json").read_text())
    del of_run["format"]  # of a run's folder
    assert {name: record[name] for name in of_run} == of_run


def test_an_export_can_be_made_again_byte_for_byte(small_run, exported, tmp_path):
    write_weights(small_run, tmp_path / "small.npz", epoch=2, commit="abc")
    assert contents(tmp_path) == contents(exported.parent)


def test_an_export_needs_a_name_and_an_epoch_that_fit(small_run, tmp_path):
    with pytest.raises(UserError, match="`path` .*weights.json must end in .npz"):
        write_weights(small_run, tmp_path / "weights.json", epoch=2, commit="abc")
    with pytest.raises(UserError, match="epoch 7; `epoch` may be: 1, 2, 3"):
        write_weights(small_run, tmp_path / "small.npz", epoch=7, commit="abc")
    assert contents(tmp_path) == {}
