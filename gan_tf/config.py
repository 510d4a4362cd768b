"""All settings of a run in one frozen dataclass, which checks them."""

import dataclasses
import functools
import math
import operator
import os
from pathlib import Path

from gan_tf.system.errors import UserError
from gan_tf.system.files import check_name

GRID_COUNT = 16  # images in a run's grids, as in the TensorFlow tutorial
MOST_IMAGES = 1_000_000  # sampled at once: 3 GB; one zero too many would fill the memory
PRECISIONS = ("float32", "bfloat16")
DATASETS = ("fashion_mnist", "mnist", "kmnist", "synthetic")
OWN_IMAGES = "array-"  # prefix of `dataset` for images passed to `train`; their checksum follows
# Settings that belong together, for `TrainConfig(**RECIPES["best"])` and `--recipe best`: the
# assignment's, and those with the best images in docs/results.md.
RECIPES = {
    "homework": {},
    "best": {"learning_rate": 2e-4, "beta_1": 0.5, "ema_decay": 0.999},
}
# Fields of older versions, each with the value that had no effect.
_DROPPED = {"label_smoothing": 0.0, "augment": False, "update": "simultaneous"}
_MOST_NOISE = 2**16  # numbers in a noise vector; one zero too many would fill the memory


def whole_number(name: str, value, at_least: int, at_most: int | None = None) -> int:
    """Returns `value` as an int; a UserError names the argument if it is out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < at_least or (at_most is not None and number > at_most):
        limit = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
        raise UserError(f"`{name}` must be a whole number, {limit}, not {value!r}")
    return number


def folder_name(name: str, value) -> str:
    """Returns a folder's name as text; a UserError names the argument if it is not valid."""
    try:
        check_name(value)
    except (UserError, TypeError) as error:
        raise UserError(f"`{name}`: {error}") from error
    return os.fspath(value)


def _dataset(name, value) -> str:
    if isinstance(value, os.PathLike):  # a folder, though a data set may have the same name
        value = os.path.join(os.curdir, value)
    if not isinstance(value, str) or not value:
        raise UserError(f"`{name}` must be a name or a folder, not {value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"`{name}` {value!a} is not UTF-8: rename the folder") from None
    return value


def _precision(name, value) -> str:
    if value not in PRECISIONS:
        raise UserError(f"`{name}` must be one of {', '.join(PRECISIONS)}, not {value!r}")
    return value


def _flag(name, value) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"`{name}` must be True or False, not {value!r}")
    return value


def _epochs(name, values) -> tuple[int, ...]:
    try:
        values = list(values)
    except TypeError:
        raise UserError(f"`{name}` must be a list of epochs, not {values!r}") from None
    return tuple(sorted({whole_number(name, value, at_least=1) for value in values}))


def _number(name, value, is_valid, valid_values: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not is_valid(number):
        raise UserError(f"`{name}` must be {valid_values}, not {value!r}")
    return number


_count = functools.partial(whole_number, at_least=1)
_seed = functools.partial(whole_number, at_least=0, at_most=2**32 - 1)
_noise_length = functools.partial(whole_number, at_least=1, at_most=_MOST_NOISE)
_share = functools.partial(
    _number,
    is_valid=lambda number: 0 <= number < 1,
    valid_values="a number from 0 to below 1",
)
_positive = functools.partial(
    _number,
    is_valid=lambda number: 2**-149 <= number <= 2**128 - 2**104,
    valid_values="a finite float32 number above 0",
)


def _choice(default, help: str, check, decides_numbers: bool = True):
    """A field of `TrainConfig`.

    Args:
      default: the value if none is given.
      help: a description for `--help`.
      check: function of the name and a value, not called for a default of None; returns the value
        to keep, or raises a UserError.
      decides_numbers: whether a run must be resumed with the same value.
    """
    metadata = {"help": help, "check": check, "decides_numbers": decides_numbers}
    return dataclasses.field(default=default, metadata=metadata)


# A run may be resumed with another value of these.
_changeable_choice = functools.partial(_choice, decides_numbers=False)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run; the defaults reproduce the assignment.

    Each field is also a flag of `python train.py`. Everything random in a run follows from `seed`.

    Raises:
      UserError: a value is out of range or of the wrong type; the text names the argument.
    """

    epochs: int = _changeable_choice(50, "passes over the training images", _count)
    batch_size: int = _choice(
        64, "images per training step; the assignment asks for 16, 32 or 64", _count
    )
    learning_rate: float = _choice(
        1e-4, "Adam's learning rate, the same for both networks", _positive
    )
    seed: int = _choice(0, "seed of all random numbers of the run", _seed)
    latent_dim: int = _choice(100, "length of the generator's noise vector", _noise_length)
    dataset: str = _choice(
        "fashion_mnist",
        f"training images: {', '.join(DATASETS)}, another data set of TFDS with images of 28 x 28 x"
        " 1, or a folder of pictures",
        _dataset,
    )
    invert: bool = _choice(False, "turn images that are dark on white into light on black", _flag)
    data_dir: str | None = _changeable_choice(
        None, "folder of the prepared TFDS data (default: that of TFDS)", folder_name
    )
    manual_dir: str | None = _changeable_choice(
        None,
        "folder with the original files of the data set, if they are already downloaded",
        folder_name,
    )
    max_images: int | None = _choice(
        None, "train only on the first N images, for a quick try", _count
    )
    run_dir: str | None = _changeable_choice(
        None, "folder of the run (default: runs/DATASET)", folder_name
    )
    snapshot_epochs: tuple[int, ...] = _changeable_choice(
        (10, 30, 50), "epochs whose generator is kept, besides the last one", _epochs
    )
    evaluate_every: int | None = _changeable_choice(
        None, "evaluate the images after every N epochs (default: never)", _count
    )
    fast: bool = _choice(
        True, "compute convolutions with fewer operations; results are equal up to rounding", _flag
    )
    precision: str = _choice(
        "float32", f"precision of the products in convolutions: {', '.join(PRECISIONS)}", _precision
    )

    # Settings for better images than the assignment's; docs/study.md measures each of them.
    beta_1: float = _choice(
        0.9, "Adam's decay rate of the mean gradient, for both networks", _share
    )
    discriminator_learning_rate: float | None = _choice(
        None, "Adam's learning rate for the discriminator (default: --learning-rate)", _positive
    )
    ema_decay: float = _choice(
        0.0, "decay rate of an average of the generator's weights, such as 0.999; 0 is off", _share
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                value = field.metadata["check"](field.name, value)
                object.__setattr__(self, field.name, value)  # the dataclass is frozen
        if self.max_images is not None and self.batch_size > self.max_images:
            raise UserError(
                f"`batch_size` {self.batch_size} is larger than `max_images` {self.max_images}"
            )

    @property
    def has_image_folder(self) -> bool:
        """Whether `dataset` is a folder of pictures."""
        return self.dataset not in DATASETS and os.path.isdir(self.dataset)

    @property
    def has_classes(self) -> bool:
        """Whether the images have classes, which pictures or arrays of a user have not."""
        return not (self.has_image_folder or self.dataset.startswith(OWN_IMAGES))

    @property
    def run_folder(self) -> Path:
        """The folder of the run: `run_dir`, or runs/DATASET by default."""
        if self.run_dir is not None:
            return Path(self.run_dir)
        name = Path(self.dataset).resolve().name if self.has_image_folder else self.dataset
        return Path("runs", name.replace("/", "_").replace(":", "_"))

    def differences(self, other: "TrainConfig") -> list[str]:
        """Returns a text for each field that decides the numbers and differs.

        The name of a folder of pictures does not count: a run records the SHA-256 of its images.
        """
        return [
            f"`{field.name}` is {getattr(self, field.name)}, was {getattr(other, field.name)}"
            for field in dataclasses.fields(self)
            if field.metadata["decides_numbers"]
            and getattr(self, field.name) != getattr(other, field.name)
            and not (field.name == "dataset" and self.has_image_folder)
        ]


TrainConfig.__doc__ = (TrainConfig.__doc__ or "") + "\n    Attributes:\n"
for _field in dataclasses.fields(TrainConfig):
    TrainConfig.__doc__ += f"      {_field.name}: {_field.metadata['help']}.\n"


def still_known(choices: dict) -> dict:
    """Returns recorded fields of a `TrainConfig` without dropped ones that had no effect."""
    return {name: value for name, value in choices.items() if (name, value) not in _DROPPED.items()}
