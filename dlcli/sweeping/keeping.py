"""The examples that several trials train on, read once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from dlcli.spec.loading import LoadedSpec
from dlcli.spec.writing import to_flow

_NOT_OF_THE_EXAMPLES = {"batch_size", "shuffle", "augment"}


class Kept:
    """What was read for the last trial, for those after it that have the same data."""

    def __init__(self) -> None:
        self._of = ""
        self._kept: dict[Hashable, Any] = {}

    def with_kept(self, loaded: LoadedSpec) -> LoadedSpec:
        """The spec with what was read for it already; what is read for it from now on is kept, and all else let go."""
        spec = loaded.spec
        dataset = spec.dataset.model_dump(exclude=_NOT_OF_THE_EXAMPLES)
        of = f"{spec.dataset.source.name} {to_flow([dataset, spec.seed, loaded.extensions])}"
        if of != self._of:
            self._of, self._kept = of, {}
        return replace(loaded, kept=self._kept)
