"""The grammar of `images` and `video`: pictures and films in class folders, or pictures named in a table.

What is in them, `dlcli.data` finds out.
"""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from dlcli.spec.source import Count
from dlcli.spec.sources_folders import Folders

MOST_PIXELS = 2**14


def _size(raw: Any) -> Any:
    is_pair = isinstance(raw, (list, tuple)) and len(raw) == 2
    if raw is None or (is_pair and all(type(side) is int and 0 < side <= MOST_PIXELS for side in raw)):
        return raw if raw is None else tuple(raw)
    hint = {"hint": f"Write `[{raw}, {raw}]`."} if type(raw) is int and 0 < raw <= MOST_PIXELS else {}
    raise PydanticCustomError("expected", "must be height and width in pixels, as in `[96, 128]`", hint)


_SIDE = {"type": "integer", "minimum": 1, "maximum": MOST_PIXELS}
_SIZE_SCHEMA = {"anyOf": [{"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}, {"type": "null"}]}
Size = Annotated[tuple[int, int] | None, BeforeValidator(_size), WithJsonSchema(_SIZE_SCHEMA)]
Fit = Literal["resize", "crop", "pad"]
Color = Literal["rgb", "grayscale"]


class Pictures(Folders):
    """What the sources have in common that read pictures out of folders."""

    values = (0, 255)

    size: Size = None
    """height and width to which all are brought; left out: that which all have"""
    fit: Fit = "resize"
    """how another shape becomes that: stretched; or its middle; or the whole of it, with black beside it"""
    color: Color | None = None
    """what they become; left out: `grayscale` if none of them has colours"""
    corrupt: Literal["error", "skip"] = "error"
    """what is done about a picture that cannot be read"""


class Images(Pictures):
    """Pictures (JPEG, PNG, GIF, BMP, WebP, TIFF) in a folder for each class, or named in a table with a target.

    A folder may have `train`, `test` and `validation` in it, each with a folder for each class.
    """

    name = "images"
    kind = "images"

    path: str
    """the folder, or the table; relative to the spec, or to the folder for data"""
    test_path: str | None = None
    """the folder, or the table, of the test set, where that is not `test` in the folder"""
    stream: bool | None = None
    """whether they stay in their files and are decoded in each epoch; left out: if they take half the memory"""
    cache: bool = False
    """whether they are decoded once into a file in dlcli's folder for caches, and read from there ever after"""
    target: Annotated[str, Field(min_length=1)] | None = None
    """in a table, the column of what is asked for"""
    image: Annotated[str, Field(min_length=1)] | None = None
    """in a table, the column of file names; left out: the first one that has such"""
    folder: str | None = None
    """what the file names in a table are relative to; left out: the table's folder"""


class Video(Pictures):
    """Films in a folder for each class: each a folder of frames (JPEG, PNG …), an animated GIF, or an .npy array.

    A folder may have `train`, `test` and `validation` in it, each with a folder for each class.
    """

    name = "video"
    kind = "video"

    frames: Count = 16
    """how many frames of each film are taken, evenly spaced; of one that has fewer, the last is repeated"""
