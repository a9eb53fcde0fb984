"""One picture of any format as bytes of a given size and number of colours. Nothing here knows of data sets."""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from dlcli.data.dataset import Array
from dlcli.data.image_jpeg import ORIENTATION, Frame, decode, frame_of, image_over, resize_into, scale_for, scratch
from dlcli.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
"""how the names of pictures end"""
# Imported above, so that no file makes Pillow import all that it knows.
_FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile, PngImagePlugin.PngImageFile, GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile, WebPImagePlugin.WebPImageFile, TiffImagePlugin.TiffImageFile,
    )
)  # fmt: skip
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_SAYS_ORIENTATION = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
_BEGIN = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_POINTER = b"version https://git-lfs."  # git-lfs 3.6, docs/spec.md
_HEAD = 1 << 16  # bytes in which a header mostly is, whole
_KEPT_BLOCKS = 64  # of 1 MB at most; left to itself, Pillow asks the system for memory for each picture anew


Picture: TypeAlias = Path | io.BytesIO
"""a file, or what would be in one"""


class UnreadableError(Exception):
    """A file is not a picture that can be read; the text says why."""


class OtherSizeError(Exception):
    """A picture is not of the size that all are said to have; `size` is its own, height and width."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True)
class Form:
    """What every picture becomes.

    Attributes:
        size: height and width.
        color: "rgb" or "grayscale".
        fit: "resize": stretched; "crop": its middle, of the shape of `size`; "pad": all of it, with black beside it.
    """

    size: tuple[int, int]
    color: str
    fit: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its bytes."""
        return self.size if self.color == "grayscale" else (*self.size, 3)


@dataclass(frozen=True)
class Appearance:
    """What a picture is by itself: height and width, and whether it has no colours."""

    size: tuple[int, int]
    is_grey: bool


def set_up() -> None:
    """Let Pillow be quick, and quiet: what it warns of is of no concern to whoever reads a picture."""
    # What PILLOW_BLOCKS_MAX in the environment does, which is read when Pillow is imported.
    Image.core.set_blocks_max(_KEPT_BLOCKS)  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def appearance(path: Picture) -> Appearance:
    """How a picture looks, mostly by its first bytes. Raises UnreadableError, or DataError without permission."""
    try:
        frame = frame_of(_bytes_of(path, _HEAD))
        if frame is not None:
            return Appearance(frame.upright_size, frame.is_grey)
        with Image.open(path, formats=_FORMATS) as image:
            return Appearance(_upright_size(image, _orientation(image)), _is_grey(image))
    except PermissionError as error:
        raise _no_permission(path) from error
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise UnreadableError(_reason(path, error)) from error


def read_picture(path: Picture, form: Form, *, into: Array | None = None, is_exact: bool = False) -> Array:
    """A picture's pixels, uint8 of shape `form.shape`.

    It is turned as its EXIF orientation says; transparent parts are white; of 16 bits, the upper 8 are taken; of an
    animation, the first image. A large JPEG is decoded at a half, a quarter or an eighth of its size, not below the
    one wanted.

    Args:
        path: the file.
        form: what it becomes.
        into: the array to fill and return; left out: a new one.
        is_exact: whether the picture must have the form's size by itself.

    Raises:
        UnreadableError: it is no picture, or damaged.
        OtherSizeError: it has another size, and must not.
        DataError: there is no permission to read it.
    """
    found = np.empty(form.shape, np.uint8) if into is None else into
    try:
        data = _bytes_of(path)
        frame = frame_of(data)
        if frame is None or not _read_jpeg(data, frame, form, found, is_exact=is_exact):
            with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
                _draft(opened, form, orientation := _orientation(opened))
                _check_size(_upright_size(opened, orientation), form, is_exact=is_exact)
                found[...] = _formed(opened, form, orientation)
    except OtherSizeError:
        raise
    except PermissionError as error:
        raise _no_permission(path) from error
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise UnreadableError(_reason(path, error)) from error
    return found


def _bytes_of(path: Picture, most: int | None = None) -> bytes:
    """The first bytes of a file, or all of them."""
    if isinstance(path, io.BytesIO):
        return bytes(path.getbuffer()[:most])
    # Three calls of the system: Python's own files make twice as many, which is much for small pictures.
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        wanted = os.fstat(file).st_size if most is None else most
        data = os.read(file, wanted)
        while most is None and len(data) < wanted and (more := os.read(file, wanted - len(data))):
            data += more
        return data
    finally:
        os.close(file)


def read_frames(path: Path, form: Form, choose: Callable[[int], Sequence[int]], *, is_exact: bool = False) -> Array:
    """The pixels of images of an animation, uint8 of shape (n, *form.shape), as `read_picture` makes them.

    Args:
        path: the file.
        form: what each becomes.
        choose: gives the numbers of the images to take, which ascend, for how many there are.
        is_exact: whether each must have the form's size by itself.

    Raises:
        UnreadableError, OtherSizeError, DataError: as `read_picture`.
    """
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            frames = []
            for number in choose(getattr(opened, "n_frames", 1)):
                opened.seek(number)
                _check_size((opened.height, opened.width), form, is_exact=is_exact)
                frames.append(_formed(opened, form, 1))
            return np.stack(frames)
    except OtherSizeError:
        raise
    except PermissionError as error:
        raise _no_permission(path) from error
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise UnreadableError(_reason(path, error)) from error


def form_pixels(pixels: Array, form: Form, *, is_exact: bool = False) -> Array:
    """Pixels, uint8 of shape (height, width), with three colours or four channels, brought to a form.

    Raises:
        OtherSizeError: they have another size, and must not.
    """
    _check_size((pixels.shape[0], pixels.shape[1]), form, is_exact=is_exact)
    return _formed(Image.fromarray(np.ascontiguousarray(pixels)), form, 1)


def frame_count(path: Path) -> int:
    """How many images an animation has. Raises UnreadableError, or DataError without permission."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return int(getattr(image, "n_frames", 1))
    except PermissionError as error:
        raise _no_permission(path) from error
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise UnreadableError(_reason(path, error)) from error


def frames_appearance(path: Path, choose: Callable[[int], Sequence[int]]) -> Appearance:
    """How images of an animation look. Raises UnreadableError, or DataError without permission."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            size = (image.height, image.width)
            for number in choose(getattr(image, "n_frames", 1)):
                image.seek(number)
                pixels = np.asarray(image.convert("RGB"))
                if not (pixels == pixels[..., :1]).all():
                    return Appearance(size, False)
            return Appearance(size, True)
    except PermissionError as error:
        raise _no_permission(path) from error
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise UnreadableError(_reason(path, error)) from error


def _check_size(size: tuple[int, int], form: Form, *, is_exact: bool) -> None:
    if is_exact and size != form.size:
        raise OtherSizeError(size)


def _read_jpeg(data: bytes, frame: Frame, form: Form, found: Array, *, is_exact: bool) -> bool:
    """Fill an array with the pixels of a JPEG; or leave what is damaged, or rare, to Pillow."""
    _check_size(frame.upright_size, form, is_exact=is_exact)
    grey = form.color == "grayscale" and frame.is_grey
    is_as_wanted = frame.size == form.size and frame.orientation == 1 and (grey or form.color == "rgb")
    wanted = form.size[::-1] if frame.orientation >= 5 else form.size
    channels = 1 if grey else 3 if is_as_wanted else 4
    try:
        scale = scale_for(frame.size, wanted)
        into = found if is_as_wanted else scratch(frame.bytes_at(scale, channels))
        pixels = decode(data, frame, scale=scale, channels=channels, into=into)
    except (ValueError, OSError):
        return False
    if is_as_wanted:
        return True
    if channels == 4 and form == Form(form.size, "rgb", "resize") and frame.orientation == 1:
        resize_into(found, pixels)
    else:
        found[...] = _formed(image_over(pixels), form, frame.orientation)
    return True


def _formed(image: Image.Image, form: Form, orientation: int) -> Array:
    image = image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
    return np.asarray(_fitted(_colored(image, "L" if form.color == "grayscale" else "RGB"), form))


def _no_permission(path: Picture) -> DataError:
    return DataError(f"{path} cannot be read: there is no permission.", "Allow it, as in `chmod +r FILE`.")


def _reason(path: Picture, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "it has more pixels than any picture should"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, (IndexError, struct.error)):
        return "it ends too early, or is damaged"  # what Pillow's readers run into
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    if isinstance(error, UnidentifiedImageError):
        first = _bytes_of(path, len(_POINTER))
        if first == _POINTER:
            return "it only points to a file of Git LFS, which `git lfs pull` fetches"
        return _what_else(first) if first else "the file is empty"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0].rstrip(".")


def _what_else(first: bytes) -> str:
    """What a file is of which Pillow makes nothing, by its first bytes."""
    for begin, name in _BEGIN.items():
        if first.startswith(begin):
            return f"it begins as a {name}, but its header is damaged or not whole, or says more pixels than can be"
    kinds = f"none of {', '.join(map(str, _FORMATS))}"
    if first[4:8] == b"ftyp":
        return f"it is HEIC, AVIF or a film, and {kinds}"
    return f"it is drawn in SVG, and {kinds}" if first.startswith((b"<svg", b"<?xml")) else f"it is {kinds}"


def _orientation(image: Image.Image) -> int:
    """How it is to be turned, as EXIF numbers that: 1 for not at all. Pillow itself turns TIFF."""
    if image.format == "TIFF" or not any(key in image.info for key in _SAYS_ORIENTATION):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF data says nothing, and the picture is whole
        return 1
    return found if found in _TURNS else 1


def _upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Height and width, once it is turned."""
    return image.size if orientation >= 5 else (image.height, image.width)


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY


def _draft(image: Image.Image, form: Form, orientation: int) -> None:
    """Let a large JPEG be decoded at a half, a quarter or an eighth of its size, if that is enough."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        height, width = form.size[::-1] if orientation >= 5 else form.size
        image.draft(None, (width, height))


def _colored(image: Image.Image, mode: str) -> Image.Image:
    """The picture in the mode "L" or "RGB"."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        # Only the upper bits: Pillow's own way is to cut off all that is above 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError("its pixels are numbers of 32 bits, which have no white and no black")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _fitted(image: Image.Image, form: Form) -> Image.Image:
    height, width = form.size
    if image.size == (width, height):
        return image
    if form.fit == "pad":
        scale = min(width / image.width, height / image.height)
        inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        canvas = Image.new(image.mode, (width, height))
        corner = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
        return canvas
    box = (0.0, 0.0, float(image.width), float(image.height))
    if form.fit == "crop":
        scale = min(image.width / width, image.height / height)
        left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
        box = (max(0.0, left), max(0.0, top), image.width - max(0.0, left), image.height - max(0.0, top))
    return image.resize((width, height), Image.Resampling.BILINEAR, box)
