import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import refusal

from gan_tf import TrainConfig, UserError, evaluate_snapshot, load_pretrained, sample_class
from gan_tf.config import OWN_IMAGES
from gan_tf.data.classifier import SHIPPED, read_classifier
from gan_tf.noise import generate, make_noise
from gan_tf.selection import BATCH, Selection


@pytest.fixture(scope="module", autouse=True)
def few_generated_images():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_tf.selection._REFERENCE_BATCHES", 2)
        patch.setattr("gan_tf.selection._DIRECTIONS", 2)
        yield


@pytest.fixture(scope="module")
def snapshot():
    return load_pretrained("best")


def test_the_change_is_the_squared_norm_of_the_jacobian(random_choices):
    """For a linear generator, the Jacobian is its matrix."""
    random = np.random.default_rng(random_choices.randrange(2**32))
    matrix = random.normal(0, 0.01, [100, 784]).astype(np.float32)

    def generator(noise, training):
        return tf.reshape(tf.matmul(noise, matrix), [-1, 28, 28, 1])

    selection = Selection(generator, TrainConfig(dataset=f"{OWN_IMAGES}0123456789abcdef"))
    noise = make_noise(BATCH, 100, seed=7, index=0)
    change = selection._change(noise, generator(noise, training=False).numpy())
    directions = [np.roll(noise, shift, axis=0) for shift in (1, 2)]
    exact = np.mean([np.sum((each @ matrix) ** 2, axis=1) for each in directions], axis=0)
    np.testing.assert_allclose(change, exact, rtol=0.01)
    assert np.mean(change) == pytest.approx(np.sum(matrix**2), rel=0.1)


def test_the_images_of_each_class_that_change_least_are_kept(snapshot):
    selection, classifier = snapshot._selection, read_classifier(SHIPPED)
    kept, changes, labels = [], [], []
    for index in range(2):
        noise = make_noise(BATCH, snapshot.config.latent_dim, seed=5, index=index)
        images = generate(snapshot.generator, noise)
        kept.append(selection.keeps(noise, images, 0.6))
        changes.append(selection._change(noise, images))
        labels.append(classifier(images)[1])
    kept, changes, labels = map(np.concatenate, (kept, changes, labels))
    assert np.mean(kept) == pytest.approx(0.6, abs=0.07)
    for label in range(10):
        of_class = labels == label
        assert np.mean(kept[of_class]) == pytest.approx(0.6, abs=0.25)
        assert changes[of_class & kept].max() <= changes[of_class & ~kept].min()


def test_kept_images_depend_on_the_seed_and_not_on_the_count(snapshot):
    first, indices = next(snapshot.batches(seed=3, keep=0.5))
    assert len(first) == len(indices) and np.all(np.diff(indices) > 0)
    everything = snapshot.sample(BATCH, seed=3)
    np.testing.assert_array_equal(everything[indices], first)
    images = snapshot.sample(len(first) + 1, seed=3, keep=0.5)
    np.testing.assert_array_equal(images[:-1], first)
    np.testing.assert_array_equal(snapshot.sample(BATCH, seed=3, keep=1), everything)


def test_pictures_without_classes_are_compared_within_clusters(snapshot):
    config = dataclasses.replace(snapshot.config, dataset=f"{OWN_IMAGES}0123456789abcdef")
    own = dataclasses.replace(snapshot, config=config)
    images, indices = next(own.batches(seed=3, keep=0.5))
    assert len(indices) == pytest.approx(BATCH / 2, abs=25)
    np.testing.assert_array_equal(images, snapshot.sample(BATCH, seed=3)[indices])


def test_a_class_is_selected_from_the_kept_images(snapshot):
    images, sampled = sample_class(snapshot, "boot", count=5, seed=3, keep=0.5)
    kept, indices = next(snapshot.batches(seed=3, keep=0.5))
    boots = np.flatnonzero(read_classifier(SHIPPED)(kept)[1] == 9)[:5]
    np.testing.assert_array_equal(images, kept[boots])
    assert sampled == indices[boots[-1]] + 1


def test_the_command_reports_how_many_were_sampled(tmp_path, in_process, snapshot):
    output = tmp_path / "kept.npy"
    flags = ["--keep=0.6", "--count=20", "--seed=3", f"--output={output}"]
    finished = in_process("sample", "--pretrained=best", *flags)
    assert (finished.returncode, finished.stderr) == (0, "")
    (sampled,) = re.findall(r": 20 images from epoch 50 .*, chosen from (\d+)\n", finished.stdout)
    images, indices = next(snapshot.batches(seed=3, keep=0.6))
    np.testing.assert_array_equal(np.load(output), images[:20])
    assert int(sampled) == indices[19] + 1


def test_a_share_out_of_range_is_refused(snapshot):
    for keep in [0, 0.04, 1.01, float("nan"), "all", None]:
        with pytest.raises(UserError, match="`keep` must be a number from 0.05 to 1, not"):
            snapshot.sample(3, keep=keep)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sample", "--pretrained", "--keep", "2"], "--keep must be a number from 0.05 to 1"),
        (["sample", "--pretrained", "--keep=0.5", "--training-noise"], "drop .*--keep"),
        (["evaluate", "--images=x.npy", "--keep=0.5"], "drop .*--keep"),
    ],
)
def test_keep_is_refused_where_it_has_no_meaning(in_process, arguments, message):
    assert re.search(message, refusal(*arguments, run=in_process))


@pytest.mark.real_data
@pytest.mark.campaign
def test_fewer_kept_images_are_claimed_by_no_class(real_references, monkeypatch):
    """As in docs/evaluation.md, which has 10,000 images."""
    monkeypatch.setattr("gan_tf.selection._DIRECTIONS", 4)
    snapshot = load_pretrained("best")
    monkeypatch.setattr("gan_tf.evaluation.evaluate.load_references", lambda _: real_references)
    everything, kept = (evaluate_snapshot(snapshot, 2000, keep=keep) for keep in (1, 0.6))
    assert kept["unclaimed_share"] < 0.09 < 0.11 < everything["unclaimed_share"]
    assert kept["fcd"] < 1.2 * everything["fcd"]
    assert kept["density"] > everything["density"]
    assert kept["keep"] == 0.6 and kept["sampled"] == pytest.approx(2000 / 0.6, rel=0.1)
    assert kept["variety"] == pytest.approx(everything["variety"], abs=0.05)
