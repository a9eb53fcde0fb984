"""Which sweep `dlcli sweep` is to run: a new one of a spec, or one that is there. Starts no TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.cli import options
from dlcli.errors import UsageError
from dlcli.runs import check_free
from dlcli.runs.sweeps import SweepFolder, find_sweep
from dlcli.spec.composition import put_together
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.overrides import Override, option

if TYPE_CHECKING:
    from dlcli.console import Screen

_SEEDS = re.compile(r"(\d{1,10})(?:\.\.(\d{1,10}))?")
_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Asked:
    """What the command line says of which sweep it is."""

    screen: Screen
    configs: tuple[Path, ...]
    sets: tuple[str, ...]
    trials: int | None
    budget: str | None
    metric: str | None
    way: str | None
    seeds: str | None
    resume: str | None
    runs_dir: Path
    run_name: str | None
    data_dir: Path | None
    strict: bool
    is_quiet: bool

    @property
    def more(self) -> list[Override]:
        """What options stand for in the spec."""
        given = (
            ("--trials", "sweep.trials", self.trials), ("--budget", "sweep.budget", self.budget),
            ("--metric", "sweep.metric", self.metric), (f"--{self.way}", "sweep.sampler", self.way),
        )  # fmt: skip
        found = [option(name, keys, value) for name, keys, value in given if value is not None]
        whole = [option("--grid", "sweep.trials", None)] if self.way == "grid" and self.trials is None else []
        return [*found, *whole]


@dataclass(frozen=True)
class Opened:
    """A sweep, before TensorFlow is there.

    Attributes:
        folder: None for a new one.
        specs: those that are trained, by the names of their files in the folder.
        composed: the same as plain data, as the folder is to have them; empty if it has them.
        seeds: what each is trained with; empty for a search.
        data_dir: the folder to look for data in first.
        spec_folder: where the first spec's file is.
    """

    folder: SweepFolder | None
    specs: Mapping[str, LoadedSpec]
    composed: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    data_dir: Path | None
    spec_folder: Path

    @property
    def first(self) -> LoadedSpec:
        """The only spec, or the first of several."""
        return next(iter(self.specs.values()))

    @property
    def name(self) -> str:
        """The folder in that of all runs."""
        return self.first.spec.name


def check_optuna() -> None:
    """Raises UsageError if Optuna is not installed."""
    if find_spec("optuna") is None:
        hint = "Install it: `pip install 'dlcli[sweep]'`, or `pip install 'optuna>=5,<6'`."
        raise UsageError("`dlcli sweep` needs Optuna, which is not installed.", hint)


def open_sweep(asked: Asked) -> Opened:
    """The sweep that is asked for, with its specs checked as far as that shows without TensorFlow.

    Raises:
        UsageError: options do not go together, or a spec has nothing to search for.
        SpecError, DataError: a spec has mistakes, or its files have.
        RunError: there is no such sweep.
    """
    _check_usage(asked)
    if asked.resume not in (None, "auto"):
        return _resumed(asked, find_sweep(Path(str(asked.resume)), asked.runs_dir))
    seeds = parse_seeds(asked.seeds) if asked.seeds is not None else ()
    new = _of_seeds(asked, seeds) if seeds else _search(asked)
    check_free(asked.runs_dir / new.name, asked.run_name)
    if asked.resume is None:
        return new

    from dlcli.sweeping.finding import find_unfinished

    folder = find_unfinished(asked.runs_dir, new.name, new.composed, new.seeds)
    found = f"goes on in {folder.path}" if folder is not None else "begins a new sweep"
    asked.screen.message(f"--resume auto {found}")
    return replace(new, folder=folder)


def _check_usage(asked: Asked) -> None:
    goes_on = asked.resume not in (None, "auto")
    if not asked.configs and not goes_on:
        raise UsageError("Name the YAML file.", "`dlcli sweep configs/mnist_mlp_sweep.yaml`, say.")
    if goes_on and (asked.configs or asked.sets or asked.way or asked.seeds or asked.metric):
        message = "A sweep that goes on has its spec in its folder: no other spec, and no other values."
        raise UsageError(message, "Only --trials, --budget and what is no part of the spec may be given.")
    if goes_on and asked.run_name is not None:
        raise UsageError("--run-name is for a new sweep; --resume goes on in the folder that there is.")
    if len(asked.configs) > 1 and asked.seeds is None:
        raise UsageError("Several specs are compared by training each with several seeds.", "Add `--seeds 0..4`.")
    if asked.seeds is not None and (asked.trials or asked.way):
        raise UsageError("With --seeds each spec is trained as it is, once with each seed.", "Leave --seeds out.")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The numbers of `0,1,2` or `0..4`. Raises UsageError."""
    seeds: list[int] = []
    for part in text.split(","):
        found = _SEEDS.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not 0 <= last - first < _MOST_SEEDS or last >= 2**32:
            raise UsageError(f"--seeds {text}: whole numbers are needed, such as `0,1,2` or `0..4`.")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {text}: a seed is there twice.")
    return tuple(seeds)


def _search(asked: Asked) -> Opened:
    [config] = asked.configs
    loaded = _load(asked, config, asked.more)
    if loaded.spec.sweep is None:
        hint = "Say what is searched for: `sweep: {parameters: {optimizer: [SGD, Adam]}}`; `--seeds 0..4` needs none."
        raise UsageError(f"{config} has no `sweep`.", hint)
    composed = {"composed.yaml": _composed(asked, config, asked.more)}
    return Opened(None, {"composed.yaml": loaded}, composed, (), asked.data_dir, config.resolve().parent)


def _of_seeds(asked: Asked, seeds: Sequence[int]) -> Opened:
    files = {f"config-{number}.yaml": config for number, config in enumerate(asked.configs)}
    specs = {file: _load(asked, config, ()) for file, config in files.items()}
    names = [loaded.spec.name for loaded in specs.values()]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Two of the specs are called `{name}`.", "Give one of them another `name`.")
    composed = {file: _composed(asked, config, ()) for file, config in files.items()}
    return Opened(None, specs, composed, tuple(seeds), asked.data_dir, asked.configs[0].resolve().parent)


def _composed(asked: Asked, config: Path, more: Sequence[Override]) -> dict[str, Any]:
    from dlcli.spec.overrides import parse_overrides

    overrides, _ = parse_overrides(asked.sets)
    return put_together(config, [*overrides, *more])


def _load(asked: Asked, config: Path, more: Sequence[Override]) -> LoadedSpec:
    look = options.looker(asked.screen, asked.data_dir)
    loaded = options.load(
        asked.screen, config, asked.sets, more, strict=asked.strict, quiet=asked.is_quiet, look=look
    )  # fmt: skip
    if loaded.spec.dataset.has_all_folds:
        hint = "Name one of them, `--set dataset.fold=1`, or leave `folds` out."
        raise UsageError(f"{config} has several folds, and a trial is one training.", hint)
    return loaded


def _resumed(asked: Asked, folder: SweepFolder) -> Opened:
    record = folder.read_record()
    seeds = tuple(record.get("seeds") or ())
    files = list(record.get("configs") or {}) if seeds else ["composed.yaml"]
    specs = {file: options.load(asked.screen, folder.path / file, quiet=True) for file in files}
    then = record.get("data_dir")
    data_dir = asked.data_dir or (Path(then) if then else None)
    return Opened(folder, specs, {}, seeds, data_dir, Path(record.get("spec_folder") or folder.path))
