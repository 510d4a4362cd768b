"""The addresses of a run's workers, the index of this one, and the wait until all have started.

TensorFlow itself waits for a missing worker without a message, and ignores Ctrl-C meanwhile.
"""

import contextlib
import itertools
import json
import re
import socket
import time

import tensorflow as tf

from gan_tf.system import console
from gan_tf.system.errors import RunFailed, UserError, one_line

_EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
# A host name, or an IPv6 address in brackets, and a port.
_ADDRESS = re.compile(r"(\[.+\]|(?:[^.:]{1,63}\.)*[^.:]{1,63}):([0-9]{1,5})")
_REPORT_SECONDS = 10


def from_tf_config(environ) -> tuple[list[str], int]:
    """Returns the addresses of all workers, and the index of this one, from TF_CONFIG.

    A "chief", as some services call worker 0, counts as the first worker.

    Raises:
      UserError: TF_CONFIG is missing or invalid; the message says why.
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

    Workers are sorted by the names of their nodes, so worker 0 need not be task 0.

    Raises:
      UserError: a variable is missing, or is not as srun sets it.
    """
    try:
        # Below the ports that systems assign by themselves; concurrent jobs use different ones.
        port = 20_000 + int(environ["SLURM_JOB_ID"]) * 16 % 12_000
        own_address = f"{environ['SLURMD_NODENAME']}:{port + int(environ['SLURM_LOCALID'])}"
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port,
            gpus_per_node=2**16,  # otherwise it runs nvidia-smi, and omits tasks without a GPU
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
    """Returns the workers with these indices as they appear in messages."""
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
    """Waits until this worker has reached every address, and every worker has reached this one.

    Without the second, a worker that goes on and is then killed would not have been seen by all.

    Raises:
      UserError: this worker's address is in use.
      RunFailed: not all workers started in time.
    """
    start_time = last_report_time = time.monotonic()
    missing, visits = list(range(len(everyone))), 0
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in _listeners(everyone, index)]
        while True:
            missing = [other for other in missing if not accepts(everyone[other])]
            visits += sum(map(_count_visits, listeners))
            if not missing and visits >= len(everyone):  # one is its own
                return
            who = names(everyone, missing) or f"a worker that has not reached {everyone[index]}"
            now = time.monotonic()
            if now - start_time > seconds:
                raise RunFailed(
                    f"waited {seconds} s for {who}: start every worker within"
                    " `join_seconds`, and make sure that the machines can connect to these ports"
                )
            if now - last_report_time > _REPORT_SECONDS:
                last_report_time = now
                console.say(f"waiting for {who}")
            time.sleep(0.3)


def _count_visits(listener):
    """Returns how many connections have come since the last call."""
    for count in itertools.count():
        try:
            listener.accept()[0].close()
        except OSError:  # none is left
            return count


def _listeners(everyone, index):
    # On all interfaces, as TensorFlow does: the name may be that of a router or a service.
    address = "", split(everyone[index])[1]
    try:
        listeners = [socket.create_server(address, backlog=1024)]
    except OSError as error:
        raise UserError(
            f"{names(everyone, [index])} cannot use its own address, port {address[1]} of this"
            f" machine ({error.strerror}): end the process that uses it, or choose another port on"
            " all workers"
        ) from error
    with contextlib.suppress(OSError):  # a machine without IPv6
        listeners += [socket.create_server(address, family=socket.AF_INET6, backlog=1024)]
    for listener in listeners:
        listener.setblocking(False)
    return listeners
