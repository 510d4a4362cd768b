"""What the numbers of a run depend on beside its config: versions, threads, oneDNN, processor."""

import os
import platform

import numpy as np
import tensorflow as tf

import gan_tf

# Another value of one of these may change the last bits of a result.
DECIDING = ("tensorflow", "threads", "onednn", "gpus", "processor")


def describe() -> dict:
    """Returns the environment of this process, as it goes into config.json."""
    return {
        "gan_tf": gan_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": tf.keras.__version__,
        "numpy": np.__version__,
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or usable_cores(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0",
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "processor": processor(),
    }


def usable_cores() -> int:
    """Returns how many cores this process may use, which is how many threads TensorFlow starts."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def processor() -> str:
    """Returns the processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
