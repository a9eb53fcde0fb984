"""Makes of raw values what an exported model takes, as its signature.json says: plain NumPy, nothing of dlcli's.

dlcli writes this file beside models whose format cannot hold all of the preparation of training.

    prepare({"age": [31.0], "city": ["Bern"]}, read_signature("signature.json"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
_BLANKS = re.compile(r"[ \t\n\r\f\v]+")
_DATE = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(?:(Z)|([+-])(\d{2}):?(\d{2}))?"
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_TRUTHS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
_BITS = 22  # of the fractions with which Pillow weighs pixels

Step = Mapping[str, Any]


def read_signature(path: str) -> Any:
    """The content of a signature.json."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - short, for whoever reads this beside a model
        return json.load(file)


def prepare(raw: Mapping[str, Any], signature: Mapping[str, Any]) -> dict[str, Any]:
    """What the model takes, by the names of its inputs.

    Args:
        raw: by the names of columns, or of inputs; the first axis is that of the examples. A number that is missing is
            NaN, a text that is missing is "".
        signature: the content of signature.json.
    """
    steps = signature["preparation"]
    return {one["name"]: _made(raw, steps[one["name"]], one["dtype"]) for one in signature["inputs"]}


def _made(raw: Mapping[str, Any], steps: Sequence[Step], dtype: str) -> Any:
    parts = [STEPS[step["kind"]](np.asarray(raw[step["name"]]), step) for step in steps]
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
    return joined if dtype == "string" else joined.astype(dtype)


def _number(values: Any, step: Step) -> Any:
    """Standardized; "plain": as it is. The mean for what is missing, and whether it is, if any was in training."""
    numbers = values.astype(np.float64)
    missing = np.isnan(numbers)
    filled = np.where(missing, step["mean"], numbers)
    scaled = (filled - (step["mean"] if step["kind"] == "number" else 0.0)) / step["deviation"]
    return np.stack([scaled, missing] if step["has_missing"] else [scaled], axis=-1)


def _category(values: Any, step: Step) -> Any:
    """A 1 in the column of its value, or of a missing one; none for a value that training did not have."""
    known = [*step["values"], *([""] * step["has_missing"])]
    return np.equal.outer(_positions(values, known, step), np.arange(len(known)))


def _index(values: Any, step: Step) -> Any:
    """The position of its value, from 1 on; 0 for one that training did not have."""
    return _positions(values, step["values"], step) + 1


def _positions(values: Any, known: Sequence[str], step: Step) -> Any:
    positions = {value: number for number, value in enumerate(known)}
    return _each(values, lambda value: positions.get(_shown(value, step), -1))


def _shown(value: Any, step: Step) -> str:
    """A value as training had it: whole numbers without a point, texts without the blanks around them.

    Of a column that is no text, `1.0` and `01` are numbers as well, and `true` is True.
    """
    text = str(value).strip()
    if not step["is_text"]:
        value = float(text) if _NUMBER.fullmatch(text) else value
        text = _TRUTHS.get(text, text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        return "" if np.isnan(number) else str(int(number)) if number.is_integer() else repr(number)
    return text


def _date(values: Any, step: Step) -> Any:
    """Year, month, day, day of the week, day of the year and hour, each standardized; and whether it is missing."""
    count = len(step["means"])
    parts = _each(values, lambda value: _parts(str(value).strip()), 6)[..., :count]
    missing = np.isnan(parts[..., :1])
    scaled = np.where(missing, 0.0, (parts - step["means"]) / step["deviations"])
    return np.concatenate([scaled, missing], axis=-1) if step["has_missing"] else scaled


def _parts(text: str) -> list[float]:
    """The parts of a date, in UTC; NaN for a text that is none."""
    found = _DATE.fullmatch(text)
    if found is None:
        return [float("nan")] * 6
    try:
        year, month, day, hour, minute, second = (int(found[number] or 0) for number in range(1, 7))
        moment = datetime(year, month, day, hour, minute, second)
        if found[8]:
            shift = timedelta(hours=int(found[9]), minutes=int(found[10]))
            moment += shift if found[8] == "-" else -shift
    except (ValueError, OverflowError):  # such as the 30th of February
        return [float("nan")] * 6
    return [moment.year, moment.month, moment.day, moment.weekday(), moment.timetuple().tm_yday, moment.hour]


def _text(values: Any, step: Step) -> Any:
    """The numbers of its first words: from 2 on, 1 for one that training did not have, 0 behind the end."""
    numbers = {word: number for number, word in enumerate(step["words"], start=2)}

    def numbered(value: Any) -> list[int]:
        words = [word for word in _BLANKS.split(_PUNCTUATION.sub("", str(value).lower())) if word][: step["length"]]
        return [*(numbers.get(word, 1) for word in words), *([0] * (step["length"] - len(words)))]

    return _each(values, numbered, step["length"])


def _each(values: Any, function: Callable[[Any], Any], *more: int) -> Any:
    """What a function makes of each value, with the axes of the values, and `more`."""
    return np.asarray([function(value) for value in values.ravel().tolist()]).reshape(*values.shape, *more)


def _picture(values: Any, step: Step) -> Any:
    """Bytes of shape (n, height, width) or (n, height, width, colours), resized as Pillow does it (bilinear)."""
    grey = step["color"] == "grayscale"
    pictures = values if values.ndim == 4 else values[..., None]
    if grey and pictures.shape[-1] == 3:
        pictures = ((pictures.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16)[..., None]
    if not grey and pictures.shape[-1] == 1:
        pictures = np.repeat(pictures, 3, axis=-1)
    fitted = _fitted(pictures, step)
    return fitted.reshape(len(fitted), *step["shape"]).astype(np.uint8)


def _fitted(pictures: Any, step: Step) -> Any:
    """Pictures of the step's height and width: stretched, or their middle, or all of them with black beside them."""
    size, own = tuple(step["size"]), (pictures.shape[1], pictures.shape[2])
    if own == size:
        return pictures
    if step["fit"] == "pad":
        scale = min(size[1] / own[1], size[0] / own[0])
        inner = max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
        canvas = np.zeros((len(pictures), *size, pictures.shape[3]), np.int64)
        top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        canvas[:, top : top + inner[0], left : left + inner[1]] = _resized(pictures, inner, (0.0, 0.0), step)
        return canvas
    cut = (0.0, 0.0)
    if step["fit"] == "crop":
        scale = min(own[1] / size[1], own[0] / size[0])
        cut = max(0.0, (own[0] - size[0] * scale) / 2), max(0.0, (own[1] - size[1] * scale) / 2)
    return _resized(pictures, size, cut, step)


def _resized(pictures: Any, size: tuple[int, int], cut: tuple[float, float], step: Step) -> Any:
    """Stretched to a height and width, without what is cut off on either side."""
    height, width = pictures.shape[1:3]
    rows, columns = _weights(height, size[0], cut[0]), _weights(width, size[1], cut[1])
    steps = [("nhwc,ow->nhoc", columns), ("nhwc,oh->nowc", rows)]
    # Each rounds, so that their order tells: as the Pillow of the training had it.
    if step["columns_first"] and height > size[0] and height - size[0] > 2 * (width - size[1]):
        steps.reverse()
    found = pictures.astype(np.float64)
    for what, weights in steps:
        found = _rounded(np.einsum(what, found, weights))
    return found.astype(np.int64)


def _weights(length: int, wanted: int, cut: float) -> Any:
    """How much each of `length` pixels counts for each of those wanted, shape (wanted, length), in whole numbers."""
    start, stop = np.float32(cut), np.float32(length - cut)  # as which Pillow is given a box
    scale = float(stop - start) / wanted
    reach = max(scale, 1.0)
    centers = float(start) + (np.arange(wanted)[:, None] + 0.5) * scale
    first = np.maximum(np.floor(centers - reach + 0.5), 0.0)
    end = np.minimum(np.floor(centers + reach + 0.5), length)
    pixels = np.arange(length)[None, :]
    near = np.maximum(0.0, 1.0 - np.abs((pixels - centers + 0.5) / reach))
    near = np.where((pixels >= first) & (pixels < end), near, 0.0)
    return np.floor(0.5 + near * (1.0 / near.sum(axis=1, keepdims=True)) * (1 << _BITS))


def _rounded(sums: Any) -> Any:
    return np.clip(np.floor((sums + (1 << (_BITS - 1))) / (1 << _BITS)), 0, 255)


STEPS: dict[str, Callable[[Any, Step], Any]] = {
    "as it is": lambda values, step: values,
    "stripped": lambda values, step: _each(values, lambda value: _shown(value, step)),
    "small letters": lambda values, step: _each(values, lambda value: str(value).lower()),
    "number": _number, "plain": _number, "category": _category, "index": _index, "date": _date, "text": _text,
    "picture": _picture,
}  # fmt: skip
"""what is done with the values of a column or input, by the kind that signature.json says"""
