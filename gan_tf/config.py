"""Every choice of a run in one frozen dataclass, checked when it is made."""

import dataclasses
import math
import operator
import struct

from gan_tf.errors import UserError

PRECISIONS = ("float32", "bfloat16")
DATASETS = ("fashion_mnist", "mnist", "kmnist", "synthetic")


def flag(field_name: str) -> str:
    """Returns the command-line spelling of a field: `batch_size` is `--batch-size`."""
    return "--" + field_name.replace("_", "-")


def _choice(default, help: str):
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What a training run is made of; the defaults reproduce the homework.

    Each field is also a flag of `python train.py`. Everything random in a run follows from `seed`.

    Raises:
      UserError: a value is out of range or of the wrong type; the text names the flag.
    """

    epochs: int = _choice(50, "passes over the training images")
    batch_size: int = _choice(64, "images per training step; the homework asks for 16, 32 or 64")
    learning_rate: float = _choice(1e-4, "Adam's learning rate, the same for both networks")
    seed: int = _choice(0, "where all randomness of the run starts")
    latent_dim: int = _choice(100, "length of the generator's noise vector")
    dataset: str = _choice("fashion_mnist", "training images: " + ", ".join(DATASETS))
    data_dir: str | None = _choice(None, "where TFDS keeps prepared data (TFDS's default if unset)")
    manual_dir: str | None = _choice(
        None, "folder with the data set's files, if already downloaded"
    )
    max_images: int | None = _choice(None, "train on the first N images only, for a quick try")
    run_dir: str | None = _choice(None, "folder of the run (runs/DATASET if unset)")
    snapshot_epochs: tuple[int, ...] = _choice(
        (10, 30, 50), "epochs after which the generator is kept; the last one always is"
    )

    fast: bool = _choice(
        True, "compute convolutions with fewer operations: the same result, up to rounding"
    )
    precision: str = _choice("float32", "of products in convolutions: " + ", ".join(PRECISIONS))

    def __post_init__(self):
        for name in ("epochs", "batch_size", "latent_dim"):
            self._set(name, whole_number(name, getattr(self, name), at_least=1))
        self._set("seed", whole_number("seed", self.seed, at_least=0, at_most=2**32 - 1))
        if self.max_images is not None:
            self._set("max_images", whole_number("max_images", self.max_images, at_least=1))
            if self.batch_size > self.max_images:
                raise UserError(
                    f"--batch-size {self.batch_size} is larger than --max-images {self.max_images}"
                )
        self._set("learning_rate", _positive_number("learning_rate", self.learning_rate))
        for name, known in [("dataset", DATASETS), ("precision", PRECISIONS)]:
            if getattr(self, name) not in known:
                raise UserError(
                    f"{flag(name)} must be one of {', '.join(known)}, not {getattr(self, name)!r}"
                )
        if not isinstance(self.fast, bool):
            raise UserError(f"--fast must be True or False, not {self.fast!r}")
        epochs = [
            whole_number("snapshot_epochs", epoch, at_least=1) for epoch in self.snapshot_epochs
        ]
        self._set("snapshot_epochs", tuple(sorted(set(epochs))))
        self._set("run_dir", str(self.run_dir or f"runs/{self.dataset}"))
        for name in ("data_dir", "manual_dir"):
            if getattr(self, name) is not None:
                self._set(name, str(getattr(self, name)))

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # the dataclass is frozen


def whole_number(name: str, value, at_least: int, at_most: int | None = None) -> int:
    """Returns `value` as an int; a UserError names the flag if it is none, or out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < at_least or (at_most is not None and number > at_most):
        limit = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
        raise UserError(f"{flag(name)} must be a whole number, {limit}, not {value!r}")
    return number


def _positive_number(name, value) -> float:
    try:
        number = float(value)
        (computed,) = struct.unpack("f", struct.pack("f", number))  # what float32 makes of it
    except (TypeError, ValueError, OverflowError):
        computed = math.nan
    if not (math.isfinite(computed) and computed > 0):
        raise UserError(f"{flag(name)} must be a finite float32 number above 0, not {value!r}")
    return number
