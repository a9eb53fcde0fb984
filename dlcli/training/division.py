"""What dividing a batch among several copies of a model is, whatever they are on; and what it is for one.

`dlcli.training.on_devices` has them on the devices of this machine, `dlcli.training.on_workers` on those of a cluster.

Each copy takes its share of the examples through the layers. What they put out is put together before the loss, so that
loss, metrics, masks, weights of examples and the last, smaller batch are what they are for one copy; and the gradient
is that of the whole batch. Only layers that look beyond their example see a share where they would see a batch: a
`BatchNormalization` that is not `synchronized` takes the statistics of each share, and keeps their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import keras

from dlcli.training.feeding import Data, Pace
from dlcli.training.shares import Shared


class Division(Protocol):
    """How a batch is divided.

    Attributes:
        name: as in `train.strategy`.
        replicas: how many copies of the model there are.
        is_chief: whether what this process writes is kept.
    """

    name: str
    replicas: int
    is_chief: bool

    def data(self, data: Data) -> Data | Shared:
        """The examples, as this process reads them."""

    def own(self, batch_size: int) -> int:
        """How many of a whole batch this process reads."""

    def pace(self, most: int | None = None) -> Pace:
        """How many steps a call runs, the same in all processes."""

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes."""

    def share_file(self, path: Path) -> None:
        """Let all processes have what the first one has there."""

    def waiting(self) -> AbstractContextManager[None]:
        """While entered, steps run, which wait for those of other processes."""

    def gone(self) -> str | None:
        """Why a step has failed, if the reason is that another process is gone."""

    def tracing(self, model: keras.Model) -> AbstractContextManager[None]:
        """While entered, the steps of the model are divided as they are traced."""

    def step_of(self, total: Any, batch_size: int) -> None:
        """The step that is traced next has that many examples, in all processes together; at most the second."""

    def whole(self, parts: Any) -> Any:
        """In a step: targets and weights of all processes' examples, for those of this one's."""

    def drawing_apart(self, variables: Sequence[Any]) -> AbstractContextManager[None]:
        """While entered, layers with these variables draw other random numbers than in other processes."""


class Undivided:
    """One copy of the model."""

    name, replicas, is_chief = "none", 1, True

    def data(self, data: Data) -> Data | Shared:
        """See `Division`."""
        return data

    def own(self, batch_size: int) -> int:
        """See `Division`."""
        return batch_size

    def pace(self, most: int | None = None) -> Pace:
        """See `Division`."""
        return Pace(most)

    def any(self, flag: bool) -> bool:
        """See `Division`."""
        return flag

    def share_file(self, path: Path) -> None:
        """See `Division`."""

    def waiting(self) -> AbstractContextManager[None]:
        """See `Division`."""
        return nullcontext()

    def gone(self) -> str | None:
        """See `Division`."""
        return None

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        yield

    def step_of(self, total: Any, batch_size: int) -> None:
        """See `Division`."""

    def whole(self, parts: Any) -> Any:
        """See `Division`."""
        return parts

    @contextmanager
    def drawing_apart(self, variables: Sequence[Any]) -> Iterator[None]:
        """See `Division`."""
        yield
