"""The specs that a sweep may come to, tried out with their models built. Needs no Optuna."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dlcli.errors import Problem, SpecError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.overrides import Override
from dlcli.spec.parts import EVERYTHING
from dlcli.spec.trying import try_sweep
from dlcli.training.rehearsal import rehearse

LoadWith = Callable[[Sequence[Override]], LoadedSpec]
"""reads the spec with other values than its own, and without its `sweep`"""


def try_models(loaded: LoadedSpec, load: LoadWith, folder: Path) -> None:
    """Build the models that a sweep may come to, with shapes and no weights.

    Raises:
        SpecError: with the mistakes that this shows, at the places of the values that they come with.
    """

    def find(overrides: Sequence[Override]) -> Sequence[Problem]:
        try:
            return rehearse(load(overrides), EVERYTHING, folder=folder).problems
        except SpecError as error:
            return error.problems

    problems = try_sweep(loaded.spec.sweep, find) if loaded.spec.sweep is not None else []
    if problems:
        raise loaded.error(*problems)
