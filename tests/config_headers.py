"""Reads the headers of the shipped configs, and makes configs/README.md from them: `make configs`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"
_FIELDS = ("Command", "Expected", "Time")
_TOP = """# Configs

Each file states its command, the score to expect and the time of its training. Scores were measured on TensorFlow 2.21
and Keras 3.15.1; times on two cores that other programs kept busy as well: an idle machine is several times faster.
This page is made from the files by `make configs`.

| config | what it is | expected | time |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Header:
    """What the comment at the top of a config says."""

    name: str
    description: str
    fields: dict[str, str]


def read_header(path: Path) -> Header:
    """The header of one config; a field that is missing raises KeyError where it is used."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# yaml-language-server:"):
            lines.append(line.removeprefix("#").strip())
    fields: dict[str, str] = {}
    for name in _FIELDS:
        found = re.search(rf"^{name}:\s+(.*)$", "\n".join(lines), re.MULTILINE)
        if found:
            fields[name] = found.group(1)
    return Header(path.stem, lines[0], fields)


def table() -> str:
    """The text of configs/README.md."""
    rows = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        header = read_header(path)
        link = f"[{header.name}]({path.name})"
        rows.append(f"| {link} | {header.description} | {header.fields['Expected']} | {header.fields['Time']} |")
    return _TOP + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (CONFIGS / "README.md").write_text(table(), encoding="utf-8")
    sys.exit(0)
