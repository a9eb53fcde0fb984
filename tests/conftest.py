"""Fixtures that many tests share: the command as a user runs it, in this process, and runs to look at."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dlcli.spec.catalogue import Catalogue
    from dlcli.spec.loading import LoadedSpec

REPOSITORY = Path(__file__).parents[1]
CONFIGS = REPOSITORY / "configs"
SHIPPED_CATALOGUE = REPOSITORY / "dlcli" / "spec" / "catalogue.json"
_ORDINARY_SECONDS = 0.06  # for a million additions in Python
DATA_DIR = os.environ.get("DLCLI_DATA_DIR")


# Configs whose data is not part of the project.
OF_FILES = ("cifar10_folders", "mpg", "penguins", "sms_spam", "temperatures")


IMAGE_SETS = {"mnist": (28, 28), "cifar10": (32, 32, 3)}


def skip_without_files(name: str) -> None:
    """Skips a test of a config whose data is not there."""
    if name in OF_FILES and not DATA_DIR:
        pytest.skip("DLCLI_DATA_DIR does not say where the files of this config are")


IS_THOROUGH = bool(os.environ.get("DLCLI_THOROUGH"))
thorough = pytest.mark.skipif(not IS_THOROUGH, reason="takes long: DLCLI_THOROUGH=1 runs it")


def some_of(names: Sequence[str], *chosen: str) -> list[str]:
    """Those chosen, for each run of the tests; DLCLI_THOROUGH=1 in the environment takes all."""
    assert set(chosen) <= set(names)
    return list(names if IS_THOROUGH else chosen)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What the tests import stays: no garbage is looked for there, by `keras.utils.clear_session` for one."""
    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in () if IS_THOROUGH else ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
                patch.setenv(name, "1")  # for a module that computes when it is imported
            collected = yield
    finally:
        gc.freeze()
        gc.enable()
    if "tensorflow" in sys.modules and not IS_THOROUGH:
        _take_one_thread()
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests, which take long, come first: at the end, what is short keeps all processes of tests busy."""
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: counts[item.path])


def _take_one_thread() -> None:
    """Let TensorFlow have one thread in this process, since there is a process of tests for each processor.

    Of more threads each would only wait for others. A process that a test starts has those that dlcli chooses.
    """
    import tensorflow as tf

    with suppress(RuntimeError):  # it has begun to compute, with one
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees, or changes, what is in the home of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("KERAS_HOME", str(home / "keras"))
        patch.setenv("COLUMNS", "100")
        yield


@pytest.fixture
def dlcli(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, so that TensorFlow is imported once for all tests."""

    def run(*arguments: object) -> Done:
        from dlcli.cli.app import app

        capfd.readouterr()
        code = 0
        try:
            app(_without_report(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def _without_report(arguments: Sequence[object]) -> list[str]:
    """The arguments of a command; a training writes no page on itself, which takes seconds, unless asked for one."""
    written = [str(argument) for argument in arguments]
    is_training = written[:1] == ["train"] and not {"--report", "--no-report"} & set(written)
    return [*written, "--no-report"] if is_training else written


@functools.cache
def shipped_catalogue() -> Catalogue:
    """The catalogue that comes with dlcli, whichever Keras is installed."""
    from dlcli.spec.catalogue import load_catalogue

    def make() -> dict[str, Any]:
        content: dict[str, Any] = json.loads(SHIPPED_CATALOGUE.read_text(encoding="utf-8"))
        return content

    return load_catalogue(make)


def seconds_here(seconds: float) -> float:
    """How long this machine may take, as it is now, for what takes an ordinary one so many seconds of computing.

    A virtual machine whose processors are taken away is ten times slower at times, and counts that as computing.
    """
    start = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number
    return seconds * max(1.0, (time.process_time() - start) / _ORDINARY_SECONDS)


def run_quietly(*arguments: object) -> int:
    """For fixtures of a wider scope than `capfd`: only the exit code."""
    from dlcli.cli.app import app

    try:
        app(_without_report(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def known_spec(path: Path) -> LoadedSpec:
    """A spec whose files of data, if it has any, were looked into."""
    from dlcli.cli.options import catalogue
    from dlcli.data.looking import look
    from dlcli.data.where import Where
    from dlcli.spec.loading import load_spec

    return load_spec(path, catalogue(), look=lambda found: look(found, Where(None, False, print)))


def in_new_process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as its own process, for what depends on how it starts or ends."""
    return subprocess.run(
        [sys.executable, "-m", "dlcli", *_without_report(arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="session")
def small_spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network on the embedded digits that trains in a moment, with all three splits."""
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    path.write_text(
        """name: small
seed: 3
dataset:
  source: digits
  validation: 0.2
  augment:
    - RandomTranslation: {height_factor: 0.05, width_factor: 0.05}
  batch_size: 100
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, activation: relu}
    - BatchNormalization
    - Flatten
    - Dropout: {rate: 0.1}
    - Dense: {units: 10, activation: softmax}
loss: categorical_crossentropy
optimizer:
  Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 0.02, decay_steps: 60}}}
metrics: [accuracy, {TopKCategoricalAccuracy: {k: 2, name: top_2}}]
train:
  epochs: 3
  callbacks:
    - EarlyStopping: {monitor: val_loss, patience: 10}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def small_run(small_spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of `small_spec`."""
    runs = tmp_path_factory.mktemp("runs")
    assert run_quietly("train", small_spec, "--runs-dir", runs, "--run-name", "first", "--quiet") == 0
    return runs / "small" / "first"


@pytest.fixture(scope="session")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of noise for each class, in the files of MNIST and CIFAR-10."""
    import numpy as np

    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, shape in IMAGE_SETS.items():
        made = {}
        for split, count in (("train", 100), ("test", 40)):
            made[f"x_{split}"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
            made[f"y_{split}"] = rng.permutation(np.arange(count, dtype=np.uint8) % 10)
        np.savez(folder / f"{name}.npz", **made)
    return folder
