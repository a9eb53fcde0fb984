"""What grows with the number of copies of a model: batch and learning rate, where the spec asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import SpecError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.replicated import for_copies
from dlcli.training.devices import copies
from tests.conftest import known_spec

_SPEC = """
dataset: {source: iris, batch_size: 8}
model: {layers: [{Dense: {units: 3, activation: softmax}}]}
loss: sparse_categorical_crossentropy
optimizer: {SGD: {learning_rate: 0.1, momentum: 0.9}}
"""


def _loaded(folder: Path, train: str, spec: str = _SPEC) -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(f"{spec}train: {{{train}}}\n")
    return known_spec(path)


def test_nothing_grows_unasked(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "epochs: 1")
    assert for_copies(loaded, 4) is loaded


def test_batch_and_rate_grow_once(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "scale_batch: true, scale_learning_rate: true")
    grown = for_copies(loaded, 4)
    assert grown.spec.dataset.batch_size == 32
    assert grown.spec.optimizer.arguments == {"learning_rate": 0.4, "momentum": 0.9}
    assert for_copies(grown, 4) is grown


def test_a_rate_warms_up_by_a_schedule_of_keras(tmp_path: Path) -> None:
    from dlcli.model.objects import make_object

    loaded = for_copies(_loaded(tmp_path, "scale_learning_rate: true, warmup_steps: 10"), 4)
    optimizer: Any = make_object("optimizer", loaded.spec.optimizer, ("optimizer",))
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 99)]
    assert rates == pytest.approx([0.1, 0.25, 0.4, 0.4])


@pytest.mark.parametrize(
    ("train", "spec", "says"),
    [
        ("scale_learning_rate: true", _SPEC.replace("{SGD: {learning_rate: 0.1, momentum: 0.9}}", "SGD"), "names none"),
        (
            "scale_learning_rate: true",
            _SPEC.replace("0.1", "{ExponentialDecay: {initial_learning_rate: 1, decay_steps: 2, decay_rate: 0.5}}"),
            "a schedule has its own",
        ),
        ("scale_learning_rate: true, warmup_steps: 5, callbacks: [ReduceLROnPlateau]", _SPEC, "`ReduceLROnPlateau`"),
        ("warmup_steps: 5", _SPEC, "goes with `scale_learning_rate: true`"),
    ],
)
def test_what_cannot_grow_is_refused(tmp_path: Path, train: str, spec: str, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        for_copies(_loaded(tmp_path, train, spec), 2)
    assert "spec.yaml:" in str(caught.value.problems[0].position)


@pytest.mark.parametrize(
    ("strategy", "device", "workers", "gpus", "expected"),
    [
        ("auto", "auto", 1, 0, 1), ("auto", "auto", 1, 4, 4), ("auto", "gpu:0,2", 1, 4, 2), ("auto", "cpu", 1, 4, 1),
        ("none", "auto", 1, 4, 1), ("mirrored", "cpu:0,1", 1, 0, 2), ("auto", "cpu:0,1", 1, 0, 1),
        ("auto", "auto", 3, 1, 3), ("multi_worker", "auto", 3, 0, 3), ("multi_worker", "auto", 1, 4, 1),
    ],
)  # fmt: skip
def test_how_many_copies_there_will_be(strategy: str, device: str, workers: int, gpus: int, expected: int) -> None:
    assert copies(strategy, device, workers, gpus) == expected
