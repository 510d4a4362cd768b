import numpy as np
import pytest

from gan_tf import UserError, load_pretrained, sample_class
from gan_tf.data.classifier import SHIPPED, read_classifier


@pytest.mark.parametrize("name, label", [("trousers", 1), ("boot", 9), ("shirt", 6)])
def test_images_of_a_class_are_chosen_from_what_is_drawn(name, label):
    snapshot = load_pretrained()
    images, drawn = sample_class(snapshot, name, count=5, seed=3)
    assert images.shape == (5, 28, 28, 1)
    all_drawn = snapshot.sample(drawn, seed=3)
    _, labels = read_classifier(SHIPPED)(all_drawn)
    assert labels[-1] == label and (labels == label).sum() == 5  # not one more than was needed
    np.testing.assert_allclose(images, all_drawn[labels == label], atol=1e-5)


@pytest.mark.parametrize("name", ["hat", "", "s"])
def test_a_class_that_is_not_there_or_not_clear_is_refused_with_all_names(name):
    with pytest.raises(UserError, match="the class must be one of T-shirt/top, Trouser, .*"):
        sample_class(load_pretrained(), name)


@pytest.mark.campaign
def test_a_generator_that_hardly_makes_a_class_ends_with_a_clear_word():
    snapshot = load_pretrained()
    for weight in snapshot.generator.layers[-1].weights:
        weight.assign(0 * weight)  # grey images only
    with pytest.raises(UserError, match=r"only 0 of 5\d\d\d images belong to it.*another epoch"):
        sample_class(snapshot, "trouser")


def test_the_command_says_how_many_were_drawn(tmp_path, in_process):
    output = tmp_path / "bags.png"
    asked = ["sample", "--pretrained", "--class", "bag", "--count", "4", "--output", output]
    assert (
        " 4 images from epoch 50 of the pretrained run, chosen from " in in_process(*asked).stdout
    )
    assert output.exists()
    refused = in_process("sample", "--pretrained", "--class", "hat")
    assert refused.returncode == 2 and "Ankle boot" in refused.stderr
