"""Which division of a batch `train.strategy` means on this machine, and what it takes to begin it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dlcli.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from dlcli.training.crew import Crew
    from dlcli.training.division import Division


def chosen_strategy(asked: str, crew: Crew | None, gpus: int) -> str:
    """What `asked`, as in `train.strategy`, means: "none", "mirrored" or "multi_worker".

    Args:
        asked: by the spec or the command line.
        crew: the workers that the environment names, if there are several.
        gpus: how many of them are seen.

    Raises:
        UsageError: it does not go with how this process was started.
    """
    if crew is not None and asked in ("none", "mirrored"):
        message = f"This is worker {crew.cluster.index} of {crew.peers.count}, by {crew.cluster.origin}, "
        raise UsageError(
            f"{message}but `train.strategy` is {asked}.", "Say `--strategy multi_worker`, or start it once."
        )
    if asked == "auto":
        return "multi_worker" if crew is not None else "mirrored" if gpus > 1 else "none"
    return asked


def begin(strategy: str, crew: Crew | None) -> Division:
    """Start what the strategy needs; TensorFlow must not have computed anything before.

    Raises:
        DeviceError: there are not several devices.
        UsageError: the workers are not named.
    """
    from dlcli.training.division import Undivided
    from dlcli.training.on_devices import Devices

    if strategy == "multi_worker":
        return _multi_worker(crew)
    if strategy == "none":
        return Undivided()
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(devices) < 2:
        raise DeviceError(
            f"`strategy: mirrored` divides each batch among several devices, and TensorFlow sees one {kind}.",
            "`--strategy none` trains on it; `--device cpu:0,1` makes two devices of the CPU, to try it out.",
        )
    return Devices(devices)


def _multi_worker(crew: Crew | None) -> Division:
    from dlcli.training.cluster import find_cluster
    from dlcli.training.collectives import Collectives, start_server
    from dlcli.training.division import Undivided
    from dlcli.training.on_workers import Workers

    if crew is None:
        cluster = find_cluster(os.environ)
        if cluster is not None and len(cluster.workers) > 1:
            raise UsageError("Several workers train one model by `dlcli train`; this is something else.")
        if cluster is not None:
            return Undivided()
        hint = "`dlcli launch --workers 2 -- train …` starts two of them here; or set TF_CONFIG, or use Slurm."
        raise UsageError("`strategy: multi_worker` needs workers, and nothing in the environment names them.", hint)
    if crew.division is None:
        start_server(crew.cluster)
        crew.peers.agree({})  # the servers of all are there
        crew.division = Workers(crew, Collectives(crew.peers))
    return crew.division
