"""Where the workers of a run are, which of them this process is, and whether all of them are there.

TensorFlow itself waits for a missing worker without a word, and hears no Ctrl-C meanwhile.
"""

import json
import re
import socket
import time

import tensorflow as tf

from gan_tf.system import console
from gan_tf.system.errors import RunFailed, UserError, one_line

_EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
# A name as networks allow it, or an IPv6 address in brackets; and a port.
_ADDRESS = re.compile(r"(\[.+\]|(?:[^.:]{1,63}\.)*[^.:]{1,63}):([0-9]{1,5})")
_REPORT_SECONDS = 10


def from_tf_config(environ) -> tuple[list[str], int]:
    """Returns the addresses of all workers, and the index of this one, from TF_CONFIG.

    A "chief", as some services name worker 0, counts as the first worker.

    Raises:
      UserError: says what is wrong with it.
    """
    if not environ.get("TF_CONFIG"):
        raise UserError(
            f"`distribute` workers needs the environment variable TF_CONFIG, like {_EXAMPLE}"
        )
    try:
        record = json.loads(environ["TF_CONFIG"])
        jobs, kind, number = record["cluster"], record["task"]["type"], record["task"]["index"]
        if others := {*jobs, kind} - {"chief", "worker"}:
            raise ValueError(f"tasks of type {min(others)!r:.100}, and all must be workers")
        chiefs, workers = (list(jobs.get(job, [])) for job in ("chief", "worker"))
        own_job = chiefs if kind == "chief" else workers
        if type(number) is not int or number not in range(len(own_job)):
            raise ValueError(
                f"there are {len(own_job)} of type {kind}, and none is {number!r:.100}"
            )
        everyone = chiefs + workers
        for address in everyone:
            match = _ADDRESS.fullmatch(address)
            if not match or not 0 < int(match[2]) < 2**16 or everyone.count(address) > 1:
                raise ValueError(f"{address!r:.100} is not one worker's host:port")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"TF_CONFIG must be like {_EXAMPLE} ({one_line(error)})") from error
    return everyone, number if kind == "chief" else len(chiefs) + number


def from_slurm(environ) -> tuple[list[str], int]:
    """Returns the addresses of all workers, and the index of this one, from Slurm's variables.

    The order is that of the nodes' names as texts, so that worker 0 need not be task 0.

    Raises:
      UserError: a variable is missing, or not as srun sets it.
    """
    try:
        # Below the ports that systems give out by themselves; jobs side by side take others.
        port = 20_000 + int(environ["SLURM_JOB_ID"]) * 16 % 12_000
        own_address = f"{environ['SLURMD_NODENAME']}:{port + int(environ['SLURM_LOCALID'])}"
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port,
            gpus_per_node=2**16,  # else it asks nvidia-smi, and leaves out tasks without a GPU
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        everyone = resolver.cluster_spec().job_tasks("worker")
        return everyone, everyone.index(own_address)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"`distribute` slurm needs the environment variables of srun ({one_line(error)})"
        ) from error


def names(everyone: list[str], indices) -> str:
    """Returns how workers are called in messages."""
    return ", ".join(f"worker {index} ({everyone[index]})" for index in indices)


def split(address: str) -> tuple[str, int]:
    """Returns the host of an address, without brackets, and the port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def accepts(address: str) -> bool:
    """Returns whether an address accepts a TCP connection."""
    try:
        socket.create_connection(split(address), timeout=2).close()
    except (OSError, UnicodeError):
        return False
    return True


def wait_for_all(everyone: list[str], index: int, seconds: int):
    """Waits until the address of each worker accepts a connection, as this one's does meanwhile.

    Raises:
      UserError: the own address is in use.
      RunFailed: not all of them came in time.
    """
    began = last_report = time.monotonic()
    missing = range(len(everyone))
    with _listener(everyone, index):
        while missing := [other for other in missing if not accepts(everyone[other])]:
            now = time.monotonic()
            if now - began > seconds:
                raise RunFailed(
                    f"waited {seconds} s for {names(everyone, missing)}: start every worker within"
                    " `join_seconds`, and let each machine reach the others on these ports"
                )
            if now - last_report > _REPORT_SECONDS:
                last_report = now
                console.say(f"waiting for {names(everyone, missing)}")
            time.sleep(0.3)


def _listener(everyone, index):
    _, port = split(everyone[index])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        # Any interface, as TensorFlow does: the name may be that of a router or a service.
        return socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        raise UserError(
            f"{names(everyone, [index])} cannot take its own address, port {port} of this machine"
            f" ({error.strerror}): end what uses it, or name another port on all workers"
        ) from error
