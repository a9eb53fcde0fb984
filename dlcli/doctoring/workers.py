"""The workers that the environment names: which of them this is, whether the others' addresses are known here, and
whether its own can be listened at. Nobody is connected to.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dlcli.doctoring.finding import Finding
from dlcli.errors import UsageError
from dlcli.training.cluster import Cluster, find_cluster

WORKERS = "workers"
_PATIENCE = 5.0  # seconds for all addresses together: a resolver may ask for half a minute
_SHOWN = 8
_TRAINS_ALONE = "it trains alone here"


@dataclass(frozen=True)
class Named:
    """What the environment says of workers.

    Attributes:
        cluster: who they are; None if it names none.
        problem: the mistake in it; None if there is none.
        alone: why a training is alone here, though it is on a cluster; None if nothing seems so.
        unknown: why an address is not known here, by the worker's number; those of the others are.
        port: why this worker cannot listen at its own address; None if it can.
    """

    cluster: Cluster | None = None
    problem: UsageError | None = None
    alone: str | None = None
    unknown: Mapping[int, str] = field(default_factory=dict)
    port: str | None = None


def look_at_workers(environ: Mapping[str, str] | None = None, patience: float = _PATIENCE) -> Named:
    """What is to be found out of them, within so many seconds."""
    environ = os.environ if environ is None else environ
    try:
        cluster = find_cluster(environ)
    except UsageError as error:
        return Named(problem=error)
    if cluster is None:
        return Named(alone=_alone(environ))
    if len(cluster.workers) == 1:
        return Named(cluster)
    found = _resolved(cluster, patience)
    unknown = {number: problem for number, (problem, _) in found.items() if problem is not None}
    own = found[cluster.index][1]
    return Named(cluster, unknown=unknown, port=_port_problem(own) if own is not None else None)


def _alone(environ: Mapping[str, str]) -> str | None:
    if environ.get("TF_CONFIG", "").strip():
        return f"TF_CONFIG names no `cluster`: {_TRAINS_ALONE}."
    if "SLURM_JOB_ID" in environ:
        return (
            f"This is within a job of Slurm, but no step of it: {_TRAINS_ALONE}. `srun dlcli train …` starts workers."
        )
    if "KUBERNETES_SERVICE_HOST" in environ:
        return f"This is a pod of Kubernetes without DLCLI_WORKERS: {_TRAINS_ALONE}."
    return None


_Address = tuple[socket.AddressFamily, tuple[object, ...]]


def _resolved(cluster: Cluster, patience: float) -> dict[int, tuple[str | None, _Address | None]]:
    """Of each worker, why its address is not known, or what it is."""
    found: dict[int, tuple[str | None, _Address | None]] = {}

    def resolve(number: int, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            found[number] = (None, (family, address))
        except (OSError, UnicodeError) as error:
            found[number] = (getattr(error, "strerror", None) or str(error), None)

    threads = []
    for number, worker in enumerate(cluster.workers):
        host, _, port = worker.rpartition(":")
        threads.append(threading.Thread(target=resolve, args=(number, host.strip("[]"), int(port)), daemon=True))
        threads[-1].start()
    until = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    late = f"nothing has answered within {patience:g} seconds"
    return {number: found.get(number, (late, None)) for number in range(len(cluster.workers))}


def _port_problem(address: _Address) -> str | None:
    """Why nothing can listen there."""
    with socket.socket(address[0], socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as TensorFlow's server does
        try:
            one.bind(address[1])
        except OSError as error:
            return error.strerror or str(error)
    return None


def judge_workers(named: Named) -> Iterator[Finding]:
    """What is to be said of them; nothing where the environment says nothing."""
    if named.problem is not None:
        yield Finding(WORKERS, "workers", "bad", named.problem.message, named.problem.hint)
    elif named.cluster is None:
        if named.alone is not None:
            yield Finding(WORKERS, "workers", "ok", named.alone)
    elif len(named.cluster.workers) == 1:
        yield Finding(WORKERS, "workers", "ok", f"{named.cluster.origin} names one: {_TRAINS_ALONE}.")
    else:
        yield from _judge_cluster(named, named.cluster)


def _judge_cluster(named: Named, cluster: Cluster) -> Iterator[Finding]:
    shown = [*cluster.workers[:_SHOWN], *(["…"] if len(cluster.workers) > _SHOWN else [])]
    what = "which writes the run's folder" if cluster.is_chief else "which writes nothing: worker 0 does"
    text = f"{cluster.origin} names {len(cluster.workers)}: {', '.join(shown)}. This is worker {cluster.index}, {what}."
    yield Finding(WORKERS, "workers", "ok", text)
    if named.unknown:
        texts = [f"worker {number} ({cluster.workers[number]}): {why}" for number, why in named.unknown.items()]
        more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        advice = "A training would wait for them. Are the names right, and are the machines, or pods, there?"
        yield Finding(WORKERS, "addresses", "bad", f"Not known here: {'; '.join(texts[:_SHOWN])}{more}.", advice)
    else:
        yield Finding(WORKERS, "addresses", "ok", "all known here")
    own = cluster.workers[cluster.index]
    if named.port is not None:
        advice = "Another training may be there, or the address may be another machine's."
        yield Finding(WORKERS, "own port", "bad", f"This worker cannot listen at {own}: {named.port}.", advice)
    elif cluster.index not in named.unknown:
        yield Finding(WORKERS, "own port", "ok", f"{own} is free.")
