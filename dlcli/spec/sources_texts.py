"""The grammar of `text`: files of text in class folders. What is in them, `dlcli.data` finds out."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from typing import Annotated

from pydantic import Field

from dlcli.spec.source import Count
from dlcli.spec.sources_folders import Folders


class Text(Folders):
    """Files of text (.txt) in a folder for each class: the numbers of their words, for an `Embedding`.

    A folder may have `train`, `test` and `validation` in it, each with a folder for each class.
    """

    name = "text"
    kind = "indices"

    length: Count | None = None
    """how many words of a text go in; left out: as many as 95 of 100 texts have, but at most 256"""
    vocabulary: Annotated[Count, Field(ge=3)] | None = None
    """how many numbers there are: of the most frequent words, of all others, and of no word; left out: 10,000"""
    encoding: str = "utf-8"
    """how characters are written in the files"""
