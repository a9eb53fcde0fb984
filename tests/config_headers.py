"""Reads the headers of the shipped configs, and makes configs/README.md from them: `make configs`."""

from __future__ import annotations

import sys
from pathlib import Path

from dlcli.starting.shipped import read_header
from tests.exports_of_configs import table as exports

CONFIGS = Path(__file__).parents[1] / "configs"
_TOP = """# Configs

Each file states its command, the score to expect and the time of its training. Scores were measured on TensorFlow 2.21
and Keras 3.15.1; times on two cores that other programs kept busy as well: an idle machine is several times faster.
This page is made from the files by `make configs`.

| config | what it is | expected | time |
|---|---|---|---|
"""


def table() -> str:
    """The text of configs/README.md."""
    rows = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        header = read_header(path)
        link = f"[{header.name}]({path.name})"
        rows.append(f"| {link} | {header.description} | {header.fields['Expected']} | {header.fields['Time']} |")
    return _TOP + "\n".join(rows) + "\n" + exports()


if __name__ == "__main__":
    (CONFIGS / "README.md").write_text(table(), encoding="utf-8")
    sys.exit(0)
