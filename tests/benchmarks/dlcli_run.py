"""`dlcli train` itself, whole: display, metrics, history and checkpoints included. Waits before each epoch."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.cli.options import catalogue
from dlcli.data.where import Where
from dlcli.spec.loading import load_spec
from dlcli.spec.overrides import parse_override
from dlcli.training.listening import EpochEnd, Start
from dlcli.training.session import Hooks, TrainRequest, run_training
from tests.benchmarks.networks import NETWORKS
from tests.benchmarks.turns import report, wait_for_turn

CONFIGS = Path(__file__).parents[2] / "configs"


class Turns:
    """A listener that holds each epoch back until its turn has come."""

    def phase(self, text: str) -> None: ...
    def notice(self, title: str, lines: Sequence[str]) -> None: ...
    def notice_here(self, title: str, lines: Sequence[str]) -> None: ...
    def progressed(self, steps: int, logs: Mapping[str, float]) -> None: ...
    def validating(self, share: float) -> None: ...
    def ended(self, end: Any) -> None: ...
    def fold_started(self, number: int, folds: int) -> None: ...
    def folds_ended(self, end: Any) -> None: ...

    def started(self, start: Start) -> None:
        """Remember how many steps an epoch has."""
        self._steps = start.steps_per_epoch

    def epoch_started(self, epoch: int) -> None:
        """Wait."""
        wait_for_turn()
        self._began = time.perf_counter()

    def epoch_ended(self, end: EpochEnd) -> None:
        """Tell the time, checkpoint and all."""
        report(time.perf_counter() - self._began, self._steps)


def main(name: str, data_dir: Path, engine: str) -> None:
    """Train the network `name` for ever."""
    network = next(network for network in NETWORKS if network.name == name)
    overrides = ["train.epochs=1000000", f"dataset.batch_size={network.batch_size}", *network.overrides]
    with tempfile.TemporaryDirectory() as folder:
        config = CONFIGS / f"{network.config}.yaml"
        if network.config is None:
            config = Path(folder) / "spec.yaml"
            config.write_text(network.spec)
        loaded = load_spec(config, catalogue(), [parse_override(text) for text in overrides])
        where = Where(data_dir, False, lambda text: None)
        request = TrainRequest(
            loaded, config.read_text(), config.parent, where, "cpu", Path(folder), None, False, engine == "keras", []
        )
        run_training(request, Turns(), Hooks(lambda run: None, lambda summary: "", lambda: None))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
