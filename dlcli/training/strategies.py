"""Which division of a batch `train.strategy` means on this machine, and what it takes to begin it."""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import TYPE_CHECKING

from dlcli.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from dlcli.training.crew import Crew
    from dlcli.training.replicas import Division

_LEAVE = 60.0  # seconds


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
    from dlcli.training.replicas import Devices, Undivided

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
    import tensorflow as tf

    from dlcli.training.cluster import find_cluster
    from dlcli.training.collectives import Collectives
    from dlcli.training.replicas import Undivided, Workers

    if crew is None:
        cluster = find_cluster(os.environ)
        if cluster is not None and len(cluster.workers) > 1:
            raise UsageError("Several workers train one model by `dlcli train`; this is something else.")
        if cluster is not None:
            return Undivided()
        hint = "`dlcli launch --workers 2 -- train …` starts two of them here; or set TF_CONFIG, or use Slurm."
        raise UsageError("`strategy: multi_worker` needs workers, and nothing in the environment names them.", hint)
    if crew.division is None:
        os.environ["TF_CONFIG"] = crew.cluster.tf_config()
        # The strategy itself is only what makes TensorFlow's servers find each other; see `Collectives`.
        # TensorFlow 2.21 holds Python's lock while it waits for the others, for as long as it takes: none of them is
        # heard of meanwhile. So all begin at once, and a process whose peer is killed right then is ended from outside.
        crew.peers.agree({})
        faulthandler.dump_traceback_later(_LEAVE, exit=True, file=sys.__stderr__ or sys.stderr)
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        finally:
            faulthandler.cancel_dump_traceback_later()
        crew.division = Workers(crew, Collectives(crew.peers, strategy))
    return crew.division
