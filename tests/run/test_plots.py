import imageio.v3 as imageio

from gan_tf.run.plots import plot_loss_curves, write_loss_curves


def history(generator, discriminator):
    columns = "epoch", "generator_loss", "discriminator_loss"
    spread = {"generator_loss_std": 0.0, "discriminator_loss_std": 0.0}
    epochs = range(1, len(generator) + 1)
    return [dict(zip(columns, row)) | spread for row in zip(epochs, generator, discriminator)]


def test_both_curves_are_drawn_over_all_epochs_with_marks_where_a_snapshot_is(tmp_path):
    rows = history(generator=[0.5, 1, 1.5], discriminator=[2, 1.5, 1])
    lines = plot_loss_curves(rows, marked_epochs=[2, 30]).axes[0].lines
    curves = [(line.get_color(), [*line.get_ydata()]) for line in lines if line.get_marker() == "."]
    assert curves == [("#0072b2", [2, 1.5, 1]), ("#d55e00", [0.5, 1, 1.5])]
    assert [[*line.get_xdata()] for line in lines if line.get_linestyle() == ":"] == [[2, 2]]
    write_loss_curves(tmp_path / "curves.png", rows, [2])
    assert imageio.imread(tmp_path / "curves.png").shape[:2] == (576, 960)


def test_one_epoch_is_one_point_at_epoch_1():
    axes = plot_loss_curves(history(generator=[0.5], discriminator=[1])).axes[0]
    assert [[*line.get_xdata()] for line in axes.lines if line.get_marker() == "."] == [[1], [1]]
    assert [*axes.get_xticks()] == [1]
