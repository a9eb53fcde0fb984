"""The rows of a table in the order of time, each series of them for itself; and what is wrong with their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from dlcli.data.columns import DATE, as_texts
from dlcli.data.dataset import Array
from dlcli.errors import DataError

_REGULAR = 0.9  # of the steps between times: where so many are equal, a longer one is a gap
_MOSTLY = 0.5  # more of a column than this that are numbers make it one of numbers, with mistakes


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rows of a table, those of each series together, and each series in the order of time.

    Attributes:
        order: the table's row at each position; int64 of shape (n,).
        bounds: the positions at which each series begins and, after the last one, at which all end; of shape (m + 1,).
        names: of the series; one empty name where there is only one.
        times: at each position: microseconds since 1970, or a number; None where no column says so.
        is_date: whether they are dates.
    """

    order: Array
    bounds: Array
    names: tuple[str, ...]
    times: Array | None
    is_date: bool

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def keys(self) -> Array:
        """What tells of any two positions which one is earlier: the time, or else the share of its series before it."""
        if self.times is not None:
            return self.times
        sizes = np.diff(self.bounds)
        return np.concatenate([np.arange(size) / size for size in sizes])

    def steps(self) -> list[Array]:
        """The time between each position and the next, of each series."""
        if self.times is None:
            return []
        return [np.diff(self.times[begin:end]) for begin, end in zip(self.bounds, self.bounds[1:], strict=False)]

    def label(self, position: int, series: int) -> str:
        """What a person calls a position: its series and its time, or its row; `… +1` is the one after the last."""
        last = int(self.bounds[series + 1]) - 1
        beyond = f" +{position - last}" if position > last else ""
        name = f"{self.names[series]} " if self.names[series] else ""
        return f"{name}{self._moment(min(position, last))}{beyond}"

    def _moment(self, position: int) -> str:
        if self.times is None:
            return str(int(self.order[position]))
        return shown_time(self.times[position], is_date=self.is_date)


def shown_time(time: float, *, is_date: bool) -> str:
    """A time as it is written: a date without a time of the day if that is midnight."""
    if not is_date:
        return repr(int(time)) if float(time).is_integer() else repr(float(time))
    moment = pd.Timestamp(int(time), unit="us")
    return str(moment.date()) if moment == moment.normalize() else str(moment)


def timeline(frame: pd.DataFrame, *, time: str | None, group: str | None, where: str) -> Timeline:
    """The rows in order.

    Args:
        frame: the table.
        time: the column of times; None where the rows are in order.
        group: the column that names the series of each row; None where there is only one.
        where: names the table for messages.

    Raises:
        DataError: a row has no time or no series; what is written is no time; or a time is there twice.
    """
    times, is_date = times_of(time, frame[time], where) if time is not None else (None, False)
    numbers, names = _series_of(frame, group, where)
    keys = (numbers,) if times is None else (times, numbers)  # the last one counts most; equal rows stay in order
    order = np.lexsort(keys).astype(np.int64)
    bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    found = Timeline(order, bounds, names, None if times is None else times[order], is_date)
    if time is not None:
        _refuse_repeated(found, time, group, where)
    return found


def _series_of(frame: pd.DataFrame, group: str | None, where: str) -> tuple[Array, tuple[str, ...]]:
    if group is None:
        return np.zeros(len(frame), np.int64), ("",)
    missing = np.flatnonzero(frame[group].isna().to_numpy())
    if len(missing):
        message = f"{where}, column `{group}`: {_rows(missing)} no value, so that it is not known of which series."
        raise DataError(message, "Write one, or take the row out.")
    names, numbers = np.unique(as_texts(frame[group]).astype(str), return_inverse=True)
    return numbers, tuple(names.tolist())


def _rows(rows: Array) -> str:
    """Of row numbers from 0: `row 3 has`, or `row 3 and 4 others have`."""
    others = f" and {len(rows) - 1:,} other{'s' if len(rows) > 2 else ''} have" if len(rows) > 1 else " has"
    return f"row {int(rows[0]) + 1}{others}"


def times_of(name: str, values: pd.Series, where: str) -> tuple[Array, bool]:
    """A column of times: microseconds since 1970 as int64, or numbers as float64; and whether they are dates.

    Times with an offset are taken at that offset, others as they are.

    Raises:
        DataError: a row has none, or what is written is no time.
    """
    missing = np.flatnonzero(values.isna().to_numpy())
    if len(missing):
        message = f"{where}, column `{name}`: {_rows(missing)} no time."
        raise DataError(message, "Write one, or take the row out.")
    numbers = pd.to_numeric(values, errors="coerce") if not pd.api.types.is_datetime64_any_dtype(values) else None
    if numbers is not None and np.isfinite(numbers).mean() > _MOSTLY:
        _refuse_wrong(name, values, ~np.isfinite(numbers.to_numpy(np.float64)), where)
        return numbers.to_numpy(np.float64), False
    texts = values.astype("str").str.strip()
    # Not whatever pandas makes sense of: it takes 03/04/2024 for the fourth of March.
    times = pd.to_datetime(texts.where(texts.str.fullmatch(DATE)), errors="coerce", format="mixed", utc=True)
    _refuse_wrong(name, values, times.isna().to_numpy(), where)
    return times.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64), True


def _refuse_wrong(name: str, values: pd.Series, is_wrong: Array, where: str) -> None:
    wrong = np.flatnonzero(is_wrong)
    if len(wrong):
        row = int(wrong[0])
        others = f"; so it is in {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        message = f"{where}, column `{name}`: row {row + 1} has `{values.iloc[row]}`, which is no time{others}."
        raise DataError(message, "Write times as 2024-12-31, as 2024-12-31 18:30, or as numbers.")


def _refuse_repeated(found: Timeline, time: str, group: str | None, where: str) -> None:
    for series, steps in enumerate(found.steps()):
        twice = np.flatnonzero(steps == 0)
        if len(twice):
            position = int(found.bounds[series] + twice[0])
            rows = " and ".join(str(int(row) + 1) for row in sorted(found.order[position : position + 2]))
            moment = found.label(position, series)
            message = f"{where}, column `{time}`: {moment} is there twice, in the rows {rows}."
            hint = f"Let there be one row for each time{f' of each `{group}`' if group else ''}."
            if group is None:
                hint += " If a column names several series, such as stations, write `group` with its name."
            raise DataError(message, hint)


def gaps_told(found: Timeline, time: str | None) -> str | None:
    """What a person must know of times that are missing where all others are equally far apart; None if none are."""
    count, first, usual = 0, "", 0.0
    for series, steps in enumerate(found.steps()):
        different, counts = np.unique(steps, return_counts=True)
        if not len(counts) or counts.max() < _REGULAR * len(steps):
            continue
        common = different[counts.argmax()]
        longer = np.flatnonzero(steps > common)
        if len(longer) and not count:
            first, usual = found.label(int(found.bounds[series] + longer[0]), series), common
        count += len(longer)
    if not count:
        return None
    apart = _duration(usual) if found.is_date else f"{usual:g}"
    gaps = "a gap" if count == 1 else f"{count:,} gaps, the first"
    return (
        f"The times in `{time}` are {apart} apart, but for {gaps} after {first}: to a window the rows before and after "
        "it are neighbours."
    )


def _duration(microseconds: float) -> str:
    """`a day`, `7 days`, or with hours as `0 days 00:30:00`."""
    text = str(pd.Timedelta(int(microseconds), unit="us"))
    return {"1 days 00:00:00": "a day", "0 days 01:00:00": "an hour"}.get(text, text.removesuffix(" 00:00:00"))


def refuse_disorder(frame: pd.DataFrame, columns: Sequence[str], found: Timeline, where: str) -> None:
    """Raises DataError where a column of dates shows that rows are not in the order of time, and none is named."""
    for name in columns:
        known = frame[name].dropna()
        if not len(known) or pd.api.types.is_numeric_dtype(known) or pd.api.types.is_bool_dtype(known):
            continue
        if not known.head(100).astype("str").str.fullmatch(DATE).all() or len(known) < len(frame):
            continue
        times, _ = times_of(name, frame[name], where)
        for begin, end in zip(found.bounds, found.bounds[1:], strict=False):
            back = np.flatnonzero(np.diff(times[found.order[begin:end]]) < 0)
            if len(back):
                row = int(found.order[begin + back[0] + 1])
                disorder = f"row {row + 1} is earlier than the one before"
                message = f"{where}: the rows are not in order of `{name}`: {disorder}."
                hint = f"Write `time: {name}`; or, if they are in order, `columns: {{{name}: skip}}`."
                raise DataError(message, hint)
