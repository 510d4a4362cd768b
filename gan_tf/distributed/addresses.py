"""Where the workers of a run are, and which of them this process is, as its environment tells."""

import json

from gan_tf.system.errors import UserError, one_line

_EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'


def from_slurm(environ) -> tuple[list[str], int]:
    """Reads from the variables of a Slurm job step which tasks there are, and which one this is.

    TensorFlow's own `SlurmClusterResolver` sorts the nodes by name, n10 before n9, and fails where
    a node has no GPU; what it reads lists with is good.

    Args:
      environ: SLURM_STEP_NODELIST, SLURM_STEP_TASKS_PER_NODE, SLURM_PROCID and SLURM_JOB_ID.

    Returns:
      The addresses, in the order of the nodes, and the index.

    Raises:
      UserError: a variable is missing or not as Slurm writes it.
    """
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as slurm

    try:
        nodes = slurm.expand_hostlist(environ["SLURM_STEP_NODELIST"])
        tasks = slurm.expand_tasks_per_node(environ["SLURM_STEP_TASKS_PER_NODE"])
        index, job = int(environ["SLURM_PROCID"]), int(environ["SLURM_JOB_ID"])
    except KeyError as error:
        raise UserError(
            f"`distribute` slurm needs the environment variable {error.args[0]}: start with srun"
        ) from error
    except ValueError as error:
        raise UserError(f"Slurm's variables cannot be read: {one_line(error)}") from error
    # Below the ports that systems give out by themselves; jobs side by side take others.
    port = 20_000 + job * 16 % 12_000
    addresses = [
        f"{node}:{port + task}" for node, count in zip(nodes, tasks) for task in range(count)
    ]
    if index not in range(len(addresses)):
        raise UserError(f"Slurm's variables name {len(addresses)} tasks, and this is task {index}")
    return addresses, index


def from_tf_config(text: str | None) -> tuple[list[str], int]:
    """Reads which workers there are, and which one this process is.

    Args:
      text: the environment variable TF_CONFIG: `{"cluster": {"worker": ["host:port", ...]},
        "task": {"type": "worker", "index": 0}}`. A "chief", as some services name worker 0, counts
        as the first worker.

    Returns:
      The addresses, and the index.

    Raises:
      UserError: says what is wrong with it.
    """
    if not text:
        raise UserError(
            f"`distribute` workers needs the environment variable TF_CONFIG, like {_EXAMPLE}"
        )
    try:
        record = json.loads(text)
        jobs, task = dict(record["cluster"]), dict(record["task"])
        kind, number = str(task["type"]), int(task["index"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"TF_CONFIG must be like {_EXAMPLE} ({one_line(error)})") from error
    if others := sorted({*jobs, kind} - {"chief", "worker"}):
        raise UserError(f"TF_CONFIG has tasks of type {', '.join(others)}: all must be workers")
    if not jobs.get("worker") or not all(isinstance(job, list) for job in jobs.values()):
        raise UserError(f"TF_CONFIG has no list of workers: it must be like {_EXAMPLE}")
    chiefs, workers = jobs.get("chief", []), jobs["worker"]
    count = len(chiefs if kind == "chief" else workers)
    if number not in range(count):
        raise UserError(
            f"TF_CONFIG: this is {kind} {number}, and its list counts from 0 to {count - 1}"
        )
    addresses = chiefs + workers
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not (isinstance(address, str) and host and port.isdecimal() and 0 < int(port) < 2**16):
            raise UserError(f"TF_CONFIG: {address!r} is no address like host:2222")
    if len({*addresses}) < len(addresses):
        raise UserError(f"TF_CONFIG names an address twice: {', '.join(addresses)}")
    return addresses, number if kind == "chief" else len(chiefs) + number
