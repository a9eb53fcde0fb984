"""The best trial of a sweep as a spec of its own: the one that a person wrote, with the values that were found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import Path as SpecPath
from dlcli.errors import RunError, SpecError
from dlcli.figures import number
from dlcli.files import write_text, writing_failed
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.composition import put_together
from dlcli.spec.editing import edited
from dlcli.spec.trying import overrides_of
from dlcli.spec.writing import to_yaml
from dlcli.sweeping.reading import read_sweep
from dlcli.sweeping.result import SweepResult, Trial


def write_best(folder: SweepFolder, result: SweepResult, trial: Trial, path: Path) -> bool:
    """Write the spec of a trial to `path`; whether its text is still the one that a person wrote, with comments.

    Of several seeds it keeps none: it has the spec's own.

    Raises:
        RunError: it cannot be written.
    """
    first = result.parameters[0].choices[0] if trial.seed is not None else None
    data = _spec_of(folder, trial)
    # Of several specs, the folder has the text of the first alone.
    text = _as_written(folder, data, path) if first in (None, data["name"]) else None
    write_text(path, f"# {_head(folder, result, trial)}\n{text if text is not None else to_yaml(data)}")
    return text is not None


def _head(folder: SweepFolder, result: SweepResult, trial: Trial) -> str:
    own = next((one for one in result.configurations() if trial in one.trials), None)
    if own is None or own.mean is None:
        return f"Trial {trial.number} of {folder.path}: {result.metric} {number(trial.value or 0.0)}"
    return f"{own.name}, the best of {folder.path}: mean {result.metric} {number(own.mean)} of {len(own.figures)} seeds"


def _spec_of(folder: SweepFolder, trial: Trial) -> dict[str, Any]:
    """The spec of a trial as plain data, without its `sweep`."""
    if trial.seed is not None:
        files = folder.read_record().get("configs") or {}
        each = (_without_sweep(put_together(folder.path / file)) for file in files)
        return next(data for data in each if data["name"] == trial.values.get("config"))
    ordered = read_sweep(folder).ordered
    overrides = overrides_of({path: trial.values[path] for path in ordered if path in trial.values})
    return _without_sweep(put_together(folder.composed, overrides))


def _without_sweep(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "sweep"}


def _differing(then: Any, now: Any, path: SpecPath = ()) -> Iterator[SpecPath]:
    """The paths at which there is another value now, or one that was not there, or none any more."""
    if isinstance(then, dict) and isinstance(now, dict) and set(then) <= set(now):
        for key in now:
            yield from _differing(then.get(key), now[key], (*path, key))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, pair in enumerate(zip(then, now, strict=True)):
            yield from _differing(*pair, (*path, number))
    elif then != now:
        yield path


def _as_written(folder: SweepFolder, data: dict[str, Any], path: Path) -> str | None:
    """The spec's own text with the values; None if it does not say the same where it is to be."""
    written = (folder.path / "spec.yaml").read_text(encoding="utf-8")
    try:
        # There, since what it extends is not in the sweep's folder.
        then = {**_read_at(path, written), "name": data["name"]}
        text = edited(written, _differing(_without_sweep(then), data), data, without=("sweep",))
        found = _read_at(path, text) if text is not None else {}
    except SpecError:
        return None
    return _named(text, data) if text is not None and {**found, "name": data["name"]} == data else None


def _read_at(path: Path, text: str) -> dict[str, Any]:
    """What a text says as a spec in the folder of `path`. Raises SpecError, RunError."""
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part.yaml")
    try:
        beside.write_text(text, encoding="utf-8")
        return put_together(beside)
    except OSError as error:
        raise writing_failed(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def other_folder(folder: SweepFolder, path: Path) -> Path | None:
    """The folder of the sweep's spec, if its files are named from there, and `path` is in another one."""
    spec_folder = Path(str(folder.read_record().get("spec_folder") or path.parent))
    if path.parent.resolve() == spec_folder.resolve():
        return None
    data = put_together(folder.composed) if folder.composed.exists() else {}
    source = (data.get("dataset") or {}).get("source")
    arguments = next(iter(source.values()), None) if isinstance(source, dict) else None
    names_files = isinstance(arguments, dict) and bool({"path", "function"} & set(arguments))
    return spec_folder if names_files or data.get("extensions") else None


def _named(text: str, data: Mapping[str, Any]) -> str:
    """The text with the spec's name, which was that of its file if it has none."""
    is_there = any(line.startswith("name:") for line in text.splitlines())
    return text if is_there else f"name: {data['name']}\n{text}"


def check_free(path: Path, *, is_forced: bool) -> None:
    """Raises RunError if there is a file that nobody has said may go."""
    if path.exists() and not is_forced:
        raise RunError(f"{path} exists; nothing was written.", "Name another file, or add --force.")
