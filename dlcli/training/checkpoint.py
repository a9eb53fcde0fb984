"""Checkpoints: one HDF5 file that plain Keras opens, with a group `dlcli` for everything else that a model needs.

Reading what is in the group imports neither TensorFlow nor Keras; making the model again does, inside the function.

    /                   Keras's own: attributes model_config, training_config, keras_version; group model_weights
    /dlcli              attribute format; texts spec, preparation, encoding, class_names, summary, position, history,
                        data, versions (JSON each), and digest over all content but itself
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.errors import CheckpointError
from dlcli.files import replacing

FORMAT = 1
GROUP = "dlcli"


@dataclass(frozen=True)
class Contents:
    """What the group `dlcli` holds; plain data for JSON.

    Attributes:
        spec: the resolved spec.
        preparation: `Preparation.state()`.
        encoding: kind and number of classes of the targets.
        class_names: in the order of the class numbers; None for a regression.
        summary: `ModelSummary.to_json()`.
        position: `epoch` (done) and `step` (optimizer steps done).
        history: a mapping for each epoch done.
        data: source, origin and fingerprint of the data, and the splits' sizes.
        versions: of dlcli and the libraries under it.
    """

    spec: dict[str, Any]
    preparation: dict[str, Any]
    encoding: dict[str, Any]
    class_names: list[str] | None
    summary: dict[str, Any]
    position: dict[str, Any]
    history: list[dict[str, Any]]
    data: dict[str, Any]
    versions: dict[str, str]


def save_checkpoint(path: Path, model: Any, contents: Contents) -> None:
    """Write model and contents to `path`, whole or not at all.

    Raises:
        RunError: the file cannot be written; one that was there before is as it was.
    """
    with replacing(path) as beside:
        # Without its optimizer: `include_optimizer=True` takes the optimizer out of the live model's compile config,
        # and a file with a group `optimizer_weights` cannot be trained further in plain Keras 3.15.1, which builds the
        # optimizer on an empty list of variables. With `training_config` alone, `evaluate` and `fit` both work.
        try:
            model.save(beside, include_optimizer=False)
            with h5py.File(beside, "r+") as file:
                _write_group(file, model, contents)
        except RuntimeError as error:
            raise OSError(str(error)) from error  # h5py's, when a full disk is noticed only at closing


def _write_group(file: h5py.File, model: Any, contents: Contents) -> None:
    file.attrs["training_config"] = json.dumps(_training_config(model)).encode()
    group = file.create_group(GROUP)
    group.attrs["format"] = FORMAT
    for field in fields(Contents):
        group[field.name] = json.dumps(getattr(contents, field.name), ensure_ascii=False)
    group["digest"] = _digest(file)


def _training_config(model: Any) -> dict[str, Any]:
    """What `Model.compile` was called with, in the layout that Keras reads from HDF5 files."""
    config = model.get_compile_config()
    optimizer = config["optimizer"]
    return {
        **{key: config.get(key) for key in ("loss", "metrics", "weighted_metrics", "loss_weights")},
        "optimizer_config": {"class_name": optimizer["class_name"], "config": optimizer["config"]},
    }


def read_contents(path: Path) -> Contents | None:
    """The contents of a checkpoint's group `dlcli`; None for a file that plain Keras saved.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it is not a checkpoint at all.
    """
    with _opened(path) as file:
        if GROUP not in file:
            return None
        group = file[GROUP]
        version = int(group.attrs.get("format", 0))
        if version > FORMAT:
            message = f"{path} is of checkpoint format {version}; this dlcli reads up to {FORMAT}."
            raise CheckpointError(message, "Use a newer dlcli.")
        texts = {field.name: json.loads(group[field.name].asstr()[()]) for field in fields(Contents)}
        return Contents(**texts)


def verify(path: Path) -> None:
    """Compare the content of a checkpoint of dlcli's with its digest. Raises CheckpointError."""
    with _opened(path) as file:
        if GROUP in file and file[GROUP]["digest"].asstr()[()] != _digest(file):
            raise CheckpointError(
                f"{path} is damaged: its content does not match its digest.",
                "Use another checkpoint of the run, such as last.h5 or best.h5.",
            )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, not a checkpoint.", "Name a .h5 file, or a run's folder.")
    if not path.exists():
        raise CheckpointError(f"There is no file {path}.", "`ls runs/` shows the runs.")
    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs and "model_weights" not in file:
                message = f"{path} is an HDF5 file, but not a Keras model: it has no `model_config`."
                raise CheckpointError(message, "Name a file that `dlcli train` or Keras's `model.save` wrote.")
            yield file
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    text = str(error)
    if isinstance(error, PermissionError):
        return CheckpointError(f"Cannot read {path}: {error.strerror}.")
    if "truncated" in text:
        return CheckpointError(f"{path} is cut off: it is shorter than it was written.", "Use another checkpoint.")
    if "signature not found" in text:
        return CheckpointError(
            f"{path} is not an HDF5 file.", "Name a .h5 file that `dlcli train` or Keras's `model.save` wrote."
        )
    return CheckpointError(f"{path} is damaged: {text.rstrip('.')}.", "Use another checkpoint.")


def load_keras_model(path: Path) -> Any:
    """The `keras.Model` in a checkpoint, or in a file that plain Keras saved. No code in the file is run.

    Raises:
        CheckpointError: Keras cannot make the model, or refuses to because it would run code.
    """
    import keras

    with _opened(path):
        pass
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        first_line = str(error).strip().split("\n")[0].rstrip(".")
        raise CheckpointError(f"Keras cannot load {path}: {first_line}.") from error
    if not model.built or len(model.inputs or ()) != 1 or len(model.outputs or ()) != 1:
        raise CheckpointError(
            f"The model in {path} is not one with one input and one output; others cannot be used yet."
        )
    return model


def _digest(file: h5py.File) -> str:
    """A digest of every attribute and dataset of the file, in the order of their names, except the digest itself."""
    digest = hashlib.blake2b(digest_size=16)

    def attributes(owner: Any) -> None:
        for name in sorted(owner.attrs):
            digest.update(f"@{name}={_bytes(owner.attrs[name])!r}".encode())

    def walk(group: Mapping[str, Any], path: str) -> None:
        attributes(group)
        for name in sorted(group):
            item, place = group[name], f"{path}/{name}"
            if place == f"/{GROUP}/digest":
                continue
            digest.update(place.encode())
            if isinstance(item, h5py.Group):
                walk(item, place)
            else:
                attributes(item)
                digest.update(_bytes(item[()]))

    walk(file, "")
    return digest.hexdigest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if getattr(value, "dtype", None) == np.dtype(object):  # an array of texts
        return repr(value.tolist()).encode()
    return bytes(value.tobytes()) if hasattr(value, "tobytes") else repr(value).encode()
