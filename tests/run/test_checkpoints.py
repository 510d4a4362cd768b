import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers import contents, flip_a_bit, remove, truncate

from gan_tf import RunFailed, TrainConfig, UserError
from gan_tf.gan import Gan
from gan_tf.models import make_generator
from gan_tf.run import checkpoints
from gan_tf.run.rundir import RunDir


class State:
    """A `Gan` with random numbers in every variable."""

    def __init__(self, seed, latent_dim=4, **further):
        self.gan = Gan(TrainConfig(latent_dim=latent_dim))
        self.checkpoint = self.gan.checkpoint(**further)
        self.fill(seed)

    def fill(self, seed):
        random = np.random.default_rng(seed)
        for variable in self.variables():
            values = random.integers(0, 100, variable.shape)
            variable.assign(values.astype(variable.dtype.as_numpy_dtype))

    def variables(self):
        gan = self.gan
        networks = gan.generator, gan.discriminator  # including the seeds of Dropout
        parts = *networks, gan.generator_optimizer, gan.discriminator_optimizer
        keras_variables = [variable.value for part in parts for variable in part.variables]
        return [gan.step, gan.fixed_noise, *keras_variables]

    def values(self):
        return [variable.numpy().copy() for variable in self.variables()]


def assert_equal(values, expected):
    assert len(values) == len(expected)
    for value, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run folder with the checkpoints of steps 9 and 10, and their values, newest first."""
    run = RunDir(tmp_path_factory.mktemp("run"))
    state = State(seed=1)
    older = state.values()
    checkpoints.save(state.checkpoint, run, 9)
    state.fill(seed=2)
    checkpoints.save(state.checkpoint, run, 10)
    return run.path, state.values(), older


@pytest.fixture
def run(saved, tmp_path):
    """A copy of that folder."""
    return RunDir(shutil.copytree(saved[0], tmp_path / "run"))


@pytest.fixture(scope="module")
def _state():
    return State(seed=3)


@pytest.fixture
def state(_state):
    """The object that checkpoints are restored into, with fresh values."""
    _state.fill(seed=3)
    return _state


def test_every_variable_comes_back_in_fresh_objects(saved, run, state):
    """TensorFlow's own state file is not read."""
    (run.checkpoints / "checkpoint").write_text('model_checkpoint_path: "ckpt-99"\n')
    types = (tf.int64, tf.uint32)  # of a seed, in newer and in older versions of Keras
    whole = [variable for variable in state.variables() if variable.dtype in types]
    assert sum(variable.shape == [2] for variable in whole) == 2  # the seeds of the Dropout layers
    assert checkpoints.restore_newest(state.checkpoint, run) == 10
    assert_equal(state.values(), saved[1])


def test_where_there_is_nothing_to_lose_a_run_starts_afresh(tmp_path, state):
    """In an empty folder, or after a kill in the very first save."""
    before = state.values()
    run = RunDir(tmp_path)
    assert checkpoints.restore_newest(state.checkpoint, run) is None
    assert_equal(state.values(), before)
    checkpoints.save(state.checkpoint, run, 0)
    truncate(run.checkpoint_path(0).with_suffix(".index"))
    assert checkpoints.restore_newest(state.checkpoint, run) is None


@pytest.mark.parametrize(
    "part, damage",
    [
        ("index", truncate),
        ("index", remove),
        ("data-00000-of-00001", flip_a_bit),
        ("data-00000-of-00001", remove),
    ],
)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(saved, run, state, part, damage):
    damage(run.checkpoints / f"ckpt-10.{part}")
    with pytest.warns(UserWarning, match="ckpt-10 cannot be read, resuming from ckpt-9"):
        assert checkpoints.restore_newest(state.checkpoint, run) == 9
    assert_equal(state.values(), saved[2])


@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_a_flipped_bit_anywhere_never_gives_other_numbers(saved, run, state, random_choices):
    """If the bit is in a place that is not read, the checkpoint is restored as it was saved."""
    for _ in range(3):
        path = run.checkpoints / random_choices.choice(
            ["ckpt-10.index", "ckpt-10.data-00000-of-00001"]
        )
        place = random_choices.randrange(path.stat().st_size)
        print(f"flipped: bit 0 of byte {place} of {path.name}")
        flip_a_bit(path, place)
        step = checkpoints.restore_newest(state.checkpoint, run)
        assert_equal(state.values(), saved[1] if step == 10 else saved[2])
        flip_a_bit(path, place)


def test_the_newest_two_readable_ones_are_kept(run, state):
    for path in run.checkpoints.glob("ckpt-10.*"):
        shutil.copy(path, run.checkpoints / path.name.replace("10", "15"))
    truncate(run.checkpoints / "ckpt-15.index")
    with pytest.warns(UserWarning, match="ckpt-15 cannot be read, resuming from ckpt-10"):
        checkpoints.restore_newest(state.checkpoint, run)
    checkpoints.save(state.checkpoint, run, 11)
    kept = {path.stem for path in run.checkpoints.glob("*.index")}
    assert kept == {"ckpt-10", "ckpt-11", "ckpt-15"}


def test_where_none_can_be_read_there_is_no_fresh_start(run, state):
    for path in run.checkpoints.glob("*.data-*"):
        truncate(path)
    folder = re.escape(str(run.checkpoints))
    with pytest.raises(UserError, match=f"{folder} can be read .*ckpt-10.*ckpt-9.*`overwrite`"):
        checkpoints.restore_newest(state.checkpoint, run)


@pytest.mark.parametrize(
    "layout",
    [
        lambda: State(3, quality=tf.Variable(0.0)).checkpoint,  # one more variable
        lambda: State(3, latent_dim=5).checkpoint,
    ],
)
def test_another_layout_is_named_as_such_and_never_as_damaged(run, layout):
    """A user might delete a healthy run that is called damaged."""
    before = contents(run.path)
    with pytest.raises(UserError) as refused:
        checkpoints.restore_newest(layout(), run)
    message = str(refused.value)
    assert "ckpt-10 is whole, but holds other variables" in message
    assert str(run.config_path) in message and "\n" not in message
    for word in ["damaged", "cannot be read", "overwrite", "copy"]:
        assert word not in message
    assert contents(run.path) == before


def test_a_snapshot_and_a_checkpoint_both_give_their_generator(tmp_path, state):
    run = RunDir(tmp_path)
    gan = state.gan
    checkpoints.save_snapshot(run, 1, gan.generators, gan.fixed_noise)
    checkpoints.save(state.checkpoint, run, 5)
    for path in [run.snapshot_path(1), run.checkpoint_path(5)]:
        generator, noise = make_generator(4), tf.Variable(tf.zeros([16, 4]))
        checkpoints.restore_snapshot(path, {"generator": generator}, noise)
        np.testing.assert_array_equal(noise, gan.fixed_noise)
        for value, expected in zip(generator.variables, gan.generator.variables, strict=True):
            np.testing.assert_array_equal(value, expected)
    with pytest.raises(UserError, match="epoch_0001"):
        checkpoints.restore_snapshot(run.snapshot_path(1), {"generator": make_generator(5)}, noise)


def test_nothing_is_saved_into_a_run_that_was_moved(tmp_path, state):
    run = RunDir(tmp_path / "run")
    with run.locked():
        run.path.rename(tmp_path / "moved")
        run.path.mkdir()
        for save in [
            lambda: checkpoints.save(state.checkpoint, run, 5),
            lambda: checkpoints.save_snapshot(run, 1, state.gan.generators, state.gan.fixed_noise),
        ]:
            with pytest.raises(RunFailed, match="was moved"):
                save()
    assert contents(run.path) == {}
