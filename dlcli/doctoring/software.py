"""Python and its packages: what dlcli needs, what each extra needs, and what of it is here."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata

import dlcli
from dlcli.doctoring.finding import Finding, listed

SOFTWARE = "software"
# Whose versions are told one by one; of the others, only those that are not as they should be.
_TOLD = ("tensorflow", "keras", "numpy")
# Several of these in one environment write over each other's files.
_SAME = ("tensorflow", "tensorflow-cpu", "tf-nightly", "intel-tensorflow", "tensorflow-macos", "tensorflow-rocm")
_FOR: Mapping[str, str] = {
    "serve": "`dlcli serve`", "mlflow": "`train.mlflow`", "export": "onnx and tflite in `dlcli export`",
    "sweep": "`dlcli sweep`", "gpu": "training on an NVIDIA GPU",
}  # fmt: skip
_UNUSUAL = frozenset({"dev", "gpu"})  # for who works on dlcli; with the GPU


@dataclass(frozen=True)
class Needed:
    """A package that something needs.

    Attributes:
        name: the package.
        versions: those that were tested, as in `>=2.21,<2.22`.
        installed: the version that is here; None if it is not.
        fits: whether that is one of `versions`.
    """

    name: str
    versions: str
    installed: str | None
    fits: bool


@dataclass(frozen=True)
class Software:
    """What is installed.

    Attributes:
        python: its version.
        executable: where it is.
        dlcli: its version.
        needed: what dlcli needs.
        extras: what each of its extras needs; empty where dlcli runs from its folder without being installed.
        tensorflows: the packages that are a TensorFlow, of which there should be one.
    """

    python: str
    executable: str
    dlcli: str
    needed: tuple[Needed, ...]
    extras: Mapping[str, tuple[Needed, ...]] = field(default_factory=dict)
    tensorflows: tuple[str, ...] = ()


def look_at_software() -> Software:
    """What is installed here; imports none of it."""
    needed = tuple(needs_of("dlcli", None))
    try:
        names = metadata.metadata("dlcli").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        names = []
    extras = {name: tuple(needs_of("dlcli", name)) for name in names if name not in _UNUSUAL}
    tensorflows = tuple(name for name in _SAME if _installed(name) is not None)
    return Software(platform.python_version(), sys.executable, dlcli.__version__, needed, extras, tensorflows)


def needs_of(package: str, extra: str | None) -> Iterator[Needed]:
    """What an installed package needs, or one of its extras; nothing if it is not installed."""
    from packaging.requirements import Requirement

    try:
        written = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return
    for text in written:
        requirement = Requirement(text)
        marker = requirement.marker
        is_of_extra = marker is not None and re.search(r"\bextra\b", str(marker)) is not None
        if is_of_extra != (extra is not None) or (marker is not None and not marker.evaluate({"extra": extra or ""})):
            continue
        installed = _installed(requirement.name)
        fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
        yield Needed(requirement.name, str(requirement.specifier), installed, fits)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def judge_software(software: Software) -> Iterator[Finding]:
    """What is to be said of it."""
    yield Finding(SOFTWARE, "dlcli", "ok", software.dlcli)
    yield Finding(SOFTWARE, "python", "ok", f"{software.python}, {software.executable}")
    for one in software.needed:
        finding = _judge(one)
        if finding.state != "ok" or one.name in _TOLD:
            yield finding
    if len(software.tensorflows) > 1:
        names = listed(f"`{name}`" for name in software.tensorflows)
        others = " ".join(name for name in software.tensorflows)
        advice = f"`pip uninstall -y {others}`, then `pip install tensorflow`."
        found = f"There are several: {names} write over each other's files."
        yield Finding(SOFTWARE, "tensorflow", "bad", found, advice)
    yield from _judge_extras(software.extras)


def _judge(one: Needed) -> Finding:
    install = f"`pip install '{one.name}{one.versions}'`"
    if one.installed is None:
        return Finding(SOFTWARE, one.name, "bad", "It is not installed.", install, is_fatal=True)
    if not one.fits:
        found = f"{one.installed} was not tested with this dlcli; {one.versions} was."
        return Finding(SOFTWARE, one.name, "warn", found, install)
    return Finding(SOFTWARE, one.name, "ok", one.installed)


def _judge_extras(extras: Mapping[str, Iterable[Needed]]) -> Iterator[Finding]:
    here = [name for name, needs in extras.items() if all(one.fits for one in needs)]
    if here:
        yield Finding(SOFTWARE, "extras", "ok", f"{listed(here)}: all that they need is here.")
    for name, needs in extras.items():
        wrong = [one for one in needs if one.installed is not None and not one.fits]
        install = f"`pip install 'dlcli[{name}]'`"
        what = f" is for {_FOR[name]}" if name in _FOR else ""
        if wrong:
            versions = listed(f"{one.name} {one.installed} (tested: {one.versions})" for one in wrong)
            yield Finding(SOFTWARE, f"[{name}]", "warn", f"It has {versions}.", install)
        elif name not in here:
            yield Finding(SOFTWARE, f"[{name}]", "ok", f"Not installed: {install}{what}.")
