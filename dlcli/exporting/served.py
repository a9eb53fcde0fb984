"""What TensorFlow does before the network in a SavedModel: small letters, dates taken apart, pictures resized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from dlcli.data.columns import Category, Date, Fitted, Index, Text
from dlcli.exporting.parts import Columns, Part, Picture, Taken
from dlcli.exporting.pictures import decode_file, fit_pictures

_DATE = (
    r"^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?)?(?:Z|([+-])(\d{2}):?(\d{2}))?$"
)
_DAY = 24 * 60
_SHOWN = (
    (r"^\+([\d.])", r"\1"), (r"^(-?)\.(\d)", r"\10.\2"), (r"^(-?)0+(\d)", r"\1\2"), (r"^(-?\d+\.\d*?)0+$", r"\1"),
    (r"^(-?\d+)\.$", r"\1"), (r"^-0$", "0"), (r"^(true|TRUE)$", "True"), (r"^(false|FALSE)$", "False"),
)  # fmt: skip
"""how numbers, true and false are brought to the form in which training had them as values"""


def front(
    parts: Mapping[str, Part], raw: Mapping[str, Sequence[Taken]], core: Mapping[str, Sequence[Taken]], *, files: bool
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What makes the network's tensors of those that are served, by name.

    Args:
        parts: what each input is made of.
        raw: the tensors that are served, of each input.
        core: those that the network takes.
        files: whether pictures come as the bytes of files.
    """

    def made(served: Mapping[str, Any]) -> dict[str, Any]:
        tensors: dict[str, Any] = {}
        for name, part in parts.items():
            columns = part.columns if isinstance(part, Columns) else (None,)
            for column, one, into in zip(columns, raw[name], core[name], strict=True):
                tensors[into.name] = _made(part, column, served[one.name], files=files)
        return tensors

    return made


def _made(part: Part, column: Fitted | None, tensor: Any, *, files: bool) -> Any:
    if isinstance(part, Picture):
        return _pictures(part, tensor, files=files)
    if isinstance(column, Date):
        return date_numbers(column, tf.strings.strip(tensor))
    if isinstance(column, Text):
        return tf.strings.lower(tensor, encoding="utf-8")
    if isinstance(column, (Category, Index)):
        return as_shown(column, tf.strings.strip(tensor))
    return tensor


def as_shown(column: Category | Index, texts: Any) -> Any:
    """Values as training had them: of a column of numbers, or of true and false, `1.0` and `01` are 1, and `true` True.

    Numbers with an exponent, which nobody writes for a value, stay as they are.
    """
    if column.is_text:
        return texts
    for pattern, instead in _SHOWN:
        texts = tf.strings.regex_replace(texts, pattern, instead)
    return texts


def _pictures(part: Picture, tensor: Any, *, files: bool) -> Any:
    if files:
        spec = tf.TensorSpec(part.shape, tf.uint8)
        return tf.map_fn(lambda content: decode_file(content, part), tensor, fn_output_signature=spec)
    channels = tensor if len(part.shape) == 3 else tensor[..., None]
    return fit_pictures(channels, part)


def date_numbers(column: Date, texts: Any) -> Any:
    """Dates as `column.encode` has them, float32 with a new last axis; a text that is no date is a missing one."""
    known = tf.strings.regex_full_match(texts, _DATE)
    whole = tf.where(known, texts, "1970-01-01")

    def group(number: int) -> Any:
        digits = tf.strings.regex_replace(whole, _DATE, rf"0\{number}")
        return tf.strings.to_number(digits, tf.int64)

    sign = tf.where(tf.strings.regex_full_match(whole, r".*-\d{2}:?\d{2}$"), 1, -1)
    has_zone = tf.strings.regex_replace(whole, _DATE, r"\6") != ""
    shift = tf.where(has_zone, tf.cast(sign, tf.int64) * (group(7) * 60 + group(8)), 0)
    day_written = _days(group(1), group(2), group(3))
    is_day = tf.reduce_all(tf.stack(_civil(day_written)) == tf.stack([group(1), group(2), group(3)]), axis=0)
    known = known & is_day & (group(4) < 24) & (group(5) < 60)
    minutes = day_written * _DAY + group(4) * 60 + group(5) + shift
    days = minutes // _DAY
    year, month, day = _civil(days)
    parts = [year, month, day, (days + 3) % 7, days - _days(year, 1, 1) + 1, minutes % _DAY // 60]
    numbers = tf.cast(tf.stack(parts[: len(column.means)], axis=-1), tf.float64)
    scaled = tf.where(known[..., None], (numbers - column.means) / column.deviations, 0.0)
    found = [scaled, tf.cast(~known, tf.float64)[..., None]] if column.has_missing else [scaled]
    return tf.cast(tf.concat(found, axis=-1), tf.float32)


def _days(year: Any, month: Any, day: Any) -> Any:
    """The days from 1970-01-01 on; after Howard Hinnant, chrono-compatible low-level date algorithms, 2013."""
    month = tf.convert_to_tensor(month, tf.int64)
    year = year - tf.cast(month <= 2, tf.int64)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + tf.where(month > 2, tf.constant(-3, tf.int64), 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _civil(days: Any) -> tuple[Any, Any, Any]:
    """Year, month and day of a number of days from 1970-01-01 on; see `_days`."""
    days = days + 719468
    era = days // 146097
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    place = (5 * of_year + 2) // 153
    month = place + tf.where(place < 10, tf.constant(3, tf.int64), -9)
    return year + era * 400 + tf.cast(month <= 2, tf.int64), month, of_year - (153 * place + 2) // 5 + 1
