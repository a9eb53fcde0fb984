"""The data of a spec, split; read ahead, where it can be, while TensorFlow is being imported. Imports no TensorFlow."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from dlcli.data.dataset import Dataset
from dlcli.data.fallback import adapt
from dlcli.data.keras_cache import UnreachableError
from dlcli.data.looking import load_files
from dlcli.data.sources import load_dataset
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.where import Where
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import FileSource
from dlcli.spec.sources import SOURCES

Data = tuple[Dataset, Splits]


def load_data(
    loaded: LoadedSpec, where: Where, recorded: dict[str, Any] | None = None, *, allow_download: bool = True
) -> Data:
    """The data of a spec, split.

    Args:
        loaded: the spec.
        where: where the data may come from.
        recorded: what a checkpoint says of its data: the same source is then taken.
        allow_download: whether what is in no folder may be downloaded.

    Raises:
        DataError: it cannot be had, or not be split so.
    """
    spec = loaded.spec.dataset
    if isinstance(spec.source, FileSource):
        return load_files(loaded, spec.source, where, recorded)
    dataset = loaded.once("dataset", lambda: _load(loaded, where, recorded, allow_download=allow_download))
    dataset = dataset.asked(heads_of(loaded.spec))
    return dataset, split_as_written(loaded, dataset)


def _load(loaded: LoadedSpec, where: Where, recorded: dict[str, Any] | None, *, allow_download: bool) -> Dataset:
    spec, seed = loaded.spec.dataset, loaded.spec.seed
    if recorded and recorded.get("requested"):
        stand_in = spec.fallback if spec.fallback is not None else SOURCES[recorded["source"]]()
        found = load_dataset(
            stand_in, data_dir=where.data_dir, seed=seed, notify=where.notify, progressed=where.progressed
        )
        return adapt(found, type(spec.source))
    # A model that was trained on the source itself is never evaluated on something else.
    fallback = spec.fallback if where.allow_fallback and recorded is None else None
    return load_dataset(
        spec.source,
        fallback=fallback,
        data_dir=where.data_dir,
        seed=seed,
        allow_download=allow_download,
        notify=where.notify,
        progressed=where.progressed,
    )


def sizes_of_folds(loaded: LoadedSpec, where: Where) -> list[dict[str, int]]:
    """How many examples each split of each fold has, if the spec is for all folds. Raises DataError."""
    if not loaded.spec.dataset.has_all_folds:
        return []
    quiet = replace(where, notify=lambda text: None)  # it was told when the first one was read
    found = []
    for number in range(1, (loaded.spec.dataset.folds or 0) + 1):
        _, splits = load_data(loaded.of_fold(number), quiet)
        found.append({name: len(splits.named(name)) for name in splits.names})
    return found


class ReadAhead:
    """Reads the data of a spec in a thread of its own; what it finds, also wrong, is told when it is asked for.

    Data that is not on this machine is left alone: a download, or a fallback, begins when it is asked for.
    """

    def __init__(self, loaded: LoadedSpec, where: Where, recorded: dict[str, Any] | None = None) -> None:
        self._loaded, self._where, self._recorded = loaded, where, recorded
        self._data: Data | None = loaded.data.pop() if loaded.data else None
        self._error: Exception | None = None
        self._notes: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True, name="dlcli-read-ahead")
        self._thread.start()

    def _read(self) -> None:
        if self._data is not None:
            return
        where = replace(self._where, notify=self._notes.append, allow_fallback=False)
        try:
            self._data = load_data(self._loaded, where, self._recorded, allow_download=False)
        except UnreachableError:
            self._notes.clear()
        except Exception as error:  # noqa: BLE001 - raised where the data is asked for
            self._error = error

    def result(self) -> Data:
        """The data, split. Raises DataError, as `load_data` does."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        for note in self._notes:
            self._where.notify(note)
        if self._data is None:
            self._data = load_data(self._loaded, self._where, self._recorded)
        data, self._data = self._data, None  # whoever has it now can let go of it
        return data
