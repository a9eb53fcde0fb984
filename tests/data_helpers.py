"""What the tests of the data sources share: small image sets, and shutting out the user's own files and the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data import keras_cache
from dlcli.data.dataset import Dataset

REAL_DATA = os.environ.get("DLCLI_DATA_DIR")
needs_real_data = pytest.mark.skipif(not REAL_DATA, reason="DLCLI_DATA_DIR does not say where the real data is")
NOT_THERE = "nothing.invalid: Name or service not known"


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's data folder or Keras cache, and none reaches for the network unless it says so."""
    monkeypatch.delenv("DLCLI_DATA_DIR", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(keras_cache, "probe", lambda url: NOT_THERE)


def arrays(shape: tuple[int, ...] = (28, 28), *, train: int = 20, test: int = 10) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, size=(train, *shape), dtype=np.uint8),
        "y_train": (np.arange(train) % 10).astype(np.uint8),
        "x_test": random.integers(0, 256, size=(test, *shape), dtype=np.uint8),
        "y_test": (np.arange(test) % 10).astype(np.uint8),
    }


def assert_holds(dataset: Dataset, content: dict[str, Any]) -> None:
    assert dataset.test is not None
    for examples, part in ((dataset.train, "train"), (dataset.test, "test")):
        assert examples.inputs.dtype == np.uint8
        assert examples.targets.dtype == np.int32
        np.testing.assert_array_equal(examples.inputs, content[f"x_{part}"])
        np.testing.assert_array_equal(examples.targets, content[f"y_{part}"].reshape(-1))
