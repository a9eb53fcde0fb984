"""The grammar that the sources of files in class folders have in common. What is in them, `dlcli.data` finds out."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from dlcli.spec.source import FileSource

VALIDATION_FOLDER = "folder"
"""what `dataset.validation` says where the files held out for it are in a folder of their own"""


class Folders(FileSource):
    """Files in a folder for each class; it may have `train`, `test` and `validation` in it, each with such folders."""

    path: str
    """the folder; relative to the spec, or to the folder for data"""
    test_path: str | None = None
    """the folder of the test set, where that is not `test` in the folder"""

    @property
    def files(self) -> tuple[str, ...]:
        """The folder, and that of the test set."""
        return (self.path, *((self.test_path,) if self.test_path is not None else ()))
