"""The same networks in PyTorch, as a careful person writes the loop: data prepared once, no synchronisation a step."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.benchmarks.networks import shapes
from tests.benchmarks.turns import report, wait_for_turn


class Last(nn.Module):
    """An LSTM's output at the last step."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def forward(self, x: Any) -> Any:
        """Shape (batch, steps, features) to (batch, units)."""
        return self.lstm(x)[0][:, -1]


def networks() -> dict[str, nn.Sequential]:
    """The networks by their names."""
    mlp: list[nn.Module] = [nn.Flatten()]
    for inputs in (784, 512, 512):
        mlp += [nn.Linear(inputs, 512), nn.ReLU(), nn.Dropout(0.2)]
    convolutions: list[nn.Module] = []
    for inputs, filters in ((3, 32), (32, 64)):
        convolutions += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(), nn.Conv2d(filters, filters, 3), nn.ReLU()]
        convolutions += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    return {
        "two_class_sigmoid": nn.Sequential(
            nn.Linear(2, 100), nn.Sigmoid(), nn.Linear(100, 100), nn.Sigmoid(), nn.Linear(100, 1), nn.Sigmoid()
        ),
        "mnist_mlp_dropout": nn.Sequential(*mlp, nn.Linear(512, 10)),
        "mnist_cnn": nn.Sequential(
            nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(3200, 128), nn.ReLU(), nn.Linear(128, 10),
        ),
        "cifar10_cnn": nn.Sequential(
            *convolutions, nn.Flatten(), nn.Linear(2304, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)
        ),
        "lstm": nn.Sequential(Last(1, 64), nn.Linear(64, 1), nn.Sigmoid()),
    }  # fmt: skip


def data(script: str, rows: int, folder: Path) -> tuple[Any, Any]:
    """Examples, channels last in memory where there are channels, and their labels."""
    if script in ("two_class_sigmoid", "lstm"):
        x = torch.tensor(np.random.default_rng(0).normal(size=(rows, *shapes(script)[0])).astype("float32"))
        return x, (x.flatten(1).sum(1, keepdim=True) > 0).float()
    with np.load(folder / f"{script.split('_')[0]}.npz") as arrays:
        images = torch.tensor(arrays["x_train"][:rows].astype("float32") / 255)
        labels = torch.tensor(arrays["y_train"][:rows].astype("int64").ravel())
    images = images.permute(0, 3, 1, 2) if script == "cifar10_cnn" else images[:, None]
    return images.contiguous(memory_format=torch.channels_last), labels


def loss_and_optimizer(script: str, parameters: Any) -> tuple[Any, Any, Any]:
    """The loss, the optimizer, and what counts the examples that are right."""
    criterion = {"two_class_sigmoid": nn.MSELoss(), "lstm": nn.BCELoss()}.get(script, nn.CrossEntropyLoss())
    if script == "two_class_sigmoid":
        return criterion, torch.optim.SGD(parameters, 0.01), _right_of_two
    right = _right_of_two if script == "lstm" else _right_of_many
    return criterion, torch.optim.Adam(parameters, 1e-3, fused=True), right


def _right_of_two(outputs: Any, targets: Any) -> Any:
    return ((outputs > 0.5) == (targets > 0.5)).sum()


def _right_of_many(outputs: Any, targets: Any) -> Any:
    return (outputs.argmax(1) == targets).sum()


def main(script: str, batch_size: int, rows: int, folder: Path) -> None:
    """Train for ever."""
    torch.manual_seed(0)
    x, y = data(script, rows, folder)
    model = networks()[script].to(memory_format=torch.channels_last)
    criterion, optimizer, right = loss_and_optimizer(script, model.parameters())
    while True:
        wait_for_turn()
        began = time.perf_counter()
        total, correct, steps = torch.zeros(()), torch.zeros(()), 0
        order = torch.randperm(rows)
        for start in range(0, rows, batch_size):
            chosen = order[start : start + batch_size]
            inputs, targets = x[chosen], y[chosen]
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
            correct += right(outputs, targets)
            steps += 1
        total.item(), correct.item()  # read once an epoch, which also waits for the last step
        report(time.perf_counter() - began, steps)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
