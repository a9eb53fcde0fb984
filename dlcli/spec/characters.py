"""From a file to the text that the parser gets: its encoding, forbidden characters, odd spaces, `${…}`.

Nothing here moves a line or a column.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from pathlib import Path as FilePath

import yaml

from dlcli.errors import Problem, SpecError

MAX_BYTES = 2_000_000

# YAML ends a plain scalar at a brace inside `{…}` and `[…]`, so that `{units: ${width}}` would be no YAML. While it is
# parsed, a use of a variable stands there with other characters in place of its braces, as many, so that no column
# moves. Unicode keeps these free for such use, and YAML allows them.
_OPENED, _CLOSED = "\ufdd0\ufdd1", "\ufdd2"
_VARIABLE = re.compile(r"\$\{([^{}\n\r\"']*)\}")  # a quote in it is the end of the text, whose brace is missing
_UNCLOSED = re.compile(r"(?<!\$)\$\{([^{}]*)(?:\Z|\{)")
# The marks at the start of a file, longer ones first.
_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"),
)  # fmt: skip
_SAVE = "Save it as UTF-8."

_ODD = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_ODD_SPACE = re.compile(f"[{_ODD}]")
_AT_START = re.compile(f"^[ {_ODD}]+")
# Where YAML wants a space: at the start of a line, after a sign of YAML's, and before a colon.
_WANTED = re.compile(
    rf"(?:^|(?<=[,\[{{:])|(?:(?<=^-)|(?<=\s-)))[ {_ODD}]+|(?<![ {_ODD}])[ {_ODD}]+(?=:(?:[\s{_ODD}]|$))"
)
_MOST_LINES = 2_000
_COMMENT = re.compile(r"(?:^|\s)#.*")


def read_bytes(path: FilePath) -> bytes:
    """The content of a file. Raises SpecError if it cannot be read, or is larger than `MAX_BYTES`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SpecError([Problem(f"There is no file {path}.", hint=_neighbours(path))]) from error
    except IsADirectoryError as error:
        raise SpecError([Problem(f"{path} is a folder, not a YAML file.", hint="Name a file in it.")]) from error
    except OSError as error:
        raise SpecError([Problem(f"Cannot read {path}: {error.strerror}.")]) from error
    if len(content) > MAX_BYTES:
        raise SpecError([Problem(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; a spec is a short text.")])
    return content


def _neighbours(path: FilePath) -> str | None:
    try:
        names = sorted(other.name for other in path.parent.glob("*.y*ml"))
    except OSError:
        return None
    return f"In {path.parent} there are: {', '.join(names[:20])}." if names else None


def decoded(content: bytes, name: str) -> str:
    """The text of a file that is called `name` in messages. Raises SpecError if it is not UTF-8."""
    other = _other_encoding(content)
    if other:
        raise SpecError([Problem(f"{name} is not UTF-8 text: it is {other}.", hint=_SAVE)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}."
        raise SpecError([Problem(message, hint=_SAVE)]) from error


def _other_encoding(content: bytes) -> str | None:
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    start = content[:400]
    zeros = start.count(0)
    if marked or not zeros or zeros == len(start):
        return marked
    # Without a mark: every second byte of a text in Latin letters is 0 in UTF-16, and three of four in UTF-32.
    halves = [start[0::2].count(0), start[1::2].count(0)]
    if min(halves) > len(start) // 5:
        return "UTF-32"
    return "UTF-16" if max(halves) > len(start) // 3 else None


def forbidden(text: str, most: int) -> list[tuple[int, int, str]]:
    """Line, column and name of the first characters that YAML forbids: its parser gives no places for them."""
    places = []
    for found in islice(yaml.reader.Reader.NON_PRINTABLE.finditer(text), most):
        lines = text[: found.end()].splitlines()
        shown = "NUL (U+0000)" if found[0] == "\0" else f"U+{ord(found[0]):04X}"
        places.append((len(lines), len(lines[-1]) or 1, shown))
    return places


def with_plain_spaces(text: str) -> tuple[str, list[tuple[int, int, str]]]:
    """`text` with spaces where other spaces stand in their place; and line, column and name of each line's first."""
    found: list[tuple[int, int, str]] = []
    if not _ODD_SPACE.search(text):
        return text, found
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        comment = _COMMENT.search(line)
        end = comment.start() if comment else len(line)
        # Within quotes they are meant.
        pattern = _AT_START if '"' in line or "'" in line else _WANTED
        plain = pattern.sub(lambda spaces: " " * len(spaces[0]), line[:end])
        if plain != line[:end]:
            column = next(at for at, character in enumerate(plain) if character != line[at])
            found.append((number, column + 1, _name(line[column])))
            lines[number - 1] = plain + line[end:]
        if len(found) >= _MOST_LINES:
            break
    return "".join(lines), found


def _name(character: str) -> str:
    return f"{unicodedata.name(character).lower()} (U+{ord(character):04X})"


def with_braces_hidden(text: str) -> str:
    """`text` for the parser, with the uses of variables as plain words."""
    return _VARIABLE.sub(lambda found: f"{_OPENED}{found[1]}{_CLOSED}", text)


def with_braces_shown(text: str) -> str:
    """What `with_braces_hidden` has hidden."""
    return text.replace(_OPENED, "${").replace(_CLOSED, "}") if _OPENED in text else text


def unclosed_use(text: str) -> str | None:
    """The first `${name` in `text` without its `}`, if there is one; `$${` is meant as it stands."""
    found = _UNCLOSED.search(text)
    name = re.match(r"\w*", found[1]) if found else None
    return f"${{{shortened(name[0])}" if name else None


def shortened(text: str, most: int = 80) -> str:
    """`text` as a message shows it: with at most so many characters, whatever a file has in it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
