"""Which workers train together, and which of them this process is: from TF_CONFIG, Slurm or Kubernetes.

Only variables of the environment are read; nobody is asked over a network, and no TensorFlow is imported. Of the
resolvers of TensorFlow 2.21 (`tf.distribute.cluster_resolver`) none does the job:

- `TFConfigClusterResolver` takes TF_CONFIG as it is: a wrong one ends in a KeyError, or in waiting for ever.
- `SlurmClusterResolver` sorts the names of the nodes as texts, so that with `node[9-10]` it gives task 0, which is on
  node9, the address of node10; it divides by zero where there is no GPU, or runs `nvidia-smi`; it knows one pair of
  brackets in a name; and any two jobs that share a node get the same ports.
- `KubernetesClusterResolver` needs the package `kubernetes` and a service account that may list the pods of all
  namespaces; it fails until all of them run, gives the addresses of their hosts, and does not tell which one it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from dlcli.errors import UsageError

_TF_CONFIG_FORM = (
    'It is to look like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}, '
    "and each worker has an index of its own."
)
_WORKERS_FORM = (
    "Set it to the number of workers, beside DLCLI_SERVICE; or to the addresses of all of them: "
    "`DLCLI_WORKERS=host1:2222,host2:2222`."
)
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_KUBERNETES_PORT = 2222
# Below the ports that Linux gives to whoever asks for any (32768 and up); eight for each of as many jobs as fit.
_SLURM_PORT, _SLURM_JOBS, _SLURM_PORTS_A_JOB = 12_000, 2_500, 8
_MOST_NODES = 65_536


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
        workers: the address of each, as `host:port`.
        index: of this process among them.
        origin: where that is from: "TF_CONFIG", "Slurm" or "Kubernetes".
    """

    workers: tuple[str, ...]
    index: int
    origin: str

    @property
    def is_chief(self) -> bool:
        """Whether this process is worker 0, the only one that writes the run's folder."""
        return self.index == 0

    def tf_config(self) -> str:
        """The value of TF_CONFIG that says the same to TensorFlow."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def find_cluster(environ: Mapping[str, str]) -> Cluster | None:
    """The cluster that the environment of this process describes; None if it describes none.

    TF_CONFIG goes before Slurm, and Slurm before Kubernetes. A cluster may be of one worker, as in `srun --ntasks=1`.

    Raises:
        UsageError: the description is wrong.
    """
    if environ.get("TF_CONFIG", "").strip():
        return _from_tf_config(environ["TF_CONFIG"])
    if "SLURM_STEP_NUM_TASKS" in environ:  # a batch script has no step, and is one process whatever SLURM_NTASKS says
        return _from_slurm(environ)
    if environ.get("DLCLI_WORKERS", "").strip():  # every pod has Kubernetes's own variables, alone or not
        return _from_kubernetes(environ)
    return None


def _from_tf_config(text: str) -> Cluster | None:
    """What TF_CONFIG says; None if it names no cluster, as where a platform sets it for each program."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"TF_CONFIG is not JSON: {error}.", _TF_CONFIG_FORM) from error
    jobs = _mapping(_mapping(content, "TF_CONFIG").get("cluster"), "`cluster` in TF_CONFIG")
    if not jobs:
        return None
    others = [name for name in jobs if name not in ("chief", "worker")]
    if others:
        hint = "dlcli trains on workers that all do the same: name a `worker` job, and a `chief` if you like."
        raise UsageError(f"TF_CONFIG has a job `{others[0]}`, which dlcli has no part for.", hint)
    chiefs, workers = (_addresses(jobs.get(name, []), name) for name in ("chief", "worker"))
    if len(chiefs) > 1:
        raise UsageError(f"TF_CONFIG names {len(chiefs)} chiefs; there can be one.", _TF_CONFIG_FORM)
    task = _mapping(content.get("task"), "`task` in TF_CONFIG")
    index = _index_in(task, {"chief": len(chiefs), "worker": len(workers)})
    if task["type"] == "worker":
        index += len(chiefs)
    return Cluster(_checked([*chiefs, *workers], "TF_CONFIG", _TF_CONFIG_FORM), index, "TF_CONFIG")


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{what} is to be an object with keys; received {json.dumps(value)}.", _TF_CONFIG_FORM)
    return value


def _addresses(value: Any, job: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(address, str) for address in value):
        message = f"`{job}` in TF_CONFIG is to be a list of addresses; received {json.dumps(value)}."
        raise UsageError(message, _TF_CONFIG_FORM)
    return value


def _index_in(task: Mapping[str, Any], counts: Mapping[str, int]) -> int:
    """The index of the task within its job. Raises UsageError."""
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or kind not in counts:
        what = f"of type {json.dumps(kind)}" if kind is not None else "of no type"
        raise UsageError(f"`task` in TF_CONFIG is {what}; dlcli runs a `worker` or a `chief`.", _TF_CONFIG_FORM)
    # TensorFlow takes "1" for 1, and shell scripts write it so.
    if isinstance(index, str) and index.isascii() and index.isdigit():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool):
        received = "there is none" if index is None else f"received {json.dumps(index)}"
        raise UsageError(f"The index of `task` in TF_CONFIG is to be a whole number; {received}.", _TF_CONFIG_FORM)
    if not 0 <= index < counts[kind]:
        listed = f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}"
        message = f"TF_CONFIG says that this is {kind} {index}, but names {listed}, counted from 0."
        raise UsageError(message, _TF_CONFIG_FORM)
    return index


def _checked(addresses: Sequence[str], where: str, hint: str) -> tuple[str, ...]:
    """The addresses, each `host:port` and unlike the others. Raises UsageError."""
    for address in addresses:
        matched = _ADDRESS.fullmatch(address)
        if matched is None or not 0 < int(matched["port"]) < 2**16:
            raise UsageError(f"{where} has the address `{address}`; `host:port` is needed.", hint)
    address, times = Counter(address.lower() for address in addresses).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{where} gives {times} workers the address `{address}`; each needs its own.", hint)
    return tuple(addresses)


def _from_slurm(environ: Mapping[str, str]) -> Cluster:
    """The tasks of the job step that this process is one of, with as many ports on a node as it has tasks."""
    count, index = (_number(environ, name, "Slurm") for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))
    nodes = _nodes(_text(environ, "SLURM_STEP_NODELIST", "Slurm"))
    tasks = _tasks_per_node(_text(environ, "SLURM_STEP_TASKS_PER_NODE", "Slurm"))
    if len(nodes) != len(tasks) or sum(tasks) != count or index >= count:
        message = (
            f"Slurm's variables do not fit together: {len(nodes)} nodes in SLURM_STEP_NODELIST, {sum(tasks)} tasks on "
            f"{len(tasks)} nodes in SLURM_STEP_TASKS_PER_NODE, {count} in SLURM_STEP_NUM_TASKS; and SLURM_PROCID is "
            f"{index}."
        )
        raise UsageError(message, "Start the workers with `srun`, and let them keep the variables that it sets.")
    places = [(node, local) for node, (_, many) in enumerate(zip(nodes, tasks, strict=True)) for local in range(many)]
    _check_distribution(environ, index, places[index])
    port = _slurm_port(environ)
    addresses = [f"{nodes[node]}:{port + local}" for node, local in places]
    return Cluster(_checked(addresses, "Slurm", "Check SLURM_STEP_NODELIST and DLCLI_PORT."), index, "Slurm")


def _check_distribution(environ: Mapping[str, str], index: int, place: tuple[int, int]) -> None:
    """Raises UsageError if Slurm has dealt the tasks out otherwise than node by node: it does not say how."""
    names = ("SLURM_NODEID", "SLURM_LOCALID")
    told = tuple(_number(environ, name, "Slurm") for name in names if name in environ)
    if len(told) == len(names) and told != place:
        message = (
            f"Slurm has task {index} as number {told[1]} on node {told[0]}; with one node filled after the other it "
            f"would be number {place[1]} on node {place[0]}."
        )
        raise UsageError(message, "Start the workers with `srun --distribution=block`.")


def _slurm_port(environ: Mapping[str, str]) -> int:
    """The first port on each node: DLCLI_PORT, or one that other jobs and steps on the node hardly have."""
    if environ.get("DLCLI_PORT"):
        return _number(environ, "DLCLI_PORT", "Slurm")
    job, step = (_number(environ, name, "Slurm") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    # Jobs and steps that run at the same time have numbers close to each other.
    return _SLURM_PORT + (job + 1031 * step) % _SLURM_JOBS * _SLURM_PORTS_A_JOB


def _nodes(text: str) -> list[str]:
    """The names of a list of nodes, such as `node[01-03,7],gpu2`, in its order, which is that of the tasks."""
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    try:
        names = [name for part in parts for name in _names(part)]
    except ValueError as error:
        raise UsageError(f"SLURM_STEP_NODELIST is `{text}`, which is no list of nodes: {error}.") from error
    if ",".join(parts) != text:
        raise UsageError(f"SLURM_STEP_NODELIST is `{text}`, which is no list of nodes.")
    return names


def _names(part: str) -> list[str]:
    """The names of `rack[0-1]node[01-03]`: each with each. Raises ValueError."""
    pieces = re.split(r"\[([^\]]*)\]", part)  # every second one is from within brackets
    choices = [_numbers(piece) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in product(*choices)]


def _numbers(ranges: str) -> list[str]:
    """The numbers of `01-03,7`, each with as many digits as its range begins with. Raises ValueError."""
    numbers: list[str] = []
    for part in ranges.split(","):
        matched = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
        if matched is None:
            raise ValueError(f"`{part}` is no range of numbers")
        first, last = matched[1], matched[2] or matched[1]
        if not 0 <= int(last) - int(first) < _MOST_NODES:
            raise ValueError(f"`{part}` is no range of nodes")
        numbers += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return numbers


def _tasks_per_node(text: str) -> list[int]:
    """The numbers of `2(x3),1`: 2, 2, 2 and 1. Raises UsageError."""
    tasks: list[int] = []
    for part in text.split(","):
        matched = re.fullmatch(r"([0-9]{1,5})(?:\(x([0-9]{1,5})\))?", part)
        if matched is None:
            raise UsageError(f"SLURM_STEP_TASKS_PER_NODE is `{text}`; numbers such as `2(x3),1` are needed.")
        tasks += [int(matched[1])] * int(matched[2] or 1)
    return tasks


def _from_kubernetes(environ: Mapping[str, str]) -> Cluster:
    """The pods of an Indexed Job or of a StatefulSet: `configs/cluster/kubernetes.yaml` is an example."""
    given = environ["DLCLI_WORKERS"].strip()
    index = _own_index(environ)
    addresses = [address.strip() for address in given.split(",")] if ":" in given else _pods(environ, index)
    if index >= len(addresses):
        message = f"This pod has the index {index}, but DLCLI_WORKERS is `{given}`: {len(addresses)} workers from 0."
        raise UsageError(message, "DLCLI_WORKERS is to be the Job's `completions`, or the StatefulSet's `replicas`.")
    return Cluster(_checked(addresses, "DLCLI_WORKERS", _WORKERS_FORM), index, "Kubernetes")


def _own_index(environ: Mapping[str, str]) -> int:
    """Of this pod: what an Indexed Job sets, or the number that ends a host name of a StatefulSet."""
    if "JOB_COMPLETION_INDEX" in environ:
        return _number(environ, "JOB_COMPLETION_INDEX", "An Indexed Job")
    host = environ.get("HOSTNAME", "")
    matched = re.fullmatch(r".+-([0-9]{1,6})", host)
    if matched is None:
        message = f"DLCLI_WORKERS is set, but not which of them this is: the host name is `{host}`."
        raise UsageError(message, "Start the workers as an Indexed Job or a StatefulSet; or set JOB_COMPLETION_INDEX.")
    return int(matched[1])


def _pods(environ: Mapping[str, str], index: int) -> list[str]:
    """The addresses of so many pods behind a headless Service."""
    count = _number(environ, "DLCLI_WORKERS", "", _WORKERS_FORM)
    if not 0 < count <= _MOST_NODES:
        raise UsageError(f"DLCLI_WORKERS is {count}; there is at least one worker.", _WORKERS_FORM)
    service, host = environ.get("DLCLI_SERVICE", ""), environ.get("HOSTNAME", "")
    if not service:
        message = "DLCLI_WORKERS is a number, so the addresses are those of a Service, but DLCLI_SERVICE is not set."
        raise UsageError(message, "Set it to the name of the headless Service, which the pods have as `subdomain`.")
    if not host.endswith(f"-{index}") or host == f"-{index}":
        message = f"The host name of pod {index} is `{host}`; it is to end in `-{index}`."
        raise UsageError(message, "Leave out `hostname` in the pods' template, and `hostNetwork`.")
    port = _number(environ, "DLCLI_PORT", "") if environ.get("DLCLI_PORT") else _KUBERNETES_PORT
    name = host.removesuffix(f"-{index}")
    return [f"{name}-{number}.{service}:{port}" for number in range(count)]


def _text(environ: Mapping[str, str], name: str, who: str) -> str:
    if not environ.get(name):
        raise UsageError(f"{who} is to set {name}, but it is not set.")
    return environ[name]


def _number(environ: Mapping[str, str], name: str, who: str, hint: str | None = None) -> int:
    text = _text(environ, name, who).strip()
    if not re.fullmatch("[0-9]{1,18}", text):
        raise UsageError(f"{name} is `{text}`; a whole number is needed.", hint)
    return int(text)
