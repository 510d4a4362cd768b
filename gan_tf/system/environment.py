"""The environment that affects the numbers of a run: versions, threads, oneDNN, processor."""

import contextlib
import os
import platform

import numpy as np
import tensorflow as tf

from gan_tf._version import __version__
from gan_tf.system.errors import UserError

# A change of any of these may change the last bits of the results. The values are those of runs
# that are too old to have recorded them.
UNRECORDED = {
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
# TensorFlow uses oneDNN by default on a processor with any of these features, as Linux names them.
_ONEDNN_BY_DEFAULT = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# A processor with any of these features has instructions for bfloat16.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def describe(replicas: int = 1) -> dict:
    """Returns the environment of this process, as recorded in config.json."""
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


def differences(environment: dict, recorded: dict) -> list[str]:
    """Describes each difference of two environments that may change the last bits of results."""
    before = UNRECORDED | recorded
    return [
        f"{name} is {environment[name]}, was {before[name]}"
        for name in UNRECORDED
        if environment[name] != before[name]
    ]


def hints(precision: str, features: set[str]) -> list[str]:
    """Returns a line of advice for each setting that makes a run slow on this processor.

    Args:
      precision: "float32" or "bfloat16", as in `TrainConfig`.
      features: those of the processor, from `processor_features`.
    """
    lines = []
    if precision == "bfloat16" and features and not features & BFLOAT16:
        lines.append(
            "this processor has no instructions for bfloat16: it is faster with --precision float32"
        )
    if "avx2" in features and not features & _ONEDNN_BY_DEFAULT and not _onednn_setting():
        lines.append(
            "TensorFlow does not use oneDNN on this processor by default: set the environment"
            " variable TF_ENABLE_ONEDNN_OPTS=1, and a run takes about two thirds of the time"
        )
    return lines


@contextlib.contextmanager
def require_keras():
    """Refuses Keras settings that the networks do not support, and suspends a dtype policy.

    A policy that a program has set for its own models does not affect models built in the block.

    Raises:
      UserError: the message names the setting and the value that it must have.
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
    """Returns the number of threads that compute one operation; by default that of the cores."""
    by_variable = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    by_program = tf.config.threading.get_intra_op_parallelism_threads()
    # Only Linux knows which cores this process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return by_program or (int(by_variable) if by_variable.isdigit() else 0) or cores


def processor() -> str:
    """Returns the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_features() -> set[str]:
    """Returns the processor's features as Linux names them; on other systems none."""
    return {*(_cpuinfo("flags") or _cpuinfo("Features")).split()}  # x86 or Arm


def _cpuinfo(name):
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""


def _onednn_setting():
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
