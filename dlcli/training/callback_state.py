"""What callbacks remember from epoch to epoch, as plain data and arrays: so that a resumed run's go on as they were."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array
from dlcli.errors import CheckpointError
from dlcli.files import replacing

GROUP = "callbacks"
Arrays = dict[str, Array]


class CallbackMemory:
    """The attributes of callbacks that have changed since training began.

    Only numbers and arrays are kept, and lists, tuples and mappings of them. That is all that the callbacks of Keras
    3.15.1 remember; what they hold besides, such as functions and open files, they make anew. Texts say where files go,
    and are the spec's alone: a checkpoint from a stranger must not send them elsewhere.

    Args:
        callbacks: as they are right after `on_train_begin`.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks = list(callbacks)
        self._at_first = [_plain_attributes(callback) for callback in self._callbacks]

    def state(self) -> tuple[list[dict[str, Any]], Arrays]:
        """For each callback its class and what it remembers, for JSON, and the arrays that this speaks of by name."""
        arrays: Arrays = {}
        states = []
        for number, (callback, first) in enumerate(zip(self._callbacks, self._at_first, strict=True)):
            changed = {
                name: _packed(value, f"{GROUP}/{number}/{name}", arrays)
                for name, value in _plain_attributes(callback).items()
                if name not in first or not _same(first[name], value)
            }
            compares = getattr(callback, "monitor_op", None) is not None
            states.append({"class": type(callback).__name__, "compares": compares, "attributes": changed})
        return states, arrays

    def restore(self, states: Sequence[Mapping[str, Any]], arrays: Mapping[str, Array]) -> None:
        """Let the callbacks remember what `state` gave. Raises CheckpointError if they are others."""
        then = [state["class"] for state in states]
        now = [type(callback).__name__ for callback in self._callbacks]
        if then != now:
            names = f"{', '.join(then) or 'none'}; now they are {', '.join(now) or 'none'}"
            raise CheckpointError(f"The checkpoint's callbacks were {names}.")
        for callback, state in zip(self._callbacks, states, strict=True):
            self._restore(callback, state, arrays)

    def restore_what_fits(self, states: Sequence[Mapping[str, Any]], arrays: Mapping[str, Array]) -> list[str]:
        """Let the callbacks that were there then remember, by their classes; gives the names of the others."""
        left = list(states)
        anew = []
        for callback in self._callbacks:
            name = type(callback).__name__
            state = next((state for state in left if state["class"] == name), None)
            if state is None:
                anew.append(name)
            else:
                left.remove(state)
                self._restore(callback, state, arrays)
        return anew

    def _restore(self, callback: Any, state: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        if state["compares"] and getattr(callback, "monitor_op", 0) is None:
            # Keras 3.15.1 turns the sign of `min_delta` when it first compares; to be done before, not after.
            callback._set_monitor_op()
        for name, value in state["attributes"].items():
            unpacked = _unpacked(value, arrays)
            if not _is_plain(unpacked) or hasattr(type(callback), name):
                raise CheckpointError(
                    f"The checkpoint has a `{name}` for `{type(callback).__name__}`, which is not used."
                )
            setattr(callback, name, unpacked)


def begin_patience_anew(callbacks: Sequence[Any]) -> None:
    """Let callbacks that have ended a training wait as long as at first before they end it again."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping):
            callback.wait = callback.stopped_epoch = 0


def go_on_in_files(callbacks: Sequence[Any], epochs: int) -> None:
    """Let callbacks that write a row an epoch append to their files, which then end after `epochs` rows.

    Raises:
        RunError: a file cannot be written.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.CSVLogger) or epochs == 0:
            continue
        path = Path(callback.filename)
        if path.exists():
            _cut(path, callback.sep, epochs)
            callback.append = True


def close_files(callbacks: Sequence[Any]) -> None:
    """Close what callbacks have open, which they do themselves only if the training comes to its end."""
    for callback in callbacks:
        file = getattr(callback, "csv_file", None)
        if file is not None:
            file.close()


def _cut(path: Path, separator: str, epochs: int) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file, delimiter=separator)) or [[]]
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([header, *(row for row in rows if row and row[0].isdigit() and int(row[0]) < epochs)])


def _plain_attributes(callback: Any) -> dict[str, Any]:
    own = {name: value for name, value in vars(callback).items() if name not in ("_model", "params")}
    return {name: value for name, value in own.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, (bool, int, float))


def _same(first: Any, second: Any) -> bool:
    arrays: Arrays = {}
    others: Arrays = {}
    # Compared as they would be written: NaN is the same as NaN there.
    return repr(_packed(first, "", arrays)) == repr(_packed(second, "", others)) and all(
        array.dtype == others[name].dtype and array.tobytes() == others[name].tobytes()
        for name, array in arrays.items()
    )


def _packed(value: Any, name: str, arrays: Arrays) -> Any:
    """`value` for JSON; its arrays go to `arrays`, under names that begin with `name`."""
    if isinstance(value, (np.ndarray, np.generic)):
        arrays[name] = np.asarray(value)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if isinstance(value, (list, tuple)):
        items = [_packed(item, f"{name}/{number}", arrays) for number, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if isinstance(value, dict):
        return {"mapping": {key: _packed(item, f"{name}/{key}", arrays) for key, item in value.items()}}
    return value


def _unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind in ("array", "scalar"):
        return np.array(arrays[content]) if kind == "array" else arrays[content][()]
    if kind == "mapping":
        return {key: _unpacked(item, arrays) for key, item in content.items()}
    items = [_unpacked(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items
