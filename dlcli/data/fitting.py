"""What becomes of the columns of a table that is read for the first time: as far as all sources of tables agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from dlcli.data.columns import (
    Category,
    Date,
    Fitted,
    Index,
    Number,
    Plain,
    Text,
    Values,
    as_numbers,
    as_texts,
    sorted_values,
)
from dlcli.data.encoding import compares_classes, snake_case
from dlcli.data.inferring import Kind, is_mostly_numbers, is_wrong_number, kind_of
from dlcli.data.skipping import Checks
from dlcli.data.table_reader import TargetColumn
from dlcli.errors import DataError, Problem
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_files import Column, Csv
from dlcli.spec.sources_series import Series

_FEW_SHOWN = 3
_ANOTHER = "Name a column that differs from row to row with `target`; or add rows that differ in this one."


def fitted_target(column: str, values: pd.Series, *, kind: str | None, loss: str, where: str) -> TargetColumn:
    """A column of what is asked for.

    Args:
        column: its name.
        values: in all rows; or the different ones that there are.
        kind: "number" or "category", if the spec says so; otherwise the loss and the values tell.
        loss: its name, with underscores.
        where: names the table for messages.

    Raises:
        DataError: it cannot be what the loss compares, or is the same in all rows.
    """
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    meant = kind if kind is not None else "category" if compares_classes(loss) or not is_number else "number"
    if meant == "number":
        numbers = as_numbers(column, values, where)
        if (numbers == numbers[0]).all():
            raise DataError(f"{where}: `{column}` is {numbers[0]:g} in every row: there is nothing to learn.", _ANOTHER)
        return TargetColumn(column, None, False)
    texts = as_texts(values)
    classes = sorted_values(texts)
    if kind is None and is_number and (values % 1 != 0).any():
        hint = "Use a loss for numbers, such as `mean_squared_error`."
        message = f"{where}: `{column}` has numbers with a fraction, but `{loss}` compares classes."
        raise DataError(message, hint)
    if kind is None and loss and not compares_classes(loss) and not is_number:
        _refuse_nearly_numbers(column, values, loss, where)
    if len(classes) == 1:
        message = f"{where}: every row has the same `{column}`, {classes[0] or 'a blank'}: there is nothing to learn."
        raise DataError(message, _ANOTHER)
    return TargetColumn(column, classes, not is_number and not pd.api.types.is_bool_dtype(values))


def _refuse_nearly_numbers(column: str, values: pd.Series, loss: str, where: str) -> None:
    """Raises DataError where a loss for numbers meets numbers, but for a few values that are none."""
    wrong = values[is_wrong_number(values)]
    if len(wrong) and is_mostly_numbers(len(wrong), int(values.notna().sum())):
        few = ", ".join(f"`{text}`" for text in as_texts(wrong)[:_FEW_SHOWN])[:80]
        message = f"{where}: `{loss}` compares numbers, but `{column}` has {few}, which is none."
        raise DataError(message, "Correct it, or name it in `missing`; `corrupt: skip` leaves such rows out.")


class Fitting:
    """Fits columns as a spec says, or as their values do.

    Attributes:
        source: names the columns.
        loaded: the spec.
        where: names the table for messages.
    """

    def __init__(self, loaded: LoadedSpec, source: Csv | Series, where: str) -> None:
        self.source = source
        self.loaded = loaded
        self.where = where

    def targets(self, values: Mapping[str, pd.Series]) -> dict[str, TargetColumn]:
        """The columns of what is asked for, with their classes, told by these values of each, none of them missing."""
        names = self.source.target_names if self.source.target else ()
        heads = heads_of(self.loaded.spec)
        made = {}
        for name, column in zip(names, self.source.target or (), strict=True):
            loss = snake_case(heads[name].loss.name) if name in heads else ""
            said = self.source.columns.get(column)
            kind = said.kind if said is not None else None
            if kind == "skip" and isinstance(self.source, Series):
                kind = None  # what is left out is the past of the target
            if kind not in (None, "number", "category"):
                message = f"`{column}` is what is asked for, which is a number or a category."
                place = ("dataset", "source", self.source.name, "columns", column)
                raise self.loaded.error(Problem(message, place))
            made[name] = fitted_target(column, values[column], kind=kind, loss=loss, where=self.where)
        return made

    def kind(self, name: str, values: Values, *, is_said: bool = False) -> Kind:
        """The kind of a column, as the spec says or its values do; see `kind_of`. Raises DataError."""
        said = self.source.columns.get(name)
        return Kind(said.kind) if said is not None else kind_of(name, values, self.where, is_said=is_said)

    def fitted(self, name: str, kind: str, values: Values) -> Fitted:
        """A column of this kind, fitted to its values in the training rows."""
        said = self.source.columns.get(name) or Column.model_validate(kind)
        is_scaled = self.loaded.spec.dataset.preparation is None
        if kind == "number":
            return (Number if is_scaled else Plain).fit(name, values, self.where, is_scaled=is_scaled)
        if kind == "category":
            return Category.fit(name, values)
        if kind == "index":
            return Index.fit(name, values, said.vocabulary)
        if kind == "date":
            return Date.fit(name, values, self.where)
        text = Text.fit(name, values, said.length, said.vocabulary)
        if not text.words:
            message = f"{self.where}: `{name}` has no word in any row to train on."
            raise DataError(message, "Name a column with texts; or leave this one out with `skip`.")
        return text

    @property
    def texts(self) -> list[str]:
        """The columns that stay as they are written, since the spec says that they are texts."""
        return [name for name, one in self.source.columns.items() if one.kind == "text"]

    def checked(self, used: Iterable[str], outside: Iterable[str | None]) -> Checks:
        """What the values of columns must be so that a row is sound.

        Args:
            used: the columns that go in, if that is said; otherwise all others do.
            outside: columns whose values may be anything.
        """
        source, known = self.source, {name: one.kind for name, one in self.source.columns.items()}
        heads = heads_of(self.loaded.spec)
        for name, column in zip(source.target_names, source.target or (), strict=False):
            loss = snake_case(heads[name].loss.name) if name in heads else ""
            known.setdefault(column, "category" if compares_classes(loss) else "number")
        known.update({name: "skip" for name in outside if name is not None})
        return Checks(known, tuple(used) or None)

    def nothing_left(self, kinds: Mapping[str, Kind]) -> DataError:
        """The error that no column goes in, with the reason of each."""
        reasons = "; ".join(f"`{name}`: {kind.reason or 'the spec says so'}" for name, kind in kinds.items())
        hint = "Add columns that differ from row to row and say something; or say what one is, with `columns`."
        return DataError(f"{self.where}: no column is left to go in. {reasons}.", hint)
