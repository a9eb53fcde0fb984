"""From somebody's data to the text of a first spec that has been checked."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.looking import look
from dlcli.data.where import Where
from dlcli.errors import DataError, DlcliError, Problem, UsageError
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.loading import LoadedSpec, examine
from dlcli.starting.images import image_spec, look_at_images
from dlcli.starting.records import has_records, look_at_records, record_spec
from dlcli.starting.table_specs import table_spec
from dlcli.starting.tables import file_stem, look_at_table
from dlcli.starting.texts import has_texts, look_at_texts, text_spec
from dlcli.starting.videos import has_films, look_at_videos, video_spec

_TABLES = (".csv", ".tsv", ".tab", ".txt", ".parquet")
_NEAR = 2  # folders up: beyond, a path is written from the root on


@dataclass(frozen=True)
class Started:
    """A first spec.

    Attributes:
        name: its name.
        text: all of it.
        warnings: what is odd in it.
    """

    name: str
    text: str
    warnings: tuple[Problem, ...]


@dataclass(frozen=True)
class Wanted:
    """What a person asked for.

    Attributes:
        data: a file or a folder.
        target: the column of what is asked for, of a table.
        task: "classes" or "number", where that is not to be told by the values.
        output: the file that the spec is for; None if there is none, and it is read in the working folder.
    """

    data: Path
    target: str | None
    task: str | None
    output: Path | None

    @property
    def name(self) -> str:
        """The name of the spec: that of its file, or of the data."""
        return file_stem(self.output.with_suffix("") if self.output is not None else self.data)


def start(wanted: Wanted, catalogue: Catalogue) -> Started:
    """Look at data and write a spec for it, which is then checked with the data.

    Raises:
        DataError: it cannot be read, or nothing can be learned from it.
        UsageError: it is nothing that dlcli can begin with, or it must be said what is asked for.
    """
    if not wanted.data.exists():
        raise DataError(f"There is no {wanted.data}.")
    folder = wanted.output.parent if wanted.output is not None else Path()
    path = path_from(folder, wanted.data)
    text = _of(wanted, path)
    return Started(wanted.name, text, _checked(text, wanted.name, folder, catalogue))


def _of(wanted: Wanted, path: str) -> str:
    if has_records(wanted.data):
        facts = look_at_records(wanted.data, wanted.target, wanted.task)
        command = f"dlcli init --data {wanted.data.name} --target {facts.target}"
        return record_spec(facts, path, wanted.name, command)
    return _folder(wanted, path) if wanted.data.is_dir() else _table(wanted, path)


def _folder(wanted: Wanted, path: str) -> str:
    if wanted.target is not None or wanted.task is not None:
        raise UsageError(f"{wanted.data} is a folder: --target and --task are for tables and records.")
    command = f"dlcli init --data {wanted.data.absolute().name}"
    if has_texts(wanted.data):
        return text_spec(look_at_texts(wanted.data), path, wanted.name, command)
    if has_films(wanted.data):
        return video_spec(look_at_videos(wanted.data), path, wanted.name, command)
    return image_spec(look_at_images(wanted.data), path, wanted.name, command)


def _table(wanted: Wanted, path: str) -> str:
    suffixes = [suffix.lower() for suffix in wanted.data.suffixes if suffix.lower() != ".gz"]
    if not suffixes or suffixes[-1] not in _TABLES:
        kinds = f"tables ({', '.join(_TABLES)}; also .gz), with TFRecords, and with folders of images, films or texts"
        hint = f"It begins with {kinds}."
        raise UsageError(f"{wanted.data}: `dlcli init` does not know such files.", hint)
    facts = look_at_table(wanted.data, wanted.target, wanted.task)
    command = f"dlcli init --data {wanted.data.name} --target {facts.target.column}"
    return table_spec(facts, path, wanted.name, command)


def path_from(folder: Path, data: Path) -> str:
    """How a spec in `folder` names `data`: from there if it is near, else from the root."""
    here, there = folder.absolute(), data.absolute()
    relative = Path(os.path.relpath(there, here))
    return str(relative) if relative.parts[: _NEAR + 1].count("..") <= _NEAR else str(there)


def _checked(text: str, name: str, folder: Path, catalogue: Catalogue) -> tuple[Problem, ...]:
    """What is odd in a spec. Raises DataError if the data cannot be loaded so."""

    def look_into(loaded: LoadedSpec) -> LoadedSpec:
        where = Where(None, False, lambda text: None, beside=(folder.absolute(),), only_looks=True)
        return look(loaded, where)

    with tempfile.TemporaryDirectory(prefix="dlcli-init-") as place:
        path = Path(place) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        findings = examine(path, catalogue, look=look_into)
    if findings.data_error is not None:
        raise findings.data_error
    if findings.errors:
        told = "; ".join(problem.message for problem in findings.errors)
        raise DlcliError(f"`dlcli init` wrote a spec with mistakes: {told}")
    return findings.shown()
