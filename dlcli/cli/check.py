"""`dlcli check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.errors import Problem
    from dlcli.model.summary import ModelSummary
    from dlcli.spec.loading import Findings, LoadedSpec
    from dlcli.spec.overrides import Override


class _Checked(NamedTuple):
    """What came of one file; the summary is None where the model was not, or could not be, built."""

    path: Path
    findings: Findings
    problems: Sequence[Problem]
    summary: ModelSummary | None

    @property
    def is_wrong(self) -> bool:
        return any(problem.code is None for problem in self.problems)

    @property
    def is_data_wrong(self) -> bool:
        """Whether all that is wrong is in the files of data."""
        wrong = self.findings.data_problem
        return wrong is not None and all(one.code or one.message == wrong.message for one in self.problems)


def _show_codes(context: typer.Context, value: bool) -> None:
    if not value:
        return
    from dlcli.spec.lints import CODES

    screen: Screen = context.find_root().obj
    width = max(map(len, CODES))
    for code, description in sorted(CODES.items()):
        screen.line(f"{code:<{width}}  {description}")
    raise typer.Exit


def check(
    context: typer.Context,
    configs: Annotated[list[Path], typer.Argument(help="YAML files.", show_default=False)],
    static: Annotated[
        bool, typer.Option("--static", help="Only what shows without building the model: fast, without TensorFlow.")
    ] = False,
    strict: options.Strict = False,
    set_: options.Set = None,
    trust_code: options.TrustCode = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the whole spec with `extends`, variables and defaults filled in.")
    ] = False,
    origins: Annotated[
        bool, typer.Option("--origins", help="With --resolved: say where each value comes from.")
    ] = False,
    codes: Annotated[
        bool, typer.Option("--codes", callback=_show_codes, is_eager=True, help="List all warnings by code, and exit.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check YAML files and show every mistake by line: `dlcli check configs/*.yaml`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    checked = _check_all(screen, configs, set_ or [], static=static or resolved)
    if json:
        _print_json(screen, checked)
    elif resolved:
        _print_resolved(screen, checked, origins=origins)
    else:
        _print_problems(screen, checked)
    wrong = [one for one in checked if one.is_wrong or (strict and one.problems)]
    if wrong:
        raise typer.Exit(3 if all(one.is_data_wrong for one in wrong) else 2)


def _check_all(screen: Screen, configs: Sequence[Path], sets: Sequence[str], *, static: bool) -> list[_Checked]:
    from dlcli.spec.loading import examine
    from dlcli.spec.overrides import parse_overrides

    overrides, unread = parse_overrides(sets)
    catalogue = options.catalogue(screen)
    run_code = options.code_runner(screen)
    look = None if static else options.looker(screen, only_looks=True)
    found = [(path, examine(path, catalogue, overrides, run_code, look).with_errors(unread)) for path in configs]
    if static or all(findings.loaded is None for _, findings in found):
        return [_Checked(path, findings, findings.shown(), None) for path, findings in found]
    screen.message("building the model …" if len(found) == 1 else "building the models …")
    screen.divert()

    from dlcli.training.backend import start_backend

    start_backend("cpu")
    return [_built(screen, path, findings, overrides) for path, findings in found]


def _built(screen: Screen, path: Path, findings: Findings, overrides: Sequence[Override]) -> _Checked:
    from dlcli.machine import machine_memory
    from dlcli.model.lints import lint_model
    from dlcli.training.rehearsal import rehearse

    if findings.loaded is None:
        return _Checked(path, findings, findings.shown(), None)
    rehearsal = rehearse(findings.loaded, findings.sound, folder=path.parent)
    odd = []
    if rehearsal.summary is not None:
        odd = [
            findings.loaded.located(problem)
            for problem in lint_model(rehearsal.summary, findings.parts, machine_memory())
        ]
    problems = rehearsal.problems
    if findings.loaded.spec.sweep is not None and not problems and not findings.all_errors:
        problems = _of_sweep(screen, path, findings.loaded, overrides)
    return _Checked(path, findings, findings.shown_with(problems, odd), rehearsal.summary)


def _of_sweep(screen: Screen, path: Path, loaded: LoadedSpec, overrides: Sequence[Override]) -> list[Problem]:
    """The mistakes of what the spec's `sweep` may come to, which show when that is built."""
    from dlcli.errors import SpecError
    from dlcli.spec.loading import load_spec
    from dlcli.spec.overrides import option
    from dlcli.sweeping.keeping import Kept
    from dlcli.sweeping.rehearsing import try_models

    catalogue, run_code = options.catalogue(screen), options.code_runner(screen)
    look, kept = options.looker(screen, only_looks=True), Kept()

    def load_with(more: Sequence[Override]) -> LoadedSpec:
        values = [*overrides, *more, option("sweep", "sweep", None)]
        return load_spec(path, catalogue, values, (), run_code, lambda one: look(kept.with_kept(one)))

    try:
        try_models(loaded, load_with, path.parent)
    except SpecError as error:
        return list(error.problems)
    return []


def _print_problems(screen: Screen, checked: Sequence[_Checked]) -> None:
    for one in checked:
        if one.problems:
            _print_those_of(screen, one)
        else:
            parameters = f", {one.summary.parameters:,} parameters" if one.summary is not None else ""
            screen.line(f"{one.path}: no mistakes{parameters}")
    problems = [problem for one in checked for problem in one.problems]
    if len(problems) > 1 or (problems and len(checked) > 1):
        from dlcli.problem_text import counted

        files = sum(bool(one.problems) for one in checked)
        where = f" in {files} of {len(checked)} files" if len(checked) > 1 else ""
        screen.out.print(f"[bold]{counted(problems)}{where}.[/]")


def _print_those_of(screen: Screen, one: _Checked) -> None:
    from dlcli.problem_text import problems_text

    for text in problems_text(one.problems, screen.wrap_width):
        screen.out.print(text)


def _print_json(screen: Screen, checked: Sequence[_Checked]) -> None:
    from dlcli.files import to_json

    files = [
        {
            "file": str(one.path),
            "parameters": one.summary.parameters if one.summary is not None else None,
            "problems": [_as_json(problem) for problem in one.problems],
        }
        for one in checked
    ]
    screen.line(to_json({"files": files}))


def _as_json(problem: Problem) -> dict[str, Any]:
    position = problem.position
    return {
        "severity": "error" if problem.code is None else "warning",
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "file": position.file if position else None,
        "line": position.line if position else None,
        "column": position.column if position else None,
        "path": list(problem.path),
        "trail": list(problem.trail),
    }


def _print_resolved(screen: Screen, checked: Sequence[_Checked], *, origins: bool) -> None:
    from dlcli.spec.resolved import resolved_text

    for number, one in enumerate(checked):
        if one.problems:
            screen.problems(one.problems)
        if one.findings.loaded is None or one.is_wrong:
            continue
        separator = "---\n" if number else ""
        text = resolved_text(one.findings.loaded, origins=origins)
        screen.out.print(separator + text, end="", markup=False, soft_wrap=True)
