"""What the numbers of a run depend on beside its config: versions, threads, oneDNN, processor."""

import contextlib
import os
import platform

import numpy as np
import tensorflow as tf

from gan_tf._version import __version__
from gan_tf.system.errors import UserError

# Another value of one of these may change the last bits of a result. What an older run did not
# record had this value.
DECIDING = {
    "tensorflow": None,
    "threads": None,
    "onednn": True,
    "onednn_asked": False,
    "onednn_isa": None,
    "xla_flags": None,
    "eager": False,
    "gpus": 0,
    "replicas": 1,
    "processor": None,
}
# What a processor has of these, by the names of Linux, makes TensorFlow use oneDNN unasked.
_ONEDNN_UNASKED = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# Any of these computes bfloat16 by instructions of its own.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def describe(replicas: int = 1) -> dict:
    """Returns the environment of this process, as it goes into config.json.

    Args:
      replicas: into how many shares each batch is divided.
    """
    return {
        "gan_tf": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": tf.keras.__version__,
        "numpy": np.__version__,
        "threads": _threads(),
        "onednn": _onednn_setting() not in ("0", "false"),
        "onednn_asked": _onednn_setting() in ("1", "true"),
        "onednn_isa": os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA"),
        "xla_flags": os.environ.get("TF_XLA_FLAGS"),
        "eager": tf.config.functions_run_eagerly(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "replicas": replicas,
        "processor": processor(),
    }


def differences(here: dict, there: dict) -> list[str]:
    """Returns a text for each part of two environments that may change the last bits."""
    return [
        f"{name} is {here[name]}, was {there.get(name, unrecorded)}"
        for name, unrecorded in DECIDING.items()
        if here[name] != there.get(name, unrecorded)
    ]


def hints(precision: str, features: set[str]) -> list[str]:
    """Returns a line for each setting that makes a run slow on this processor.

    Args:
      precision: "float32" or "bfloat16", as in `TrainConfig`.
      features: of the processor, as `processor_features` returns them.
    """
    lines = []
    if precision == "bfloat16" and features and not features & BFLOAT16:
        lines.append(
            "this processor has no instructions for bfloat16 and is faster with --precision float32"
        )
    if "avx2" in features and not features & _ONEDNN_UNASKED and not _onednn_setting():
        lines.append(
            "TensorFlow leaves oneDNN off on this processor: set the environment variable"
            " TF_ENABLE_ONEDNN_OPTS=1, and a run takes about two thirds of the time"
        )
    return lines


@contextlib.contextmanager
def require_keras():
    """Refuses Keras settings that the networks are not written for; sets a dtype policy aside.

    A policy that a program has set for its own models does not reach those made in the block.

    Raises:
      UserError: names the setting, and what it must be.
    """
    settings = {
        "backend": (tf.keras.backend.backend(), "tensorflow"),
        "floatx": (tf.keras.backend.floatx(), "float32"),
        "image_data_format": (tf.keras.backend.image_data_format(), "channels_last"),
    }
    for name, (value, needed) in settings.items():
        if value != needed:
            raise UserError(
                f"Keras's {name} is {value}, and must be {needed}: change it in ~/.keras/keras.json"
                " or where your program sets it"
            )
    policy = tf.keras.config.dtype_policy()
    tf.keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        tf.keras.config.set_dtype_policy(policy)


def _threads():
    """How many threads compute one operation; TensorFlow starts as many as there are cores."""
    by_variable = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    by_program = tf.config.threading.get_intra_op_parallelism_threads()
    return by_program or (int(by_variable) if by_variable.isdigit() else 0) or usable_cores()


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def processor() -> str:
    """Returns the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_features() -> set[str]:
    """Returns the names of the processor's features as Linux tells them; elsewhere none."""
    return {*(_cpuinfo("flags") or _cpuinfo("Features")).split()}  # x86 or Arm


def _cpuinfo(name):
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            values = [line.partition(":")[2].strip() for line in file if line.startswith(name)]
    except OSError:
        values = []
    return values[0] if values else ""


def _onednn_setting():
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
