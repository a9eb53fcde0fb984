"""The workers of one training as `dlcli train` has them: who writes, what they go on from, when they stop together.

Each worker runs the whole of `dlcli train`. The chief writes the run's folder; what the others write is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlcliError, Interrupted, RunError, UsageError
from dlcli.files import replacing
from dlcli.training.cluster import Cluster, find_cluster
from dlcli.training.meeting import meet
from dlcli.training.peers import AGAIN, PeerGoneError, Peers
from dlcli.training.resuming import Point, find_point
from dlcli.training.stopping import Stop

if TYPE_CHECKING:
    from dlcli.training.division import Division

_FILES = ("run.json", "resolved.yaml", "spec.yaml", "checkpoints/last.h5", "checkpoints/best.h5")
_TOLD_WITHIN = 5.0  # seconds, in which the chief makes the same mistake that this worker has made


@dataclass
class Crew:
    """The workers of a training, of which this process is one.

    Attributes:
        peers: the wire between them.
        scratch: a folder that is removed at the end, for what only the chief keeps.
        division: how batches are divided among them, once TensorFlow has started.
    """

    peers: Peers
    scratch: Path
    division: Division | None = None
    stop: AgreedStop = field(init=False)

    def __post_init__(self) -> None:
        self.stop = AgreedStop(self.peers)

    @property
    def cluster(self) -> Cluster:
        """Who they are."""
        return self.peers.cluster

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run's folder."""
        return self.peers.is_chief

    def share_run(self, path: Path | None) -> Path | None:
        """The run's folder, or checkpoint, that the chief goes on from; of the others, a copy of it. None for none."""
        names = self._shared_json([path.name, path.is_dir()] if path is not None else None)
        if names is None:
            return None
        name, is_folder = names
        own = path if path is not None and self.is_chief else self.scratch / "from" / name
        for part in _FILES if is_folder else ("",):
            self.share_file(own / part if part else own)
        return own

    def share_file(self, path: Path) -> None:
        """Let all workers have the chief's file; where it has none, none has."""
        content = self.peers.share(path.read_bytes() if self.is_chief and path.exists() else None)
        if self.is_chief:
            return
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_bytes(content)

    def _shared_json(self, value: Any) -> Any:
        content = self.peers.share(json.dumps(value).encode() if self.is_chief else None)
        return json.loads(content or b"null")

    def check_alike(self, what: Mapping[str, Any]) -> None:
        """Raises UsageError if the workers are not about to do the same, and names the first that differs."""
        told = {name: _short(value) for name, value in what.items()}
        every = self.peers.agree(told)
        for number, other in enumerate(every):
            different = [name for name in told if other.get(name) != every[0][name]]
            if different:
                name = different[0]
                message = (
                    f"Worker {number} ({self.cluster.workers[number]}) differs from worker 0 in {name}: "
                    f"{other.get(name)}, and {every[0][name]}."
                )
                raise UsageError(message, "All workers need the same command, spec, data and versions.")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 40 else hashlib.sha256(text.encode()).hexdigest()[:16]


class AgreedStop:
    """Asks for a stop where all workers have agreed on it, so that all of them stop after the same step."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._own: Stop | None = None
        self._agreed: dict[str, Any] | None = None

    def follow(self, own: Stop) -> AgreedStop:
        """Hear of the stops that are asked of this process."""
        self._own, self._agreed = own, None
        return self

    def agree(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What all workers tell, at the same step of each."""
        own = self._own
        stop = {"signal": own.signal_number, "why": own.why} if own is not None and own.is_asked else None
        every = self._peers.agree({**told, "stop": stop})
        asked = [other["stop"] for other in every if other["stop"] is not None]
        if asked:
            self._agreed = asked[0]
        return every

    @property
    def is_asked(self) -> bool:
        """See `Stop`."""
        return self._agreed is not None

    @property
    def signal_number(self) -> int:
        """See `Stop`."""
        return int(self._agreed["signal"]) if self._agreed else 0

    @property
    def why(self) -> str:
        """See `Stop`."""
        return str(self._agreed["why"]) if self._agreed else ""


def cluster_here(strategy: str | None) -> Cluster | None:
    """The workers to train with, unless `--strategy` says otherwise. Raises UsageError."""
    if strategy in ("none", "mirrored"):
        return None
    cluster = find_cluster(os.environ)
    return cluster if cluster is not None and len(cluster.workers) > 1 else None


@contextmanager
def crew_of(cluster: Cluster | None, scratch: Path, notify: Callable[[str], object]) -> Iterator[Crew | None]:
    """The workers that train together; None for one alone. Whatever ends this one, the others hear of it.

    A mistake that the chief has made as well is the chief's to tell.

    Raises:
        RunError, UsageError: see `dlcli.training.meeting.meet`; while entered: another worker is gone.
    """
    if cluster is None:
        yield None
        return
    peers = meet(cluster, notify)
    name = f"worker {cluster.index} ({cluster.workers[cluster.index]})"
    try:
        yield Crew(peers, scratch)
    except Interrupted:
        peers.close(f"{name} was stopped")  # they stop as well, most often after the same step
        raise
    except PeerGoneError:
        peers.close(peers.gone)
        raise
    except Exception as error:
        message = error.message if isinstance(error, DlcliError) else f"{type(error).__name__}: {error}"
        if peers.gone is not None and not _says(peers, message):  # what failed is most likely what waited for it
            peers.close(peers.gone)
            kept = f" {error.message}" if isinstance(error, RunError) else ""
            raise PeerGoneError(f"{peers.gone}.{kept}", AGAIN) from error
        if isinstance(error, DlcliError) and not peers.is_chief:
            error.is_told = _says(peers, message, within=_TOLD_WITHIN)
        peers.close(f"{name} stopped: {message}")
        raise
    except BaseException:
        peers.close(f"{name} was stopped")
        raise
    peers.close()


def _says(peers: Peers, message: str, within: float = 0.0) -> bool:
    """Whether another worker has ended with the same message, or does so in so many seconds."""
    until = time.monotonic() + within
    while peers.gone is None and time.monotonic() < until:
        time.sleep(0.05)
    return peers.gone is not None and peers.gone.endswith(f"stopped: {message}".rstrip("."))


def shared_point(crew: Crew, point: Point | None) -> Point | None:
    """What the chief goes on from, for all workers; what the others give does not count."""
    path = None
    if point is not None:
        path = point.run.path if point.run is not None and point.is_newest else None
        if path is None and point.checkpoint is not None:
            path = point.checkpoint.path
    path = crew.share_run(path)
    return point if crew.is_chief or path is None else find_point(path, lambda text: None)
