import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers import flip_a_bit, remove, truncate

from gan_tf import UserError, checkpoints
from gan_tf.models import make_discriminator, make_generator


class State:
    """Two networks and two optimizers with random numbers in every variable."""

    def __init__(self, seed, latent_dim=4):
        self.generator, self.discriminator = make_generator(latent_dim), make_discriminator()
        self.step = tf.Variable(0, dtype=tf.int64)
        self.checkpoint = checkpoints.training_checkpoint(
            self.generator,
            self.discriminator,
            tf.keras.optimizers.Adam(1e-4),
            tf.keras.optimizers.Adam(1e-4),
            step=self.step,
        )
        random = np.random.default_rng(seed)
        for variable in self.variables():
            values = random.integers(0, 100, variable.shape)
            variable.assign(values.astype(variable.dtype.as_numpy_dtype))

    def variables(self):
        optimizers = [self.checkpoint.generator_optimizer, self.checkpoint.discriminator_optimizer]
        keras_variables = (
            *self.generator.variables,  # with Dropout's seeds, which Keras counts among them
            *self.discriminator.variables,
            *optimizers[0].variables,
            *optimizers[1].variables,
        )
        return [self.step, *(variable.value for variable in keras_variables)]

    def values(self):
        return [variable.numpy().copy() for variable in self.variables()]


def assert_equal(values, expected):
    assert len(values) == len(expected)
    for value, other in zip(values, expected):
        np.testing.assert_array_equal(value, other)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoints of steps 9 and 10, and what they hold, newest first."""
    folder = tmp_path_factory.mktemp("checkpoints")
    older, newer = State(seed=1), State(seed=2)
    checkpoints.save(older.checkpoint, folder, 9)
    checkpoints.save(newer.checkpoint, folder, 10)
    return folder, newer.values(), older.values()


def test_every_variable_comes_back_in_fresh_objects(saved):
    folder, newer, _ = saved
    state = State(seed=3)
    whole = [variable for variable in state.variables() if variable.dtype == tf.int64]
    assert sum(variable.shape == [2] for variable in whole) == 2  # the seeds of the Dropout layers
    assert checkpoints.restore_newest(state.checkpoint, folder) == 10
    assert_equal(state.values(), newer)


def test_an_empty_folder_restores_nothing(tmp_path):
    state = State(seed=1)
    before = state.values()
    assert checkpoints.restore_newest(state.checkpoint, tmp_path) is None
    assert checkpoints.restore_newest(state.checkpoint, tmp_path / "missing") is None
    assert_equal(state.values(), before)


def test_the_newest_two_are_kept(tmp_path):
    state = State(seed=1)
    for step in [8, 9, 10, 11]:
        checkpoints.save(state.checkpoint, tmp_path, step)
    assert {name.split(".")[0] for name in os.listdir(tmp_path)} == {"ckpt-10", "ckpt-11"}
    assert checkpoints.newest(tmp_path) == tmp_path / "ckpt-11"


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, remove])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(saved, tmp_path, part, damage):
    folder, _, older = saved
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / f"ckpt-10.{part}")
    state = State(seed=3)
    with pytest.warns(UserWarning, match="ckpt-10 cannot be read"):
        assert checkpoints.restore_newest(state.checkpoint, tmp_path) == 9
    assert_equal(state.values(), older)


def test_a_damaged_checkpoint_is_none_of_the_two_that_are_kept(saved, tmp_path):
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("ckpt-10.*"):
        shutil.copy(path, tmp_path / path.name.replace("10", "15"))
    truncate(tmp_path / "ckpt-15.index")
    state = State(seed=3)
    with pytest.warns(UserWarning, match="ckpt-15 cannot be read, going on from ckpt-10"):
        checkpoints.restore_newest(state.checkpoint, tmp_path)
    checkpoints.save(state.checkpoint, tmp_path, 11)
    assert {path.stem for path in tmp_path.glob("*.index")} == {"ckpt-10", "ckpt-11", "ckpt-15"}


def test_where_none_can_be_read_there_is_no_fresh_start(saved, tmp_path):
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("*.data-*"):
        truncate(path)
    with pytest.raises(UserError, match=f"{tmp_path} can be read .*ckpt-10.*ckpt-9.*--overwrite"):
        checkpoints.restore_newest(State(seed=3).checkpoint, tmp_path)


def test_a_snapshot_and_a_checkpoint_both_give_their_generator(tmp_path):
    state = State(seed=1)
    noise = tf.Variable(tf.random.stateless_normal([3, 4], [0, 0]))
    checkpoints.save_snapshot(tmp_path / "epoch_0001", state.generator, noise)
    generator, read_noise = make_generator(4), tf.Variable(tf.zeros([3, 4]))
    checkpoints.restore_snapshot(tmp_path / "epoch_0001", generator, read_noise)
    np.testing.assert_array_equal(read_noise, noise)
    for value, expected in zip(generator.variables, state.generator.variables, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_snapshot_of_another_generator_is_refused(tmp_path):
    noise = tf.Variable(tf.zeros([3, 4]))
    checkpoints.save_snapshot(tmp_path / "epoch_0001", make_generator(4), noise)
    with pytest.raises(UserError, match="epoch_0001"):
        checkpoints.restore_snapshot(tmp_path / "epoch_0001", make_generator(5), noise)
