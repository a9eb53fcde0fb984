"""What stands beside an exported model: its signature, its classes, and an example with a script that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dlcli import __version__
from dlcli.exporting import prepare
from dlcli.exporting.checking import Takes
from dlcli.exporting.formats import Format
from dlcli.exporting.places import SIGNATURE
from dlcli.exporting.subject import Subject
from dlcli.files import write_json, write_text

_CHUNK = 2**20


def write_around(
    folder: Path, form: Format, precision: str, subject: Subject, takes: Takes, raw: Mapping[str, Any]
) -> dict[str, Any]:
    """Write what stands beside a model, and return the content of signature.json so far.

    Args:
        folder: with the model.
        form: its format.
        precision: of its weights.
        subject: the trained model.
        takes: what the exported one takes.
        raw: one real example, the first axis kept.
    """
    signature = described(form, precision, subject, takes)
    write_json(folder / SIGNATURE, signature)
    names = [(one["name"], one["classes"]) for one in signature["outputs"] if one["classes"]]
    if names:
        several = len(signature["outputs"]) > 1
        lines = [f"{output}\t{name}" if several else name for output, classes in names for name in classes]
        write_text(folder / "classes.txt", "".join(f"{line}\n" for line in lines))
    if takes.steps is not None:
        write_text(folder / "prepare.py", Path(prepare.__file__).read_text(encoding="utf-8"))
    else:
        raw = takes.of_raw(raw)
    arrays: dict[str, Any] = {name: np.asarray(values) for name, values in raw.items()}
    np.savez(folder / "example.npz", **arrays)
    write_text(folder / "example.py", example_script(form, prepares=takes.steps is not None))
    return signature


def example_script(form: Format, *, prepares: bool) -> str:
    """A script that runs the model on the example that is beside it."""
    example = 'example = dict(numpy.load("example.npz"))'
    imports = ""
    if prepares:
        imports = "from prepare import prepare, read_signature\n"
        example = 'example = prepare(numpy.load("example.npz"), read_signature("signature.json"))'
    return form.example.replace("{imports}", imports).replace("{example}", example)


def described(form: Format, precision: str, subject: Subject, takes: Takes) -> dict[str, Any]:
    """The content of signature.json, but for what was measured."""
    batch = takes.batch_size
    inputs = [
        {"name": one.name, "dtype": one.dtype, "shape": [batch, *one.shape], "of": list(one.raw), "is": one.says}
        for one in takes.tensors
    ]
    encoding, contents = subject.encoding.state(), subject.contents
    return {
        "format": form.name,
        "precision": precision,
        "model": form.file,
        "of": contents.spec.get("name"),
        "inputs": inputs,
        "outputs": subject.outputs,
        "preparation": takes.steps and {name: list(steps) for name, steps in takes.steps.items()},
        "trained_with": {
            "reader": subject.reader.state() if subject.reader is not None else None,
            "preparation": subject.preparation.state(),
            "encoding": encoding,
        },
        "checkpoint": {"file": str(subject.checkpoint.path), "sha256": digest(subject.checkpoint.path)},
        "versions": versions(form.needs.values()),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of dlcli and of what a model was exported with."""
    return {"dlcli": __version__, **{one: version(one) for one in ("tensorflow", "keras", "numpy", *packages)}}


def digest(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` shows it."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder, or of a file."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)
