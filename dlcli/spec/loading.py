"""From a YAML file to a validated spec: composes it, checks everything, and tells all mistakes at once.

What only the built model can tell is in `dlcli.training.rehearsal`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path as FilePath
from typing import Any, TypeAlias, TypeVar

from pydantic_core import ValidationError

from dlcli.errors import DataError, Path, Problem, SpecError
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.checking import check_objects
from dlcli.spec.composition import compose
from dlcli.spec.extensions import Extend, Files, extend
from dlcli.spec.grammar import VERSION, Spec
from dlcli.spec.graph import check_graph
from dlcli.spec.heads import check_heads
from dlcli.spec.indices import check_indices
from dlcli.spec.likeness import suggestion
from dlcli.spec.lints import MODEL_CODES, check_silence, codes_asked, lint, silenced
from dlcli.spec.lints.heads import lint_heads
from dlcli.spec.marks import Document
from dlcli.spec.nested import check_nested
from dlcli.spec.overrides import Override
from dlcli.spec.parts import SHAPE, Parts, sound_part
from dlcli.spec.source import FileSource
from dlcli.spec.translation import translate_all
from dlcli.spec.trying import try_sweep
from dlcli.spec.variables import UNUSED

Item = TypeVar("Item")
_MOST_TOLD = 300
"""how many mistakes of a kind are told: beyond, finding the closest real names takes seconds"""


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with the document it came from, for messages that point into it.

    Attributes:
        spec: the spec.
        document: where each value of it is written.
        warnings: what is odd in it.
        extensions: the texts of the Python files that it lists, by name.
        data: its examples, if somebody had to look at them to know the spec's source: in a list, out of which whoever
            needs them takes them, so that nothing else holds them in memory.
        kept: what has been read for one of several folds, and the next one needs as well; None if nothing is kept.
    """

    spec: Spec
    document: Document | None
    warnings: tuple[Problem, ...] = ()
    extensions: Files = field(default_factory=dict)
    data: list[Any] = field(default_factory=list, repr=False, compare=False)
    kept: dict[Hashable, Any] | None = field(default=None, repr=False, compare=False)

    def once(self, what: Hashable, read: Callable[[], Item]) -> Item:
        """What `read` gives; of a spec with folds, it is read for the first of them only."""
        if self.kept is None:
            return read()
        if what not in self.kept:
            self.kept[what] = read()
        found: Item = self.kept[what]
        return found

    def of_fold(self, number: int) -> LoadedSpec:
        """The same spec for one of its folds, which is then divided, and looked into, anew."""
        dataset = self.spec.dataset.model_copy(update={"fold": number})
        return replace(self, spec=self.spec.model_copy(update={"dataset": dataset}), data=[])

    def located(self, problem: Problem) -> Problem:
        """`problem` with its place in the document."""
        return self.document.located(problem) if self.document is not None else problem

    def error(self, *problems: Problem) -> SpecError:
        """A SpecError whose problems have their places in the document."""
        return SpecError([self.located(problem) for problem in problems])

    def place(self, path: Path) -> str | None:
        """Where the value at `path` is written, for a message: "line 14", with the file if it is another one."""
        if self.document is None:
            return None
        position = self.document.mark(path).position
        same = position.file == self.document.text.name
        return f"line {position.line}" if same else str(position)


Look: TypeAlias = Callable[[LoadedSpec], LoadedSpec]
"""looks into the files of a spec's data, so that its source is known; raises DataError"""


@dataclass(frozen=True)
class Findings:
    """What the static check found in one spec.

    Attributes:
        errors: all mistakes, in the order of the file.
        warnings: what trains, but badly; those that the spec silences, too.
        loaded: the spec; if it has mistakes, with something harmless in place of what is wrong. None if not even the
            source of the data can be told.
        sound: what is as written; see `sound_part`.
        data_error: why its files cannot be used, if that was looked into; it is not among the errors.
    """

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    loaded: LoadedSpec | None = None
    sound: frozenset[str] = frozenset()
    data_error: DataError | None = None

    @property
    def parts(self) -> Parts:
        """The sections without mistakes."""
        return Parts.of(self.loaded.spec, self.sound) if self.loaded is not None else Parts()

    def with_errors(self, errors: Sequence[Problem]) -> Findings:
        """With mistakes that are not the file's own."""
        return replace(self, errors=(*errors, *self.errors))

    def shown(self) -> tuple[Problem, ...]:
        """What a person is to see: all mistakes, and the warnings that are not silenced."""
        return self._in_order(self.all_errors, self._heeded(self.warnings, codes_asked(self.parts)))

    @property
    def all_errors(self) -> tuple[Problem, ...]:
        """All mistakes; that in the files of data, too, at the place of the source."""
        return (*self.errors, *([] if self.data_problem is None else [self.data_problem]))

    @property
    def data_problem(self) -> Problem | None:
        """What is wrong in the files of data, at the place of the source."""
        if self.data_error is None or self.loaded is None:
            return None
        error, name = self.data_error, self.loaded.spec.dataset.source.name
        return self.loaded.located(Problem(error.message, ("dataset", "source", name, *error.place), error.hint))

    def shown_with(self, errors: Iterable[Problem], warnings: Iterable[Problem]) -> tuple[Problem, ...]:
        """As `shown`, with what came of building the model."""
        asked = {*codes_asked(self.parts), *MODEL_CODES}
        return self._in_order([*self.all_errors, *errors], self._heeded([*self.warnings, *warnings], asked))

    @staticmethod
    def _in_order(errors: Collection[Problem], warnings: Iterable[Problem]) -> tuple[Problem, ...]:
        # What is wrong needs no warning besides.
        wrong = {problem.path for problem in errors if problem.path}
        return _in_order([*errors, *(problem for problem in warnings if problem.path not in wrong)])

    def _heeded(self, warnings: Iterable[Problem], asked: Collection[str]) -> Iterable[Problem]:
        if self.loaded is None or self.parts.silence is None:
            return warnings
        return map(self.loaded.located, silenced(warnings, self.parts.silence, asked))


def load_spec(
    path: FilePath,
    catalogue: Catalogue,
    overrides: Sequence[Override] = (),
    unread: Sequence[Problem] = (),
    run_code: Extend | None = None,
    look: Look | None = None,
) -> LoadedSpec:
    """Read and check one spec; what is odd in it, but no mistake, is among its `warnings`.

    Raises:
        SpecError: with every mistake that was found, and those of overrides that could not be read.
        DataError: `look` found no mistake but in the files of data.
    """
    findings = examine(path, catalogue, overrides, run_code, look).with_errors(unread)
    if findings.errors or findings.loaded is None:
        raise SpecError(findings.all_errors)
    if findings.data_error is not None:
        raise findings.data_error
    return replace(findings.loaded, warnings=findings.shown())


def examine(
    path: FilePath,
    catalogue: Catalogue,
    overrides: Sequence[Override] = (),
    run_code: Extend | None = None,
    look: Look | None = None,
) -> Findings:
    """Read one spec and find everything that is wrong or odd in it, as far as that shows without building the model.

    `run_code` runs the Python files that it lists as `extensions`; left out, a spec with such files is a mistake.
    `look` looks into the files of its data; left out, what only they can tell is not told.
    """
    try:
        document = compose(path, overrides)
    except SpecError as error:
        return Findings(error.problems)
    newer = _newer_version(document)
    if newer is not None:
        return Findings((document.located(newer),))
    catalogue, files, untrusted = extend(document, catalogue, run_code)
    if untrusted:
        return Findings(_in_order(document.located(problem) for problem in untrusted))
    problems = _problems(document, catalogue)
    told = document.without_consequences(problems)
    errors = [*document.problems, *(document.located(problem) for problem in told)]
    wrong = [*(problem.path for problem in (*document.problems, *problems)), *document.doubt.paths]
    spec, sound = sound_part(document.data, wrong)
    findings = Findings(_in_order(errors), (), None, sound)
    if spec is not None:
        kept: dict[Hashable, Any] | None = {} if spec.dataset.has_all_folds else None
        examined = LoadedSpec(spec, document, extensions=files, kept=kept)
        findings = _looked_at(replace(findings, loaded=examined), look)
        errors = list(findings.errors)
    loaded, sound = findings.loaded, findings.sound
    if loaded is not None and loaded.spec.sweep is not None and not errors:
        tried = try_sweep(loaded.spec.sweep, partial(_problems_with, path, catalogue, overrides))
        errors += map(document.located, tried)
    if loaded is not None and "silence" in sound:
        errors += [document.located(problem) for problem in check_silence(loaded.spec.silence)]
    return replace(findings, errors=_in_order(errors), warnings=_in_order(_warnings(findings, document)))


def _looked_at(findings: Findings, look: Look | None) -> Findings:
    """With what the files of its data tell, if it has any; without a look, the shape of an example is not known."""
    loaded, sound = findings.loaded, findings.sound
    source = loaded.spec.dataset.source if loaded is not None else None
    if loaded is None or not isinstance(source, FileSource):
        return findings
    unknown = replace(findings, sound=sound - {SHAPE})
    if look is None or not {"dataset", "loss", "metrics", "seed"} <= sound:
        return unknown
    try:
        loaded = look(loaded)
    except DataError as error:
        return replace(unknown, data_error=error)
    except SpecError as error:
        return replace(unknown, errors=_in_order([*findings.errors, *error.problems]))
    document = loaded.document
    data = document.data if document is not None else {}
    small = [loaded.located(problem) for problem in check_indices(data, loaded.spec.dataset.source)]
    return replace(findings, loaded=loaded, errors=_in_order([*findings.errors, *small]))


def restore_spec(resolved: Mapping[str, Any]) -> LoadedSpec:
    """The spec that a run or checkpoint carries. Raises SpecError if this version of dlcli cannot read it."""
    try:
        return LoadedSpec(Spec.model_validate(dict(resolved)), None)
    except ValidationError as error:
        raise SpecError(translate_all(error.errors(), resolved)) from error


def _newer_version(document: Document) -> Problem | None:
    version = document.data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version <= VERSION:
        return None
    message = f"This spec is written in version {version} of the grammar; this dlcli reads version {VERSION}."
    return Problem(message, ("version",), "Use a newer dlcli: pip install --upgrade dlcli.")


def _problems(document: Document, catalogue: Catalogue) -> list[Problem]:
    """All that is wrong with what a document says, as far as it shows without its data and without the model."""
    data = document.data
    objects = list(islice(check_objects(data, catalogue), _MOST_TOLD))
    named = {problem.path for problem in objects}  # what is not written as an object, with what is meant
    grammar = (problem for problem in _problems_of_grammar(document) if problem.path not in named)
    return [*objects, *_problems_of_graph(document), *check_heads(data), *grammar]


def _problems_with(
    path: FilePath, catalogue: Catalogue, overrides: Sequence[Override], more: Sequence[Override]
) -> list[Problem]:
    """The same of a spec without mistakes, with some of its values replaced, and without its `sweep`."""
    document = compose(path, [*overrides, *more])
    document = replace(document, data={key: value for key, value in document.data.items() if key != "sweep"})
    problems = [*document.problems, *document.without_consequences(_problems(document, catalogue))]
    tried = {tuple(key for key, _ in override.segments) for override in more}
    known = [str(path[1]) for path in document.keys if path[:1] == ("variables",) and len(path) == 2]
    unused = [one for one in document.warnings if one.code == UNUSED and one.path in tried]
    hints = [suggestion(str(one.path[1]), [name for name in known if name != one.path[1]]) for one in unused]
    return [*problems, *(replace(one, code=None, hint=hint) for one, hint in zip(unused, hints, strict=True))]


def _problems_of_grammar(document: Document) -> list[Problem]:
    try:
        Spec.model_validate(document.data)
    except ValidationError as error:
        return translate_all(error.errors()[:_MOST_TOLD], document.data)
    return []


def _problems_of_graph(document: Document) -> Iterable[Problem]:
    """What is wrong with who reads whom: a layer that is not known for sure may have any name, and read any other."""
    if document.doubt.concerns("model"):
        return ()
    data = document.data
    return chain(check_graph(data), check_nested(data), check_indices(data))


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    # What is wrong in a block is wrong wherever it is used.
    told = {(problem.position, problem.message) if problem.position else problem: problem for problem in problems}
    return tuple(sorted(told.values(), key=_place))


def _place(problem: Problem) -> tuple[str, int, int]:
    position = problem.position
    return (position.file, position.line, position.column) if position else ("", 0, 0)


def _warnings(findings: Findings, document: Document) -> list[Problem]:
    found = list(lint(findings.parts))
    if findings.loaded is not None:
        found += lint_heads(findings.loaded.spec, findings.sound)
    return [*document.warnings, *map(document.located, found)]
