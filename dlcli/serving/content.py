"""What the body of a request holds: rows, or files. What they mean to a model is decided elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dlcli.serving.refusals import Limits, RefusedError

_EXAMPLE = 'Send JSON such as {"rows": [...]}, with the header `Content-Type: application/json`.'
_FILES = {"text/csv": "table.csv", "text/tab-separated-values": "table.tsv"}
"""what a body of this kind would be called as a file"""
_MOST_NAME = 100
_MOST_FIELDS = 20


@dataclass(frozen=True)
class File:
    """A file that was sent: its name without folders, and what is in it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Rows:
    """Examples as JSON has them."""

    rows: Sequence[Any]


Content: TypeAlias = Rows | Sequence[File]


def parse_json(body: bytes, limits: Limits) -> Rows:
    """The rows of a body of JSON: a list, or an object whose `rows` is one.

    Raises:
        RefusedError: it is no JSON, has no rows or too many.
    """
    try:
        found = json.loads(_text(body), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise RefusedError(400, "The JSON has lists or objects too deep within each other.", _EXAMPLE) from error
    except ValueError as error:
        raise RefusedError(400, f"The body is no JSON: {error}.", _EXAMPLE) from error
    if isinstance(found, Mapping):
        unknown = [name for name in found if name != "rows"]
        if "rows" not in found:
            raise RefusedError(400, f"The JSON has no `rows`; it has {_named(unknown)}.", _EXAMPLE)
        if unknown:
            raise RefusedError(400, f"Beside `rows` there is {_named(unknown)}, which is not known.", _EXAMPLE)
        found = found["rows"]
    if not isinstance(found, list):
        raise RefusedError(400, f"The rows are {spoken(found)}, not a list.", _EXAMPLE)
    if not found:
        raise RefusedError(400, "There are no rows: the list is empty.", _EXAMPLE)
    if len(found) > limits.rows:
        raise too_many(len(found), limits)
    return Rows(found)


def too_many(count: int, limits: Limits) -> RefusedError:
    """The error that a request has more examples than may be."""
    hint = "Send several requests; `--max-rows` allows more in one."
    return RefusedError(413, f"The request has {count:,} rows; at most {limits.rows:,} are answered at once.", hint)


def spoken(value: Any) -> str:
    """What kind of JSON a value is, for a message."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name[:40]}`" for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "") if names else "nothing"


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number there; null is for a missing value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has `{twice[:40]}` twice")
    return found


def parse(body: bytes, headers: Mapping[str, str], limits: Limits) -> Content:
    """What a body holds, by its content type; a form is only read in a thread that has no event loop.

    Args:
        body: all of it.
        headers: of the request, with small letters.
        limits: of one request.

    Raises:
        RefusedError: it is not what the header says, or of a kind that is not taken.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "The body is packed, and is not unpacked here.", "Send it as it is.")
    if not body:
        raise RefusedError(400, "The body of the request is empty.", _EXAMPLE)
    if kind == "application/json" or kind.endswith("+json"):
        return parse_json(body, limits)
    if kind.startswith("image/"):
        return [File(f"image.{_word(kind.partition('/')[2])}", body)]
    if kind == "text/plain":
        return Rows([_text(body)])
    if kind in _FILES:
        return [File(_FILES[kind], body)]
    if kind == "multipart/form-data":
        return asyncio.run(_files(body, headers, limits))
    what = f"of the kind `{kind[:60]}`" if kind else "without a content type"
    hint = f"{_EXAMPLE} A file goes with `curl -F file=@NAME`."
    raise RefusedError(415, f"The body is {what}, which is not read.", hint)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The body is not written in UTF-8: byte {error.start + 1:,}.") from error


async def _files(body: bytes, headers: Mapping[str, str], limits: Limits) -> list[File]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers(dict(headers)), stream(), max_files=limits.rows, max_fields=_MOST_FIELDS)
    parser.spool_max_size = limits.body + 1  # nothing goes to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        hint = "Send files alone, as `curl -F file=@NAME` does."
        raise RefusedError(400, f"The form cannot be read: {error.message.rstrip('.')}.", hint) from error
    try:
        others = [name for name, one in form.multi_items() if not isinstance(one, UploadFile)]
        uploads = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
        files = [File(safe_name(one.filename or ""), await one.read()) for one in uploads]
    finally:
        await form.close()
    if others or not files:
        what = f"The form has {_named(others)}, which is no file." if others else "The form has no file."
        raise RefusedError(400, what, "Send files alone, as `curl -F file=@NAME` does.")
    return files


def safe_name(name: str) -> str:
    """A file's name without folders and without what a file system, or a terminal, could make something of."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(one if one.isalnum() or one in " ._-()[]" else "_" for one in last).lstrip(".")
    suffix = PurePosixPath(kept).suffix[:12]
    return f"{kept.removesuffix(suffix)[: _MOST_NAME - len(suffix)]}{suffix}" or "file"


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text)[:8]
