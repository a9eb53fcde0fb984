"""Pages as HTML: one file each, that loads nothing. What is told on one, and its template, are elsewhere."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

import dlcli
from dlcli.figures import number
from dlcli.files import replacing, write_text, writing_failed

_LONGEST = 48  # characters of a name in a caption or a cell
_PACKAGE = "dlcli.report"


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown; with its name and all its digits, if it is one of metrics.json."""

    value: str
    key: str = ""
    exact: str = ""
    label: str = ""
    note: str = ""


def render_page(template: str, page: Mapping[str, Any], package: str = _PACKAGE) -> str:
    """A page as HTML. Whatever names are in it is text, never markup.

    Args:
        template: the name of its file, which extends `frame.html.jinja`.
        page: what it tells: `title`, `name`, `subtitle`, `cards` for the frame, and what the template needs.
        package: where the template is.
    """
    places = [resources.files(package), resources.files(_PACKAGE)]

    def source(name: str) -> str | None:
        found = (place / name for place in places)
        return next((file.read_text(encoding="utf-8") for file in found if file.is_file()), None)

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FunctionLoader(source)
    )
    environment.filters |= {"short": short, "code": code, "breakable": breakable}
    made = {
        "version": dlcli.__version__,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "style": Markup(source("page.css") or ""),
    }
    return environment.get_template(template).render(page={**made, **page})


def put(folder: Path, name: str, page: str, pictures: Mapping[str, bytes]) -> None:
    """Put a page and the PNG files beside it into a folder, instead of those that were there; each whole or not at all.

    Args:
        folder: is made if it is not there.
        name: of the page's file.
        page: its HTML.
        pictures: the files by name, without the ending.

    Raises:
        RunError: the files cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise writing_failed(folder, error) from error
    for picture, content in pictures.items():
        with replacing(folder / f"{picture}.png") as beside:
            beside.write_bytes(content)
    write_text(folder / name, page)
    for old in folder.glob("*.png"):
        if old.stem not in pictures and not old.name.startswith("."):
            old.unlink(missing_ok=True)


def short(text: str, longest: int = _LONGEST) -> str:
    """A name that has room in a caption or a cell; an empty one is told."""
    return (text or "(empty)") if len(text) <= longest else f"{text[: longest - 1]}…"


def breakable(name: str) -> Markup:
    """A name that is broken behind its underscores, or between its words, if it has to be broken."""
    words = re.split(r"(?<=_)|(?<=[a-z])(?=[A-Z])", name)
    return Markup("<wbr>").join(words)


def code(text: str) -> Markup:
    """What stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def shown_figure(value: float) -> str:
    """A figure; in words, if it is no number."""
    return number(value) if math.isfinite(value) else "no number" if math.isnan(value) else "infinite"


def command_line(words: Any) -> str:
    """The command that made something, as a record has it: as code; nothing if it is not known."""
    return f"`{shlex.join(['dlcli', *map(str, words)])}`" if words else ""


def times(record: Mapping[str, Any]) -> str:
    """When something began and ended, as its record has it, and in which state it is; nothing if it does not say."""
    if not record.get("began"):
        return ""
    return f"{_time(record['began'])}, {_time(record.get('ended'))} ({record.get('state')})"


def _time(written: Any) -> str:
    return str(written).replace("T", " ").replace("+00:00", " UTC") if written else "not yet"
