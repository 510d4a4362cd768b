import numpy as np
import pytest

from gan_tf import UserError, load_pretrained, sample_class
from gan_tf.data.classifier import SHIPPED, read_classifier
from gan_tf.run.images import ZOOM, make_grid, read_png, to_uint8


def test_images_of_a_class_are_selected_from_those_of_sample(tmp_path, in_process):
    snapshot = load_pretrained()
    all_images = snapshot.sample(256, seed=3)
    _, labels = read_classifier(SHIPPED)(all_images)
    for name, label in [("trousers", 1), ("boot", 9), ("shirt", 6)]:
        images, sampled = sample_class(snapshot, name, count=5, seed=3)
        indices = np.flatnonzero(labels == label)[:5]
        np.testing.assert_array_equal(images, all_images[indices])
        assert sampled == indices[-1] + 1  # no more images than necessary
    flags = ["--class=shirt", "--count=5", "--seed=3", f"--output={tmp_path / 'shirts.png'}"]
    finished = in_process("sample", "--pretrained", *flags)
    chosen = f" 5 images from epoch 50 of the pretrained run (homework), chosen from {sampled}\n"
    assert finished.stdout.endswith(chosen)
    np.testing.assert_array_equal(
        read_png(tmp_path / "shirts.png"), make_grid(to_uint8(images), ZOOM)
    )


def test_an_unknown_or_ambiguous_class_is_refused_with_all_names():
    for name in ["hat", "", "s"]:
        with pytest.raises(UserError, match="the class must be one of T-shirt/top, Trouser, .*"):
            sample_class(load_pretrained(), name)


@pytest.mark.campaign
def test_a_class_that_is_hardly_generated_is_reported():
    snapshot = load_pretrained()
    for weight in snapshot.generator.layers[-1].weights:
        weight.assign(0 * weight)  # grey images only
    with pytest.raises(UserError, match=r"only 0 of 5\d\d\d images belong to it.*another epoch"):
        sample_class(snapshot, "trouser")
