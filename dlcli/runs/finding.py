"""Which run a person means: a folder, a checkpoint in it, or a name as lists of runs have it. Imports nothing heavy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlcli.errors import CheckpointError, RunError
from dlcli.runs import RunFolder

RUNS = Path("runs")
"""the folder of all runs, where no other is named"""
SWEEP = "sweep.json"
"""what the folder of a sweep has instead of a run.json"""
_TIMED = re.compile(r"\d{8}T\d{6}Z-(?P<letters>[a-z]{4})")


def find_checkpoints(path: Path, runs_dir: Path = RUNS) -> list[Path]:
    """The checkpoints that a person may mean, the best first: a .h5 file; those of a run, or of `runs/<name>`'s newest.

    Raises:
        CheckpointError: there is none.
    """
    if path.exists() and not path.is_dir():
        return [path]
    for folder in (path, newest(path), named_run(path, runs_dir)):
        run = RunFolder(best_trial(folder) or folder) if folder else None
        found = [file for file in (run.best, run.last, *run.kept) if file.exists()] if run else []
        if found:
            return found
        if run is not None and run.folds:
            names = ", ".join(one.path.name for one in run.folds)
            hint = f"Name one: {run.folds[0].path}."
            raise CheckpointError(f"{folder} has a run for each of its folds: {names}.", hint)
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint or run {path}.", "`dlcli runs` lists the runs that are here.")
    raise CheckpointError(f"{path} is not a run: it has no checkpoints/best.h5.", "Name a run's folder or a .h5 file.")


def best_trial(sweep: Path) -> Path | None:
    """The run of the best trial in the folder of a sweep; None if it has none, or is no sweep."""
    try:
        best = json.loads((sweep / SWEEP).read_text(encoding="utf-8")).get("best")
        return sweep / "trials" / str(best["trial"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def find_run(path: Path, runs_dir: Path = RUNS) -> RunFolder | None:
    """The run that a person means: its folder, a checkpoint in it, `runs/<name>`, or as `named_run` has it.

    Raises:
        CheckpointError: it may be one or another.
    """
    for folder in (path, path.parent.parent if path.suffix == ".h5" else newest(path)):
        if folder is not None and (folder / "run.json").is_file():
            return RunFolder(folder)
    named = named_run(path, runs_dir)
    return RunFolder(named) if named is not None and (named / "run.json").is_file() else None


def the_run(path: Path, runs_dir: Path = RUNS) -> RunFolder:
    """The run that a person means, or the folder of a sweep. Raises CheckpointError if there is none."""
    found = find_run(path, runs_dir)
    if found is None:
        for folder in (path, named_run(path, runs_dir)):
            if folder is not None and (folder / SWEEP).is_file():
                return RunFolder(folder)
        hint = f"`dlcli runs{'' if runs_dir == RUNS else f' --runs-dir {runs_dir}'}` lists the runs that are here."
        raise CheckpointError(f"There is no run {path}.", hint)
    is_link = found.path.is_symlink()
    return RunFolder(found.path.parent / found.path.resolve().name) if is_link and _is_beside(found.path) else found


def _is_beside(link: Path) -> bool:
    """Whether a link, such as `latest`, leads to a folder beside it."""
    return link.resolve().parent == link.parent.resolve()


def named_run(name: Path, runs_dir: Path = RUNS) -> Path | None:
    """The folder of a run in `runs_dir` that is named as in lists; None if there is none.

    Its name, for its newest; `latest`, for the newest of all; the four letters at the end of its folder's name, or all
    of that; and `<name>/` before each of these.

    Raises:
        CheckpointError: several runs are named so.
    """
    if name.is_absolute() or not 1 <= len(name.parts) <= 2 or ".." in name.parts:
        return None
    if len(name.parts) == 1:
        if str(name) == "latest":
            return _newest_of_all(runs_dir)
        whole = _newest_of(runs_dir, str(name))
        if whole is not None:
            return whole
    *names, wanted = name.parts
    if names and wanted == "latest":
        return _newest_of(runs_dir, names[0])
    found = [path for path in _folders(runs_dir, names[0] if names else None) if wanted in (path.name, short_id(path))]
    if len(found) > 1:
        which = ", ".join(str(path.relative_to(runs_dir)) for path in found[:10])
        raise CheckpointError(f"Several runs are called {name}: {which}.", "Name one of these.")
    return found[0] if found else None


def short_id(path: Path) -> str:
    """What a run is called in lists, behind its name: four letters; or the name that its folder was given."""
    timed = _TIMED.fullmatch(path.name)
    return timed.group("letters") if timed else path.name


def called(path: Path) -> str:
    """What to call the run in a folder, in a command: as lists do, if it is in the usual folder of runs."""
    return f"{path.parent.name}/{short_id(path)}" if path.parents[1:2] == (RUNS,) else str(path)


def newest(path: Path) -> Path | None:
    """The run that `latest` in the folder `path` leads to."""
    latest = path / "latest"
    if latest.is_file():
        return path / latest.read_text(encoding="utf-8").strip()
    return latest if latest.is_dir() else None


def runs_of(runs_dir: Path, name: str) -> list[RunFolder]:
    """The runs of a spec's name, newest first by when they began."""
    found = []
    for path in _folders(runs_dir, name):
        run = RunFolder(path)
        with suppress(RunError):  # what cannot be read is no run
            found.append((began(run.read_record()), run))
    return [run for _, run in sorted(found, key=lambda pair: (pair[0], str(pair[1].path)), reverse=True)]


def began(record: Mapping[str, Any]) -> str:
    """When a run began, so that later ones are larger; one that does not say is the oldest."""
    return str(record.get("began") or "")


def _folders(runs_dir: Path, name: str | None) -> Iterator[Path]:
    """The folders with a run.json, or of sweeps, of one name or of all."""
    parents = [runs_dir / name] if name is not None else sorted(runs_dir.glob("[!.]*"))
    for parent in parents:
        for record in (*parent.glob("[!.]*/run.json"), *parent.glob(f"[!.]*/{SWEEP}")):
            if not record.parent.is_symlink() and record.parent.name != "latest":
                yield record.parent


def _newest_of(runs_dir: Path, name: str) -> Path | None:
    folder = newest(runs_dir / name)
    if folder is not None:
        return folder
    run = next((run.path for run in runs_of(runs_dir, name)), None)
    return run or max(_sweeps(runs_dir, name), key=_began_of_sweep, default=None)


def _sweeps(runs_dir: Path, name: str) -> list[Path]:
    """The folders of sweeps of a spec's name, whose trials have no other."""
    return [path for path in _folders(runs_dir, name) if (path / SWEEP).is_file()]


def _began_of_sweep(path: Path) -> tuple[str, str]:
    try:
        return began(json.loads((path / SWEEP).read_text(encoding="utf-8"))), str(path)
    except (OSError, ValueError, AttributeError):
        return "", str(path)


def _newest_of_all(runs_dir: Path) -> Path | None:
    names = [path.name for path in runs_dir.glob("[!.]*")]
    each = [(began(run.read_record()), str(run.path)) for name in names for run in runs_of(runs_dir, name)[:1]]
    each += [_began_of_sweep(sweep) for name in names for sweep in _sweeps(runs_dir, name)]
    return Path(max(each)[1]) if each else None
