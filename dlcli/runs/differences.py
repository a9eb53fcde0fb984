"""In what several runs differ: of their specs, each by its dotted path, and of what else decides their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.errors import DlcliError, RunError
from dlcli.runs.entries import Entry

_IS_LABEL = ("name", "silence", "version")
_MISSING = object()
_MOST_IN_LABEL = 3  # differences
_LONGEST_LABEL = 90


@dataclass(frozen=True)
class Difference:
    """What is not the same in all runs.

    Attributes:
        path: such as `optimizer.SGD.momentum`.
        values: one for each run; what it has not is None, and not in `present`.
        present: whether each run has it.
    """

    path: str
    values: tuple[Any, ...]
    present: tuple[bool, ...]

    def texts(self) -> list[str]:
        """The values as a spec has them; `·` for what is not there."""
        from dlcli.spec.writing import to_flow

        return [
            _text(to_flow, value) if is_there else "·"
            for value, is_there in zip(self.values, self.present, strict=True)
        ]

    def calls(self) -> list[str]:
        """The values as one would say them: `Adam(learning_rate=0.001)`, or `units=64`."""
        *_, last = self.path.split(".")
        return [
            call if (call := _call(value)) is not None else f"{last}={text}"
            for value, text in zip(self.values, self.texts(), strict=True)
        ]  # fmt: skip


def labels(entries: Sequence[Entry], found: Sequence[Difference]) -> list[str]:
    """What each run is called beside its curve: what differs, if that is little; or else its name."""
    of_specs = [one for one in found if not one.path.startswith("(")]
    telling = [one for one in of_specs if one.path != "seed"] or of_specs
    names = [entry.label for entry in entries]
    if not 1 <= len(telling) <= _MOST_IN_LABEL:
        return names
    texts = [", ".join(parts) for parts in zip(*(one.calls() for one in telling), strict=True)]
    if max(map(len, texts)) > _LONGEST_LABEL:
        return names
    return [
        f"{text} ({name})" if texts.count(text) > 1 else text for text, name in zip(texts, names, strict=True)
    ]  # fmt: skip


def _text(to_flow: Any, value: Any) -> str:
    text = str(to_flow(value))
    # `{SGD: {momentum: 0.9}}` is written without the outer braces.
    return text[1:-1] if isinstance(value, Mapping) and len(value) == 1 else text


def _call(value: Any) -> str | None:
    """A Keras object as its call; None if it is none."""
    if isinstance(value, str) and value[:1].isupper():
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    [(name, arguments)] = value.items()
    if not isinstance(arguments, Mapping) or not str(name)[:1].isupper():
        return None
    return f"{name}({', '.join(f'{key}={_call(item) or item}' for key, item in arguments.items())})"


def differences(entries: Sequence[Entry]) -> list[Difference]:
    """In what the runs differ, in the order of a spec.

    A layer, an optimizer and the like that is another one altogether is told as a whole, with its arguments.

    Raises:
        RunError: the spec of one cannot be read.
    """
    specs = [_spec(entry) for entry in entries]
    found = [
        Difference(".".join(path), tuple(None if value is _MISSING else value for value in values),
                   tuple(value is not _MISSING for value in values))
        for path, values in _differing(specs, ()) if path[0] not in _IS_LABEL
    ]  # fmt: skip
    is_other_data = any(one.path.startswith("dataset.") for one in found)
    for name, values in _besides(entries).items():
        if not (name == "(data)" and is_other_data) and any(value != values[0] for value in values):
            found.append(Difference(name, tuple(values), tuple(value is not None for value in values)))
    return found


def _spec(entry: Entry) -> Any:
    from dlcli.spec.reading import read_document

    try:
        return read_document(entry.run.resolved).data
    except (DlcliError, OSError) as error:
        raise RunError(f"{entry.run.resolved} cannot be read: {error}.") from error


def _differing(values: Sequence[Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Sequence[Any]]]:
    if all(value == values[0] and type(value) is type(values[0]) for value in values[1:]):
        return
    if all(value is None or value is _MISSING for value in values):  # an earlier version had no such word
        return
    mappings = [value for value in values if isinstance(value, Mapping)]
    lists = [value for value in values if isinstance(value, list)]
    if len(mappings) == len(values) and not _are_others(mappings):
        for key in dict.fromkeys(key for value in mappings for key in value):
            yield from _differing([value.get(key, _MISSING) for value in mappings], (*path, str(key)))
    elif len(lists) == len(values) and len({len(value) for value in lists}) == 1:
        for number, items in enumerate(zip(*lists, strict=True)):
            yield from _differing(items, (*path, str(number)))
    else:
        yield path, values


def _are_others(values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are objects of Keras's, `Name: {arguments}`, that are not all of one class."""
    names = {next((key for key in value if str(key)[:1].isupper()), None) for value in values}
    return len(names) > 1


def _besides(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """What is not in a spec: where the examples came from, the weights a run began with, and what ran it."""
    records = [entry.record for entry in entries]

    def each(key: str, inner: str) -> list[Any]:
        return [found.get(inner) if isinstance(found := record.get(key), dict) else None for record in records]

    sources, prints = each("data", "source"), each("data", "fingerprint")
    found = {"(data)": prints if len(set(map(str, sources))) == 1 else sources}
    found |= {"(weights of)": [record.get("init_from") for record in records]}
    found |= {"(device)": [record.get("device_name") for record in records]}
    libraries = ("dlcli", "tensorflow", "keras", "numpy")
    return found | {f"({library})": each("versions", library) for library in libraries}
