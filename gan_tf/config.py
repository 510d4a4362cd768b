"""Every choice of a run in one frozen dataclass, checked when it is made."""

import dataclasses
import math
import operator
import os
import struct
from pathlib import Path

from gan_tf.system.errors import UserError
from gan_tf.system.files import check_name

GRID_COUNT = 16  # images in a run's own grids, as in the TensorFlow tutorial
MOST_IMAGES = 1_000_000  # drawn at once: 3 GB; one more zero by mistake would fill the memory
PRECISIONS = ("float32", "bfloat16")
UPDATES = ("simultaneous", "alternating")
DATASETS = ("fashion_mnist", "mnist", "kmnist", "synthetic")
OWN_IMAGES = "array-"  # before the checksum of images that were handed in from Python
# Choices that belong together, for `TrainConfig(**RECIPES["best"])` and `--recipe best`: the
# homework's own, and those whose images docs/results.md found the best.
RECIPES = {
    "homework": {},
    "best": {"learning_rate": 2e-4, "beta_1": 0.5, "ema_decay": 0.999},
}
# Fields that 2.0 had before its release, each with the value that means the same as none.
_DROPPED = {"label_smoothing": 0.0, "augment": False}
_MOST_NOISE = 2**16  # numbers in a noise vector; one more zero by mistake would fill the memory


def _choice(default, kind, help: str, decides_numbers: bool = True):
    """A field of `TrainConfig`.

    Args:
      default: its value where none is given.
      kind: type of the value, or of each one where there are several.
      help: what it is, for `--help`.
      decides_numbers: whether a run that goes on must have the same value as when it began.
    """
    metadata = {"kind": kind, "help": help, "decides_numbers": decides_numbers}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What a training run is made of; the defaults reproduce the homework.

    Each field is also a flag of `python train.py`. Everything random in a run follows from `seed`.

    Raises:
      UserError: a value is out of range or of the wrong type; the text names the argument.
    """

    epochs: int = _choice(50, int, "passes over the training images", decides_numbers=False)
    batch_size: int = _choice(64, int, "images per training step; the homework asks for 16, 32, 64")
    learning_rate: float = _choice(1e-4, float, "Adam's learning rate, the same for both networks")
    seed: int = _choice(0, int, "where all randomness of the run starts")
    latent_dim: int = _choice(100, int, "length of the generator's noise vector")
    dataset: str = _choice(
        "fashion_mnist",
        str,
        f"training images: {', '.join(DATASETS)}, another data set of TFDS with images of 28 x 28 x"
        " 1, or a folder of pictures",
    )
    invert: bool = _choice(False, bool, "turn images that are dark on white into light on black")
    data_dir: str | None = _choice(
        None,
        str,
        "where TFDS keeps prepared data (TFDS's default if unset)",
        decides_numbers=False,
    )
    manual_dir: str | None = _choice(
        None,
        str,
        "folder with the data set's files, if already downloaded",
        decides_numbers=False,
    )
    max_images: int | None = _choice(None, int, "train on the first N images only, for a quick try")
    run_dir: str | None = _choice(
        None, str, "folder of the run (runs/DATASET if unset)", decides_numbers=False
    )
    snapshot_epochs: tuple[int, ...] = _choice(
        (10, 30, 50),
        int,
        "epochs after which the generator is kept; the last one always is",
        decides_numbers=False,
    )
    evaluate_every: int | None = _choice(
        None,
        int,
        "measure how good the images are after every N epochs (off if unset)",
        decides_numbers=False,
    )
    fast: bool = _choice(
        True, bool, "compute convolutions with fewer operations: the same result, up to rounding"
    )
    precision: str = _choice(
        "float32", str, "of products in convolutions: " + ", ".join(PRECISIONS)
    )

    # What may make better images than the homework's choices; docs/results.md measures each.
    update: str = _choice(
        "simultaneous", str, "both networks move at once, or the discriminator first: alternating"
    )
    beta_1: float = _choice(0.9, float, "Adam's decay of the mean gradient, for both networks")
    discriminator_learning_rate: float | None = _choice(
        None, float, "Adam's learning rate of the discriminator (--learning-rate if unset)"
    )
    ema_decay: float = _choice(
        0.0, float, "draw from an average of the generator's weights, such as 0.999; 0 is off"
    )

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            self._set(name, whole_number(name, getattr(self, name), at_least=1))
        self._set("latent_dim", whole_number("latent_dim", self.latent_dim, 1, _MOST_NOISE))
        self._set("seed", whole_number("seed", self.seed, at_least=0, at_most=2**32 - 1))
        if self.max_images is not None:
            self._set("max_images", whole_number("max_images", self.max_images, at_least=1))
            if self.batch_size > self.max_images:
                raise UserError(
                    f"`batch_size` {self.batch_size} is larger than `max_images` {self.max_images}"
                )
        if self.evaluate_every is not None:
            self._set("evaluate_every", whole_number("evaluate_every", self.evaluate_every, 1))
        self._set("learning_rate", _positive_number("learning_rate", self.learning_rate))
        if self.discriminator_learning_rate is not None:
            name = "discriminator_learning_rate"
            self._set(name, _positive_number(name, self.discriminator_learning_rate))
        for name in ("beta_1", "ema_decay"):
            self._set(name, _share(name, getattr(self, name)))
        if not isinstance(self.dataset, str) or not self.dataset:
            raise UserError(f"`dataset` must be a name or a folder, not {self.dataset!r}")
        for name, known in [("precision", PRECISIONS), ("update", UPDATES)]:
            if getattr(self, name) not in known:
                raise UserError(
                    f"`{name}` must be one of {', '.join(known)}, not {getattr(self, name)!r}"
                )
        for name in ("fast", "invert"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"`{name}` must be True or False, not {getattr(self, name)!r}")
        self._set("snapshot_epochs", _epochs("snapshot_epochs", self.snapshot_epochs))
        for name in ("run_dir", "data_dir", "manual_dir"):
            if getattr(self, name) is not None:
                self._set(name, folder_name(name, getattr(self, name)))

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # the dataclass is frozen

    @property
    def has_image_folder(self) -> bool:
        """Whether `dataset` is a folder of pictures."""
        return self.dataset not in DATASETS and os.path.isdir(self.dataset)

    @property
    def run_folder(self) -> Path:
        """The folder of the run: `run_dir`, or runs/DATASET where that is unset."""
        if self.run_dir is not None:
            return Path(self.run_dir)
        name = Path(self.dataset).resolve().name if self.has_image_folder else self.dataset
        return Path("runs", name.replace("/", "_").replace(":", "_"))

    def differences(self, other: "TrainConfig") -> list[str]:
        """Returns a text for each field that decides the numbers and is not the same in both."""
        return [
            f"`{field.name}` is {getattr(self, field.name)}, was {getattr(other, field.name)}"
            for field in dataclasses.fields(self)
            if field.metadata["decides_numbers"]
            and getattr(self, field.name) != getattr(other, field.name)
        ]


def still_known(choices: dict) -> dict:
    """Returns recorded fields of a `TrainConfig` without those that were dropped and unused."""
    return {
        name: value
        for name, value in choices.items()
        if name not in _DROPPED or value != _DROPPED[name]
    }


def whole_number(name: str, value, at_least: int, at_most: int | None = None) -> int:
    """Returns `value` as an int; a UserError names the argument if it is none, or out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < at_least or (at_most is not None and number > at_most):
        limit = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
        raise UserError(f"`{name}` must be a whole number, {limit}, not {value!r}")
    return number


def folder_name(name: str, value) -> str:
    """Returns a folder's name as text; a UserError names the argument if it is no name."""
    try:
        check_name(value)
    except (UserError, TypeError) as error:
        raise UserError(f"`{name}`: {error}") from error
    return os.fspath(value)


def _epochs(name, values) -> tuple[int, ...]:
    try:
        values = list(values)
    except TypeError:
        raise UserError(f"`{name}` must be a list of epochs, not {values!r}") from None
    return tuple(sorted({whole_number(name, value, at_least=1) for value in values}))


def _share(name, value) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < 1:
        raise UserError(f"`{name}` must be a number from 0 to below 1, not {value!r}")
    return number


def _positive_number(name, value) -> float:
    try:
        number = float(value)
        (computed,) = struct.unpack("f", struct.pack("f", number))  # what float32 makes of it
    except (TypeError, ValueError, OverflowError):
        computed = math.nan
    if not (math.isfinite(computed) and computed > 0):
        raise UserError(f"`{name}` must be a finite float32 number above 0, not {value!r}")
    return number
