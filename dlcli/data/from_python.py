"""The examples of a `python` source: what a function of a person's own returns, once that person trusts it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dlcli.data.array_reader import ArrayReader
from dlcli.data.dataset import Array, Dataset
from dlcli.data.finding import find_all
from dlcli.data.from_arrays import choose
from dlcli.data.from_stored import Chosen, read_stored
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.stored import Packed, Stored
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.extensions import TRUST
from dlcli.spec.likeness import suggestion
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_arrays import Python

_RETURNED = "It must return `(x, y)`, `((x, y), (x_test, y_test))`, or a dict of arrays by their names."
_FRAMES = 4
_Nested = tuple[tuple[str, str], tuple[str, str]]
_NAMES: _Nested = (("x_train", "y_train"), ("x_test", "y_test"))


def load_python(
    loaded: LoadedSpec, source: Python, where: Where, folders: Sequence[Path], reader: ArrayReader | None
) -> tuple[Dataset, Splits]:
    """The examples that a function returns, split.

    Python's and NumPy's random numbers begin with the spec's seed; what it prints goes to standard error.

    Args:
        loaded: the spec.
        source: its source.
        where: whether its code is trusted.
        folders: where its file may be.
        reader: what the arrays became in training; None to tell it by what they are.

    Raises:
        DataError: it is not trusted, fails, or returns what cannot be used.
    """
    if not where.trusts_code:
        raise DataError(f"The data comes from a function of one's own, `{source.function}`, which would be run.", TRUST)
    dataset = loaded.once("dataset", lambda: _read(loaded, source, where, folders, reader))
    return dataset, split_as_written(loaded, dataset)


def _read(
    loaded: LoadedSpec, source: Python, where: Where, folders: Sequence[Path], reader: ArrayReader | None
) -> Dataset:
    code = _code_of(source, folders)
    with _importing_from(code.folder):
        returned = _called(_function(source, code), source, code, loaded.spec.seed)
    arrays = {name: _stored(name, value, code) for name, value in _by_name(returned, loaded, source).items()}
    train, test = choose(loaded, source, arrays, where)
    chosen = Chosen(train, test, f"{source.code[1]} of {code.path}", source.kind_of, source.class_names, stream=False)
    dataset, _ = read_stored(loaded, chosen, where, reader)
    return replace(dataset, code=code.digest, folder=code.folder)


@dataclass(frozen=True)
class _Code:
    """Where a function is.

    Attributes:
        path: its file.
        folder: from which it imports others; None for a module that is installed.
        digest: of the file: BLAKE2b, 16 bytes.
    """

    path: Path
    folder: Path | None
    digest: str


def _code_of(source: Python, folders: Sequence[Path]) -> _Code:
    written = source.code[0]
    if source.files:
        [path, *_] = find_all(source.files, folders)
        folder: Path | None = path.absolute().parent
    else:
        top = written.split(".")[0]
        places = (one for one in folders if (one / top).is_dir() or (one / f"{top}.py").is_file())
        folder = next(places, None)
        path = _path_of_module(source, folder)
    try:
        return _Code(path, folder, hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", place=("function",)) from error


def _path_of_module(source: Python, folder: Path | None) -> Path:
    name = source.code[0]
    with _importing_from(folder), _told(source, Path(name)):
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        hint = "It must be beside the spec, or installed; a file is written `mydata.py:load`."
        raise DataError(f"There is no module `{name}` of Python code.", hint, ("function",))
    return Path(found.origin)


@contextlib.contextmanager
def _importing_from(folder: Path | None) -> Iterator[None]:
    """Let modules in that folder be imported, before all others of the same names."""
    before = list(sys.path)
    if folder is not None:
        sys.path.insert(0, str(folder.absolute()))
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _told(source: Python, path: Path) -> Iterator[None]:
    """What goes wrong in the code, as a DataError with the last lines of its traceback; the working folder stays."""
    folder = Path.cwd()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except DataError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
        lines = [
            f"\n  {frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames[-_FRAMES:]
        ]
        if isinstance(error, SyntaxError):
            lines.append(f"\n  {error.filename}, line {error.lineno}: {(error.text or '').strip()}")
        reason = f"{type(error).__name__}: {error}".rstrip(".: ")
        message = f"`{source.function}` fails: {reason}.{''.join(lines)}"
        raise DataError(message, place=("function",)) from error
    finally:
        os.chdir(folder)


def _is_ours(file: str) -> bool:
    """Whether this is the code that runs a person's own."""
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


def _function(source: Python, code: _Code) -> Callable[..., Any]:
    """The function, once its file was run. Raises DataError."""
    name, function = source.code
    with _told(source, code.path):
        module = _run(code.path) if source.files else importlib.import_module(name)
    found = getattr(module, function, None)
    if not callable(found):
        functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        what = "is no function" if hasattr(module, function) else "is not in it"
        hint = suggestion(function, functions) or f"There is: {', '.join(f'`{one}`' for one in functions) or 'none'}."
        raise DataError(f"`{function}` of {code.path} {what}.", hint, ("function",))
    made: Callable[..., Any] = found
    return made


def _run(path: Path) -> ModuleType:
    text = path.read_text(encoding="utf-8")
    module = ModuleType(f"dlcli_data_{path.stem}")
    module.__file__ = str(path)
    # A traceback, and `inspect`, read the source there.
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    sys.modules[module.__name__] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def _called(function: Callable[..., Any], source: Python, code: _Code, seed: int) -> Any:
    """What the function returns. Raises DataError."""
    with contextlib.suppress(ValueError):  # of what is written in C, the arguments are not known
        try:
            inspect.signature(function).bind(**source.arguments)
        except TypeError as error:
            taken = ", ".join(f"`{name}`" for name in inspect.signature(function).parameters) or "nothing"
            message = f"`{source.code[1]}` of {code.path} cannot be called so: {error}."
            raise DataError(message, f"It takes {taken}; `arguments` gives them by name.", ("arguments",)) from error
    random.seed(seed)
    np.random.seed(seed)
    with _told(source, code.path):
        return function(**source.arguments)


def _by_name(returned: Any, loaded: LoadedSpec, source: Python) -> Mapping[str, Any]:
    """The arrays that a function returned, by names that are usual if it gave none. Raises DataError."""
    if isinstance(returned, Mapping):
        if not returned or not all(isinstance(name, str) for name in returned):
            raise DataError(f"`{source.function}` returns a dict without names of arrays.", _RETURNED, ("function",))
        return returned
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        if all(isinstance(part, tuple) and len(part) == 2 for part in returned):
            parts = zip(_NAMES, returned, strict=True)
            return {name: value for names, part in parts for name, value in zip(names, part, strict=True)}
        return dict(zip(_NAMES[0], returned, strict=True))
    if loaded.spec.dataset.labels == "input" and hasattr(returned, "shape"):
        return {_NAMES[0][0]: returned}
    count = f" of {len(returned)}" if isinstance(returned, (tuple, list)) else ""
    raise DataError(f"`{source.function}` returns a {type(returned).__name__}{count}.", _RETURNED, ("function",))


def _stored(name: str, value: Any, code: _Code) -> Stored:
    """A returned array, as if it were in a file. Raises DataError."""
    try:
        array: Array = np.asarray(value)
    except Exception as error:  # a stranger's class may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(f"`{name}` of {code.path} is no array: {reason}.", place=("function",)) from error
    if array.dtype.kind == "O":
        kinds = sorted({type(one).__name__ for one in array.reshape(-1)})
        if kinds != ["str"]:
            message = (
                f"`{name}` of {code.path} has Python objects ({', '.join(kinds[:5])}); numbers or texts are needed."
            )
            raise DataError(
                message, "Rows of different lengths are no array, and no value may be missing.", ("function",)
            )
        array = array.astype(str)
    return Packed(code.path, name, array.shape, array.dtype, "made by a function", lambda: array)
