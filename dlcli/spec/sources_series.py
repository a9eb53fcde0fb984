"""The grammar of the source `series`: windows over a table in the order of time, and what comes after each of them."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from pydantic import Field

from dlcli.spec.source import TARGET, Count
from dlcli.spec.sources_files import Columns, Name, Names, Table


class Series(Table):
    """A table in the order of time: from the rows of a window, what a later row holds is to be told; .csv or .tsv.

    The last rows are held out, never some in between: the last of all are the test set, those before them validation.
    Their windows may begin among earlier rows.
    """

    name = "series"

    target: Names
    """the column to forecast, or several"""
    length: Count
    """how many rows a window has"""
    features: Names | None = None
    """the columns that go in; left out: all but `time` and `group`, the past of the target among them"""
    time: Name | None = None
    """the column of times, dates or numbers, by which the rows are put in order; left out: they are in order"""
    group: Name | None = None
    """the column that says which series a row is of, such as a station; no window has rows of two"""
    horizon: Count = 1
    """how many rows behind the last one of its window the target is"""
    stride: Count = 1
    """how many rows behind the beginning of a window the next one begins; forecasts for files are for each row"""
    columns: Columns = Field({})
    """how a column is prepared, where that is not to be told by its values"""

    @property
    def target_names(self) -> tuple[str, ...]:
        """The columns' own names, if there are several."""
        return self.target if len(self.target) > 1 else (TARGET,)
