"""Checkpoints: one HDF5 file that plain Keras opens, with a group `dlcli` for everything else that a model needs.

Reading what is in the group imports neither TensorFlow nor Keras; making the model again does, inside the function.

    /                   Keras's own: attributes model_config, training_config, keras_version; group model_weights
    /dlcli              attribute format; texts spec, preparation, encoding, class_names, summary, position, history,
                        data, versions, going_on (JSON each), and digest over all content but itself
    /dlcli/state        what training needs to go on: optimizer, random, callbacks; metrics and weights where needed
    behind HDF5's end   the seal: see `dlcli.training.sealing`
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from dlcli.errors import CheckpointError
from dlcli.files import replacing
from dlcli.training.checkpoint_file import GROUP, check_signature, digest_of, first_line, opened, unreadable
from dlcli.training.inspection import inspect_apart
from dlcli.training.sealing import is_sealed, seal

if TYPE_CHECKING:
    from dlcli.data.preparation import AnyPreparation
    from dlcli.training.state import Arrays, Snapshot

FORMAT = 2
_STATE = "state"
LARGE = 64 * 2**20
"""from so many bytes on, a checkpoint is not held in memory as a whole"""


@dataclass(frozen=True)
class Contents:
    """What the group `dlcli` holds; plain data for JSON.

    Attributes:
        spec: the resolved spec.
        preparation: `Preparation.state()`.
        encoding: kind and number of classes of the targets.
        class_names: in the order of the class numbers; None for a regression; of each of several targets, by name.
        summary: `ModelSummary.to_json()`.
        position: `epoch` (done) and `step` (optimizer steps done).
        history: a mapping for each epoch done.
        data: source, origin and fingerprint of the data, and the splits' sizes.
        versions: of dlcli and the libraries under it.
        going_on: what else a resumed training must know: `GoingOn.to_json()`.
        extensions: the texts of the Python files that its spec lists, by name.
    """

    spec: dict[str, Any]
    preparation: dict[str, Any]
    encoding: dict[str, Any]
    class_names: Any
    summary: dict[str, Any]
    position: dict[str, Any]
    history: list[dict[str, Any]]
    data: dict[str, Any]
    versions: dict[str, str]
    going_on: dict[str, Any]
    extensions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole and harmless.

    Attributes:
        path: its file.
        contents: None for a file that plain Keras saved.
    """

    path: Path
    contents: Contents | None

    def arrays(self) -> Arrays:
        """All numbers of a `Snapshot`, by name. Raises CheckpointError."""
        arrays: Arrays = {}

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = np.asarray(item[()])

        with opened(self.path) as file:
            if GROUP in file and _STATE in file[GROUP]:
                file[GROUP][_STATE].visititems(keep)
        return arrays

    def preparation(self) -> AnyPreparation:
        """What prepares the model's inputs. No code in the file is run. Raises CheckpointError."""
        from dlcli.data.preparation import restore_preparation
        from dlcli.training.untrusted import check_config

        if self.contents is None:
            raise CheckpointError(f"{self.path} does not say how its inputs are prepared.")
        check_config(self.contents.preparation, self.path)
        return restore_preparation(self.contents.preparation)

    def model(self, *, in_float32: bool = False) -> Any:
        """The `keras.Model` in it. No code in the file is run.

        Its layers compute in what they were trained in; but all in float32, if that is asked for, or if a GPU trained
        them in float16 and there is none here: a CPU takes 16 to 200 times as long for it (TensorFlow 2.21).

        Raises:
            CheckpointError: Keras cannot make the model, or it would run code, or read other files.
        """
        import keras

        from dlcli.model.applications import layers_of_applications
        from dlcli.model.precision import in_float32 as without_short
        from dlcli.training.untrusted import check_model

        with opened(self.path) as file:
            check_model(file, self.path)
        try:
            with keras.saving.custom_object_scope(layers_of_applications()):
                model = keras.models.load_model(self.path, compile=False, safe_mode=True)
                if in_float32 or self._is_slow_here():
                    model = without_short(model)
        except Exception as error:
            raise CheckpointError(f"Keras cannot load {self.path}: {first_line(error)}.") from error
        if not model.built or not model.inputs or not model.outputs:
            raise CheckpointError(f"The model in {self.path} was never built: it does not say what it takes.")
        return model

    def _is_slow_here(self) -> bool:
        import tensorflow as tf

        if self.contents is None or self.contents.spec.get("precision") != "mixed_float16":
            return False
        was_on_gpu = self.contents.going_on.get("engine", {}).get("device") == "gpu"
        return was_on_gpu and not tf.config.list_logical_devices("GPU")

    def load_weights(self, model: Any) -> None:
        """Set the weights of a model to those in the checkpoint. Raises CheckpointError if they are not of its kind."""
        try:
            model.load_weights(self.path)
        except Exception as error:
            message = f"The weights in {self.path} do not fit the model: {first_line(error)}."
            raise CheckpointError(message, "Its layers must be those that the checkpoint was trained with.") from error


def save_checkpoint(path: Path, model: Any, contents: Contents, snapshot: Snapshot, size: int) -> None:
    """Write model and contents to `path`, whole or not at all; may be called in a thread beside the training.

    Args:
        path: of the file.
        model: the live model.
        contents: what the checkpoint says besides.
        snapshot: the numbers.
        size: of them, in bytes, about.

    Raises:
        RunError: the file cannot be written; one that was there before is as it was.
    """
    with replacing(path) as beside:
        # HDF5 1.14 ends the process with a segmentation fault, at its exit, if a disk was full while it wrote a file.
        # So it writes into memory, or, what is large, only where there is room for it.
        if size < LARGE:
            with h5py.File(beside.name, "w", driver="core", backing_store=False) as file:
                _write(file, model, contents, snapshot)
                file.flush()
                image = file.id.get_file_image()
            beside.write_bytes(image)
        else:
            if shutil.disk_usage(path.parent).free < 1.1 * size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            try:
                with h5py.File(beside, "w") as file:
                    _write(file, model, contents, snapshot)
            except RuntimeError as error:
                raise OSError(str(error)) from error  # h5py's, when a full disk is noticed only at closing
        seal(beside)


def _write(file: h5py.File, model: Any, contents: Contents, snapshot: Snapshot) -> None:
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    # As `model.save` does it, but into an open file, and without the optimizer: `include_optimizer=True` takes it out
    # of the live model's compile config, and a file with a group `optimizer_weights` cannot be trained further in
    # plain Keras 3.15.1, which builds the optimizer on an empty list of variables. With `training_config` alone,
    # `evaluate` and `fit` both work. In a StatelessScope, which is the thread's own, variables have the values given.
    with keras.StatelessScope(snapshot.shown) if snapshot.shown else nullcontext():
        save_model_to_hdf5(model, file, include_optimizer=False)
        training_config = _training_config(model)
    file.attrs["training_config"] = json.dumps(training_config).encode()
    _write_group(file, contents, snapshot.arrays)


def _write_group(file: h5py.File, contents: Contents, arrays: Arrays) -> None:
    group = file.create_group(GROUP)
    group.attrs["format"] = FORMAT
    for one in fields(Contents):
        group[one.name] = json.dumps(getattr(contents, one.name), ensure_ascii=False)
    state = group.create_group(_STATE)
    for name, values in arrays.items():
        state[name] = values
    group["digest"] = digest_of(file)


def _training_config(model: Any) -> dict[str, Any]:
    """What `Model.compile` was called with, in the layout that Keras reads from HDF5 files."""
    config = model.get_compile_config()
    optimizer = config["optimizer"]
    if hasattr(model.optimizer, "dynamic_scale") and optimizer["class_name"] != "LossScaleOptimizer":
        # Keras, which put it around the optimizer, does not do so again when it loads a model from HDF5 (3.15.1).
        scaled = {**model.optimizer.get_config(), "inner_optimizer": optimizer}
        optimizer = {"class_name": "LossScaleOptimizer", "config": scaled}
    return {
        **{key: _long_names(config.get(key)) for key in ("loss", "metrics", "weighted_metrics")},
        "loss_weights": config.get("loss_weights"),
        "optimizer_config": {"class_name": optimizer["class_name"], "config": optimizer["config"]},
    }


def _long_names(written: Any) -> Any:
    """Losses and metrics with `mean_squared_error` for `mse`, which Keras 3.15.1 cannot read from an HDF5 file."""
    from dlcli.model.catalogue import find_of_keras

    if isinstance(written, str):
        found = find_of_keras("loss", written)
        return found.__name__ if inspect.isfunction(found) else written
    if isinstance(written, list):
        return [_long_names(item) for item in written]
    if isinstance(written, dict) and "class_name" not in written:
        return {name: _long_names(item) for name, item in written.items()}
    return written


def open_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, after every check that needs no TensorFlow: that it is whole, and leads nowhere else.

    Raises:
        CheckpointError: there is no such file, it is damaged or harmful, or it is not a checkpoint at all.
    """
    sealed = _is_sealed(path)
    if not sealed:
        check_signature(path)
        inspect_apart(path)
    with opened(path) as file:
        if GROUP not in file:
            return Checkpoint(path, None)
        group = file[GROUP]
        version = int(group.attrs.get("format", 0))
        if version != FORMAT:
            message = f"{path} is of checkpoint format {version}; this dlcli reads format {FORMAT}."
            raise CheckpointError(message, "Use a newer dlcli." if version > FORMAT else "Train the model again.")
        if not sealed and group["digest"].asstr()[()] != digest_of(file):
            raise CheckpointError(
                f"{path} is damaged: its content does not match its digest.",
                "Use another checkpoint of the run, such as last.h5 or best.h5.",
            )
        # One of an earlier dlcli has no `extensions`.
        names = [one.name for one in fields(Contents) if one.name in group or one.default_factory is MISSING]
        texts = {name: json.loads(group[name].asstr()[()]) for name in names}
        return Checkpoint(path, Contents(**texts))


def open_first_whole(paths: Sequence[Path], notify: Callable[[str], object]) -> Checkpoint:
    """The first of the checkpoints that is whole; of those before it `notify` is told.

    Raises:
        CheckpointError: none of them is whole.
    """
    told: list[CheckpointError] = []
    for path in paths:
        try:
            found = open_checkpoint(path)
        except CheckpointError as error:
            told.append(error)
            continue
        for damaged in told:
            notify(f"{damaged.message} Instead, {path} is used.")
        return found
    if len(told) == 1:
        raise told[0]
    raise CheckpointError("\n".join(error.message for error in told), "No checkpoint of this run is whole.")


def in_time(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Checkpoints of one training by the steps done, one of each moment."""
    found = {int(one.contents.position["step"]): one for one in checkpoints if one.contents is not None}
    return [found[step] for step in sorted(found)]


def _is_sealed(path: Path) -> bool:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, not a checkpoint.", "Name a .h5 file, or a run's folder.")
    if not path.exists():
        raise CheckpointError(f"There is no file {path}.", "`dlcli runs` lists the runs that are here.")
    try:
        return is_sealed(path)
    except OSError as error:
        raise unreadable(path, error) from error
