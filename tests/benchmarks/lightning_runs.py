"""The same networks with Lightning's `Trainer`, as its documentation shows: a module, a DataLoader, defaults."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.torch_loops import data, loss_and_optimizer, networks
from tests.benchmarks.turns import report, wait_for_turn


class Module(lightning.LightningModule):
    """A network with its loss and its accuracy."""

    def __init__(self, script: str) -> None:
        super().__init__()
        self.network = networks()[script].to(memory_format=torch.channels_last)
        self.loss, self.optimizer, self.right = loss_and_optimizer(script, self.network.parameters())

    def training_step(self, batch: Any, number: int) -> Any:
        """The loss of a batch."""
        x, y = batch
        outputs = self.network(x)
        loss = self.loss(outputs, y)
        self.log("accuracy", self.right(outputs, y) / len(x), on_step=False, on_epoch=True)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        """As in the other scripts."""
        return self.optimizer


class Turns(lightning.Callback):
    """Holds each epoch back until its turn has come."""

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Wait."""
        wait_for_turn()
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Tell the time."""
        report(time.perf_counter() - self._began, trainer.num_training_batches)


def main(script: str, batch_size: int, rows: int, folder: Path) -> None:
    """Train for ever."""
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(*data(script, rows, folder)), batch_size=batch_size, shuffle=True)
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=-1, callbacks=[Turns()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module(script), loader)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
