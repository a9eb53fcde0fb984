"""The rules about outputs, losses and metrics, asked for each of several outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import Spec
from dlcli.spec.heads import Head, heads_of
from dlcli.spec.lints import metrics, outputs
from dlcli.spec.lints.network import Network, find_head
from dlcli.spec.source import Source

_NEEDED = {"dataset", "model", "loss", "metrics"}
_RULES = (*outputs.RULES, *metrics.RULES)


class _OneTarget:
    """A source, as far as one of several targets is concerned."""

    def __init__(self, source: Source, classes: int | None) -> None:
        self._source = source
        self.number_of_classes = classes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def lint_heads(spec: Spec, sound: Collection[str]) -> Iterator[Problem]:
    """The warnings about each of several outputs; none if there is one, or if these sections are not sound."""
    heads = heads_of(spec)
    if len(heads) < 2 or not set(sound) >= _NEEDED:
        return
    inputs = tuple(spec.dataset.source.input_facts)
    for head in heads.values():
        facts = {
            "dataset": spec.dataset.model_copy(update={"source": _OneTarget(spec.dataset.source, head.classes)}),
            "loss": head.loss,
            "metrics": tuple(metric for metric, _ in head.metrics),
            "head": find_head(Network.of(spec.model, inputs, head.number)),
        }
        for rule in _RULES:
            if rule.asks() <= facts.keys():
                yield from (replace(problem, path=_moved(problem.path, head)) for problem in rule.problems(facts))


def _moved(path: Path, head: Head) -> Path:
    """A path of a model with one output, where it is written for this one."""
    if path[:1] == ("loss",):
        return (*head.loss_path, *path[1:])
    if path[:1] == ("metrics",) and len(path) > 1 and isinstance(path[1], int):
        return (*head.metrics[path[1]][1], *path[2:])
    return path
