import imageio.v3 as imageio
import numpy as np

from gan_tf.run.plots import plot_loss_curves, write_loss_curves

VERMILION = np.array([0xD5, 0x5E, 0x00])
BLUE = np.array([0x00, 0x72, 0xB2])


def history(generator, discriminator):
    return [
        {
            "epoch": epoch,
            "generator_loss": g,
            "generator_loss_std": 0.0,
            "discriminator_loss": d,
            "discriminator_loss_std": 0.0,
        }
        for epoch, (g, d) in enumerate(zip(generator, discriminator), start=1)
    ]


def rows_of(picture, colour):
    """The mean pixel row of a colour in the left and in the right part of the axes."""
    rows, columns = np.nonzero((picture[..., :3] == colour).all(axis=-1))
    middle = picture.shape[1] // 2
    return rows[columns < middle].mean(), rows[columns > middle].mean()


def test_both_curves_are_drawn_over_all_epochs(tmp_path):
    path = tmp_path / "curves.png"
    write_loss_curves(path, history(generator=[0.5, 1, 1.5], discriminator=[2, 1.5, 1]), [2, 30])
    picture = imageio.imread(path)
    assert picture.shape[:2] == (576, 960)
    left, right = rows_of(picture, BLUE)
    assert left < right  # the discriminator's loss falls: row 0 is at the top


def test_one_epoch_is_one_point_at_epoch_1(tmp_path):
    rows = history(generator=[0.5], discriminator=[1])
    write_loss_curves(tmp_path / "curves.png", rows, [])
    assert (imageio.imread(tmp_path / "curves.png")[..., :3] == VERMILION).all(axis=-1).any()
    assert list(plot_loss_curves(rows).axes[0].get_xticks()) == [1]


def test_marks_are_drawn_for_epochs_that_were_reached(tmp_path):
    rows = history(generator=[1] * 12, discriminator=[1] * 12)
    pictures = []
    for marks in [[], [30], [10]]:
        write_loss_curves(tmp_path / "curves.png", rows, marks)
        pictures.append(imageio.imread(tmp_path / "curves.png"))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()
