"""A model's weights, taken along as an HDF5 file."""

from __future__ import annotations

from pathlib import Path

import keras

from dlcli.errors import CheckpointError
from dlcli.files import replacing
from dlcli.importing.files import read_model_file
from dlcli.model.applications import layers_of_applications
from dlcli.model.objects import reason
from dlcli.training.untrusted import check_config


def convert(path: Path, target: Path) -> None:
    """Write the model at `path`, with its weights, to `target`, for `--init-from`.

    Raises:
        CheckpointError: it has no weights, Keras cannot load it, or it would run code.
        RunError: the file cannot be written.
    """
    file = read_model_file(path)
    check_config(file.config, path)
    if path.suffix.lower() == ".json":
        raise CheckpointError(f"{path} has no weights.", "Name the .keras or .h5 file of the model.")
    try:
        with keras.saving.custom_object_scope(layers_of_applications()):
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise CheckpointError(f"Keras cannot load {path}: {reason(error)}") from error
    with replacing(target) as beside:
        model.save(beside)
