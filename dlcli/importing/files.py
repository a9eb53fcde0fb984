"""The files that Keras writes models to, `.keras`, `.h5` and JSON, and the configs in them. Imports no Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from dlcli.errors import CheckpointError
from dlcli.training.checkpoint_file import opened
from dlcli.training.inspection import inspect_apart

_MOST_BYTES = 200 * 2**20  # of a config: the largest of keras.applications has less than 1 MB
_HINT = "Name a file that Keras's `model.save`, or `model.to_json`, wrote."


@dataclass(frozen=True)
class ModelFile:
    """What a file says of its model.

    Attributes:
        path: the file.
        config: the model's class and its config.
        compiled: what `Model.compile` was called with, as Keras serializes it; empty if it was not.
        keras: the version that wrote it; empty if the file does not say.
    """

    path: Path
    config: Mapping[str, Any]
    compiled: Mapping[str, Any]
    keras: str


def read_model_file(path: Path) -> ModelFile:
    """The configs in a file.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it holds no model.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not there"
        raise CheckpointError(f"{path} {what}.", _HINT)
    try:
        if zipfile.is_zipfile(path):
            return _of_archive(path)
        return _of_hdf5(path) if h5py.is_hdf5(path) else _of_json(path)
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror or error}.") from error


def _of_archive(path: Path) -> ModelFile:
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise CheckpointError(
                    f"{path} is an archive, but not of a Keras model: no config.json is in it.", _HINT
                )
            config = _parsed(_member(archive, "config.json", path), path)
            has_metadata = "metadata.json" in archive.namelist()
            metadata = _parsed(_member(archive, "metadata.json", path), path) if has_metadata else {}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # the last two: compressed or encrypted
        raise CheckpointError(f"{path} is damaged: {error}.") from error
    return ModelFile(path, _model(config, path), _mapping(config.get("compile_config")), _version(metadata))


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise CheckpointError(f"{path} is not used: its {name} is larger than {_MOST_BYTES:,} bytes.")
    with archive.open(name) as file:
        return file.read(_MOST_BYTES).decode("utf-8", errors="replace")


def _of_hdf5(path: Path) -> ModelFile:
    inspect_apart(path)
    with opened(path) as file:
        texts = {name: file.attrs.get(name) for name in ("model_config", "training_config", "keras_version")}
    if texts["model_config"] is None:
        raise CheckpointError(f"{path} has weights, but no model: it has no `model_config`.", _HINT)
    config = _parsed(_text(texts["model_config"]), path)
    training = _parsed(_text(texts["training_config"]), path) if texts["training_config"] is not None else {}
    compiled = {**training, "optimizer": training.get("optimizer_config")} if training else {}
    return ModelFile(path, _model(config, path), compiled, _text(texts["keras_version"] or ""))


def _of_json(path: Path) -> ModelFile:
    if path.stat().st_size > _MOST_BYTES:
        raise CheckpointError(f"{path} is not used: it is larger than {_MOST_BYTES:,} bytes.", _HINT)
    config = _parsed(path.read_bytes().decode("utf-8", errors="replace"), path)
    return ModelFile(path, _model(config, path), _mapping(config.get("compile_config")), _version(config))


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no model of Keras's: its config is not JSON.", _HINT) from error


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _model(config: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), (Mapping, list)):
        raise CheckpointError(f"{path} is no model of Keras's: its config names no class.", _HINT)
    return config


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _version(config: Mapping[str, Any]) -> str:
    return str(config.get("keras_version") or "")
