"""Opens files of arrays, .npz, .h5 and .npy, and tells what is in them; nothing in them is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from dlcli.data.stored import Chunked, Lost, Packed, Region, Stored
from dlcli.errors import DataError
from dlcli.spec.likeness import suggestion

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
SUFFIXES = (".npz", ".npy", *HDF5_SUFFIXES)
_ENCRYPTED = 1  # APPNOTE.TXT 6.3.10, section 4.4.4
_MOST_SHOWN = 20


def open_arrays(paths: Sequence[Path]) -> dict[str, Stored]:
    """The arrays of files, by name.

    Args:
        paths: one .npz or .h5; or .npy files, or a folder of such, whose names without the suffix are the arrays'.

    Raises:
        DataError: a file is missing, damaged, or holds no arrays.
    """
    files = [file for path in paths for file in (_of_folder(path) if path.is_dir() else [path])]
    found: dict[str, Stored] = {}
    for file in files:
        for name, array in _open(file).items():
            if isinstance(array, Lost) and name in found:
                continue
            if name in found and not isinstance(found[name], Lost):
                raise DataError(f"There are two arrays `{name}`: in {found[name].path} and in {file}.")
            found[name] = array
    if not found:
        raise DataError(f"{paths[0]} holds no arrays.")
    return found


def find_array(arrays: Mapping[str, Stored], name: str) -> Stored:
    """The array of that name; a slash at its beginning counts for nothing. Raises DataError."""
    known = arrays.get(name, arrays.get(name.lstrip("/")))
    if isinstance(known, Lost):
        raise known.error
    if known is None:
        path = next(iter(arrays.values())).path
        hint = suggestion(name, arrays) or f"There is: {shown_names(arrays)}."
        raise DataError(f"{path} has no array `{name}`.", hint)
    return known


def shown_names(arrays: Mapping[str, Stored]) -> str:
    """The names of arrays, for a message."""
    names = [f"`{name}`" for name in arrays]
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _of_folder(path: Path) -> list[Path]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".npy")
    if not files:
        raise DataError(f"{path} is a folder without .npy files.", "Name an .npz or .h5 file, or a folder of .npy.")
    return files


def _open(path: Path) -> dict[str, Stored]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        kinds = ", ".join(SUFFIXES)
        raise DataError(f"{path}: arrays are not read from files of the kind `{suffix}`.", f"These are: {kinds}.")
    with told(path):
        if suffix == ".npz":
            return _npz(path)
        return {path.stem: _npy(path)} if suffix == ".npy" else _hdf5(path)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What other libraries say of a file that cannot be read, as a DataError."""
    kind = {".npz": "an archive of arrays", ".npy": "an array"}.get(path.suffix.lower(), "an HDF5 file")
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read: {error.strerror}.") from error
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, SyntaxError,
            NotImplementedError, zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        lines = str(error).splitlines() or [type(error).__name__]
        hint = "It may be cut off, or another kind of file."
        raise DataError(f"{path} is not {kind} that can be read: {lines[0].rstrip('.')}.", hint) from error


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether by columns, and type of an array in NumPy's format, up to whose numbers the file is read."""
    version = np.lib.format.read_magic(file)
    reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in reads:
        raise ValueError(f"its format has the version {version[0]}.{version[1]}")
    try:
        return reads[version](file)
    except ValueError as error:
        if "malformed node" not in str(error):  # with which Python names a place in its memory
            raise
        raise ValueError("its header is damaged: it is no description of an array") from error


def _npy(path: Path) -> Stored:
    with path.open("rb") as file:
        shape, by_columns, dtype = _header(file)
        offset = file.tell()
    if not dtype.hasobject:
        _check_size(str(path), shape, dtype, path.stat().st_size - offset)
    if by_columns and len(shape) > 1:
        return Packed(path, path.stem, shape, dtype, "written by columns", lambda: np.load(path, allow_pickle=False))
    return Region(path, path.stem, shape, dtype, offset)


def _npz(path: Path) -> dict[str, Stored]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if any(member.flag_bits & _ENCRYPTED for member in members):
            raise DataError(f"{path} is encrypted.", "Write it anew without a password.")
        return {member.filename[:-4]: _member(path, archive, member) for member in members}


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    name = member.filename[:-4]
    with archive.open(member) as file:
        shape, by_columns, dtype = _header(file)  # type: ignore[arg-type]
        length = file.tell()
    if not dtype.hasobject:
        _check_size(f"`{name}` in {path}", shape, dtype, member.file_size - length)

    def load() -> Any:
        with told(path), np.load(path, allow_pickle=False) as arrays:
            return arrays[member.filename[:-4]]

    if member.compress_type != zipfile.ZIP_STORED:
        return Packed(path, name, shape, dtype, "compressed", load)
    if by_columns and len(shape) > 1:
        return Packed(path, name, shape, dtype, "written by columns", load)
    return Region(path, name, shape, dtype, _data_offset(path, member) + length, load)


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed begin: behind its local header (APPNOTE 6.3.10, 4.3.7)."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("a member has no header")
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return member.header_offset + 30 + name + extra


def _check_size(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int) -> None:
    """See that all the numbers are there which an array's header promises."""
    if min(shape, default=0) < 0:
        sizes = "×".join(map(str, shape))
        raise DataError(f"{what} is damaged: its header says that its shape is {sizes}.", "Write the file again.")
    promised = dtype.itemsize
    for size in shape:
        promised *= size
    if there < promised:
        sizes = f"{promised:,} bytes of numbers are promised, and {max(0, there):,} are there"
        raise DataError(f"{what} is cut off: {sizes}.", "Copy or write the file again.")


def _hdf5(path: Path) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    with h5py.File(path, "r") as file:
        _walk(path, file, "", frozenset(), found)
    return found


def _walk(path: Path, group: Any, prefix: str, above: frozenset[Any], found: dict[str, Stored]) -> None:
    """The arrays in a group and the groups in it; links within the file are followed, but never in a circle."""
    here = above | {h5py.h5o.get_info(group.id).addr}
    for key in group:
        name, link = f"{prefix}{key}", group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            found[name] = Lost.of(path, name, f"a link to `{link.path}` in {link.filename}, another file", _ELSEWHERE)
            continue
        item = group.get(key)
        if item is None:
            leads = f"a link to `{link.path}`, which is not there" if isinstance(link, h5py.SoftLink) else "no array"
            found[name] = Lost.of(path, name, leads, _REMOVE)
        elif isinstance(item, h5py.Dataset) and _has_lengths(item.dtype):
            why = "made of rows of different lengths, which is no array"
            found[name] = Lost.of(path, name, why, "Write rows of one length, filled up with zeros, say.")
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            found[name] = _dataset(path, name, item)
        elif isinstance(item, h5py.Group) and h5py.h5o.get_info(item.id).addr not in here:
            _walk(path, item, f"{name}/", here, found)


def _has_lengths(dtype: np.dtype[Any]) -> bool:
    """Whether each row has a length of its own; texts are no such rows."""
    return h5py.check_vlen_dtype(dtype) is not None and h5py.check_string_dtype(dtype) is None


_ELSEWHERE = "Name that file as well, as in `path: [a.h5, b.h5]`; or copy the array into this one."
_REMOVE = "Write the array that it is to lead to, or name another one."


def _missing_parts(path: Path, dataset: Any) -> list[str]:
    """The files that a data set is made of and that are not there: HDF5 would read zeros in their place."""
    if not dataset.is_virtual and not dataset.external:
        return []
    names = [one.file_name for one in dataset.virtual_sources()] if dataset.is_virtual else []
    names += [name for name, *_ in dataset.external or ()]
    others = dict.fromkeys(name for name in names if name != ".")
    return [name for name in others if not (path.parent / name).exists() and not Path(name).exists()]


def _dataset(path: Path, name: str, dataset: Any) -> Stored:
    if missing := _missing_parts(path, dataset):
        return Lost.of(path, name, f"made of {missing[0]}, a file that is not there", "Bring the file back beside it.")
    shape, dtype = tuple(dataset.shape), np.dtype(dataset.dtype)
    offset = (
        dataset.id.get_offset() if dataset.chunks is None and not dataset.external and not dataset.is_virtual else None
    )
    if offset is not None and dtype.kind in "uifb" and h5py.check_enum_dtype(dtype) is None:
        return Region(path, name, shape, dtype, offset)
    if h5py.check_string_dtype(dtype) is not None:
        dtype = np.dtype(str)
    return Chunked(path, name, shape, dtype, dataset.chunks[0] if dataset.chunks else 1)
