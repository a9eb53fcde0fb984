"""JPEG data decoded by libjpeg-turbo itself: to the pixels that Pillow gives, without what Pillow does around it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from dlcli.data.dataset import Array

ORIENTATION = 0x0112  # the tag of EXIF 2.32, section 4.6.4
_START, _FRAMES, _APP1, _ENTROPY = b"\xff\xd8\xff", (0xC0, 0xC1, 0xC2), 0xE1, 0xDA  # T.81, table B.1
_EXIF = b"Exif\0\0"  # EXIF 2.32, section 4.5.4
_SAYS_MORE = (b"tiff:Orientation", b"exif:Orientation")  # in XMP
_MOST_PIXELS = 1 << 26
_SCALES = (8, 4, 2)  # those that libjpeg-turbo is fast with
_MOST_SCRATCH = 1 << 24
_of_thread = threading.local()
_SPACES = {1: "GRAY", 3: "RGB", 4: "RGBX"}


@dataclass(frozen=True)
class Frame:
    """What a JPEG says of itself: height and width as stored, whether it is grey, and how it is to be turned."""

    size: tuple[int, int]
    is_grey: bool
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width, once it is turned."""
        height, width = self.size
        return (width, height) if self.orientation >= 5 else (height, width)

    def size_at(self, scale: int) -> tuple[int, int]:
        """Height and width as stored, made smaller by a factor."""
        height, width = (-(-side // scale) for side in self.size)
        return height, width

    def bytes_at(self, scale: int, channels: int) -> int:
        """How many bytes its pixels are, made smaller by a factor."""
        height, width = self.size_at(scale)
        return height * width * channels


def frame_of(data: bytes) -> Frame | None:
    """What the beginning of a JPEG of bytes, grey or coloured, says; None for all else, which is left to Pillow."""
    if not data.startswith(_START):
        return None
    at, orientation = 2, None
    while at + 9 < len(data) and data[at] == 0xFF and data[at + 1] != _ENTROPY:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[place : place + 2], "big") for place in (at + 5, at + 7))
            is_known = data[at + 4] == 8 and data[at + 9] in (1, 3) and 0 < height * width <= _MOST_PIXELS
            return Frame((height, width), data[at + 9] == 1, orientation or 1) if is_known else None
        if marker == _APP1:
            segment = data[at + 4 : end]
            if any(word in segment for word in _SAYS_MORE) or (segment.startswith(_EXIF) and orientation is not None):
                return None
            if segment.startswith(_EXIF):
                orientation = orientation_in(segment)
        at = end
    return None


def orientation_in(exif: bytes) -> int:
    """How EXIF data says that a picture is to be turned, as it numbers that: 1 for not at all."""
    found = Image.Exif()
    try:
        found.load(exif)
        number = found.get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF data says nothing, and the picture is whole
        return 1
    return number if number in range(1, 9) else 1


def scale_for(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """By which factor a picture may be decoded smaller: 8, 4, 2 or 1, so that it is not below what is wanted."""
    factor = min(size[0] // wanted[0], size[1] // wanted[1])
    return next((scale for scale in _SCALES if scale <= factor), 1)


def decode(data: bytes, frame: Frame, *, scale: int = 1, channels: int = 3, into: Array | None = None) -> Array:
    """The pixels as they are stored, uint8 of shape (height, width, channels), or (height, width) for a grey one.

    Args:
        data: the whole file.
        frame: what it says of itself.
        scale: the factor by which it is made smaller; sizes are rounded up.
        channels: 3; or 1 for a grey picture; or 4: three colours and 255.
        into: an array to fill, of as many bytes.

    Raises:
        ValueError: the data is damaged, or only Pillow can read it.
    """
    height, width = frame.size_at(scale)
    arguments: dict[str, Any] = {"buffer": into} if into is not None else {}
    found: Array = simplejpeg.decode_jpeg(
        data, _SPACES[channels], min_height=height, min_width=width, min_factor=1, **arguments
    )
    if found.shape[:2] != (height, width):
        raise ValueError("the size is not that of the header")
    return found.reshape(height, width) if channels == 1 else found


def _core_over(pixels: Array) -> Any:
    """What Pillow has in C for an image of pixels of four bytes each, which it does not copy.

    Making one of pixels of three bytes takes a tenth as long as decoding them: Pillow has four for each itself.
    """
    height, width = pixels.shape[:2]
    return Image.core.map_buffer(pixels, (width, height), "raw", 0, ("RGB", 0, 1))  # type: ignore[attr-defined]


def image_over(pixels: Array) -> Image.Image:
    """Pillow's image of grey pixels, or of those of four bytes each."""
    return Image.fromarray(pixels) if pixels.ndim == 2 else Image.new("RGB", (0, 0))._new(_core_over(pixels))


def resize_into(found: Array, pixels: Array) -> None:
    """Fill an array with pixels of four bytes each, stretched as Pillow's `resize` does, by its parts in C alone.

    What Python does around them is 4% of reading a small photograph in one thread; in two, which need the same lock
    for it and take the same memory from each other, 7%.
    """
    height, width = found.shape[:2]
    whole = (0, 0, pixels.shape[1], pixels.shape[0])
    resized = _core_over(pixels).resize((width, height), Image.Resampling.BILINEAR, whole)
    encoder = Image._getencoder("RGB", "raw", "RGB")
    encoder.setimage(resized, (0, 0, width, height))
    _, _, data = encoder.encode(found.nbytes)
    found[...] = np.frombuffer(data, np.uint8).reshape(found.shape)


def scratch(size: int) -> Array | None:
    """So many bytes to decode into, the same ones again: fresh memory makes decoding take a third longer."""
    if size > _MOST_SCRATCH:
        return None
    if len(getattr(_of_thread, "scratch", ())) < size:
        _of_thread.scratch = np.empty(size, np.uint8)
    kept: Array = _of_thread.scratch[:size]
    return kept
