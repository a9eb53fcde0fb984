"""Makes networks of `keras.applications` as layers: for the shape that they read, with new weights or others."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from dlcli.errors import DataError, Path, Problem
from dlcli.model.applications import IMAGENET, applications
from dlcli.model.objects import ObjectError, reason
from dlcli.spec.keras_objects import KerasObject

_SECONDS = 20


def make_application(
    written: KerasObject,
    shape: tuple[int | None, ...],
    name: str | None,
    path: Path,
    folder: FilePath | None,
    *,
    pretrained: bool,
) -> Any:
    """The network as a model that reads examples of `shape`, without the batch axis.

    Args:
        written: what the spec says.
        shape: of what it reads.
        name: of the model; None for Keras's own.
        path: where it is written.
        folder: that of the spec, where a file of weights is looked for; None if that is not known.
        pretrained: whether it gets the weights that the spec asks for, rather than new ones.

    Raises:
        ObjectError: Keras does not make it so, or there is no such file of weights.
        DataError: its weights cannot be downloaded.
    """
    arguments, inner = dict(written.arguments), (*path, written.name)
    function = applications()[written.name]
    weights = arguments.pop("weights", inspect.signature(function).parameters["weights"].default)
    if weights not in (None, IMAGENET) and folder is not None:
        weights = str(folder / weights)
        if not FilePath(weights).is_file():
            hint = f"Write `{IMAGENET}` for Keras's own, or `weights:` and nothing for new ones."
            raise ObjectError(Problem(f"There is no file {weights} with weights.", (*inner, "weights"), hint))
    if weights == IMAGENET:
        _check_shape(shape, arguments, inner)
    weights = weights if pretrained else None
    named: Mapping[str, Any] = {"name": name} if name is not None else {}
    try:
        return _with_a_limit(function, input_shape=shape, weights=weights, **arguments, **named)
    except Exception as error:
        if weights == IMAGENET and (isinstance(error, OSError) or "URL fetch failure" in str(error)):
            message = f"The weights of `{written.name}` cannot be downloaded: {reason(error)}"
            hint = f"Write `weights:` and nothing for new ones, or put Keras's file into {_cache()}."
            raise DataError(message, hint) from error
        raise ObjectError(Problem(f"Keras does not accept this `{written.name}`: {reason(error)}", inner)) from error


def _check_shape(shape: tuple[int | None, ...], arguments: Mapping[str, Any], path: Path) -> None:
    """What does not go together with the weights of ImageNet, which Keras says only when it has them."""
    if arguments.get("include_top", True) and arguments.get("classes", 1000) != 1000:
        message = f"`{path[-1]}` with the weights of ImageNet has 1000 classes; received {arguments['classes']}."
        hint = "Write `include_top: false, pooling: avg`, and a `Dense` layer behind it."
        raise ObjectError(Problem(message, (*path, "classes"), hint))
    if shape[-1:] != (3,):
        message = f"`{path[-1]}` with the weights of ImageNet reads images of 3 channels; it gets {list(shape)} here."
        raise ObjectError(Problem(message, path, "Write `weights:` and nothing for new ones."))


def _with_a_limit(function: Any, **arguments: Any) -> Any:
    """Call it with a time-out for its download, for which Keras 3.15.1 sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        return function(**arguments)
    finally:
        socket.setdefaulttimeout(before)


def _cache() -> FilePath:
    return FilePath(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
