"""The specs that come with dlcli, by name: what each is, and a copy of one for a person to change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dlcli import __version__
from dlcli.errors import UsageError
from dlcli.spec.likeness import closest
from dlcli.spec.writing import to_flow

# In the repository a link to its `configs/`, in an installed dlcli a folder with these files.
FOLDER = Path(__file__).parents[1] / "configs"
_FOR_EDITORS = "# yaml-language-server:"
_EXTENDS = re.compile(r"^extends:[ \t]*(?P<base>[^#\n]*?)[ \t]*(?=#|$)", re.MULTILINE)
_MOST_BASES = 20


@dataclass(frozen=True)
class Shipped:
    """One of the specs.

    Attributes:
        name: of the spec and of its file.
        path: of the file.
        description: what it is, in one line.
        fields: what else its header says: Command, Expected, Time.
    """

    name: str
    path: Path
    description: str
    fields: dict[str, str]


def shipped() -> list[Shipped]:
    """All of them, by the alphabet."""
    return [read_header(path) for path in sorted(FOLDER.glob("*.yaml"))]


def read_header(path: Path) -> Shipped:
    """What the comment at the top of a spec says."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(_FOR_EDITORS):
            lines.append(line.removeprefix("#").strip())
    found = (re.match(r"([A-Z]\w+):\s+(.*)$", line) for line in lines)
    fields = {one.group(1): one.group(2) for one in found if one}
    return Shipped(path.stem, path, lines[0] if lines else "", fields)


def find_shipped(name: str) -> Shipped:
    """The spec of this name; `mnist_cnn.yaml` means `mnist_cnn`. Raises UsageError if there is none."""
    known = {one.name: one for one in shipped()}
    wanted = Path(name).stem if name.endswith(".yaml") else name
    if wanted not in known:
        close = closest(wanted, list(known))
        hint = f"Did you mean `{close}`?" if close else "`dlcli init --list` lists them all."
        raise UsageError(f"No spec that comes with dlcli is called `{name}`.", hint)
    return known[wanted]


def copies(name: str, output: Path | None) -> dict[Path | None, str]:
    """The texts of a copy, by the files that they are for: the spec, and then the specs that it extends, beside it.

    Args:
        name: of the spec.
        output: the file of the copy; None if it is only shown. It then extends the shipped files where they are.

    Raises:
        UsageError: there is no such spec.
    """
    spec = find_shipped(name)
    text = _adapted(spec, output)
    if output is None:
        return {None: _EXTENDS.sub(lambda found: _extends(spec.path.parent / _base(found)), text)}
    made: dict[Path | None, str] = {output: text}
    at = spec.path
    for _ in range(_MOST_BASES):
        found = _EXTENDS.search(at.read_text(encoding="utf-8"))
        if found is None:
            break
        at = at.parent / _base(found)
        made[output.parent / at.name] = at.read_text(encoding="utf-8")
    return made


def _base(found: re.Match[str]) -> str:
    return found.group("base").strip("\"'")


def _extends(base: Path) -> str:
    return f"extends: {to_flow(str(base.resolve()))}"


def _adapted(spec: Shipped, output: Path | None) -> str:
    """The text with a header and a name that are those of the copy."""
    lines = [line for line in spec.path.read_text(encoding="utf-8").splitlines() if not line.startswith(_FOR_EDITORS)]
    text = "\n".join(lines) + "\n"
    file = output if output is not None else Path(spec.path.name)
    text = text.replace(f"dlcli train configs/{spec.path.name}", f"dlcli train {file}", 1)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", file.stem):
        text = re.sub(r"^name: .*$", f"name: {to_flow(file.stem)}", text, count=1, flags=re.MULTILINE)
    return f"# A copy of `{spec.name}`, which comes with dlcli {__version__}.\n{text}"
