"""`dlcli doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from dlcli.console import Screen
    from dlcli.doctoring.examining import Examination
    from dlcli.doctoring.finding import Finding

# Colours that can be read on light and on dark; the words say the same without them.
_STYLES = {"ok": "green", "warn": "bold dark_orange3", "bad": "bold red"}
_WIDEST = 110


def doctor(
    context: typer.Context,
    no_speed: Annotated[bool, typer.Option("--no-speed", help="Leave out the test of speed.")] = False,
    data_dir: options.DataDir = None,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Look for what is missing or slow on this machine: `dlcli doctor`.

    Versions, processor, memory, folders, data sets, the GPU with its driver and libraries, and a test of speed.
    """
    screen: Screen = context.obj
    log = screen.divert()

    from dlcli.doctoring.examining import examine

    def logged() -> str:
        return log.read_text(encoding="utf-8", errors="replace")

    tell = (lambda text: None) if json else screen.message
    examination = examine(runs_dir, data_dir, measures=not no_speed, tell=tell, log=logged)
    if json:
        from dlcli.files import to_json

        screen.out.print(to_json(_as_json(examination)), soft_wrap=True, markup=False)
    else:
        _show(screen, examination)
    if not examination.is_usable:
        raise typer.Exit(5)


def _as_json(examination: Examination) -> dict[str, Any]:
    from dataclasses import asdict

    from dlcli import __version__

    compared = {}
    if examination.figures:
        from dlcli.doctoring.speed import reference_machines

        compared = {"figures": examination.figures, "machines": reference_machines()}
    return {
        "dlcli": __version__,
        "usable": examination.is_usable,
        "device": examination.device,
        "findings": [asdict(finding) for finding in examination.findings],
        "speed": compared,
    }


def _show(screen: Screen, examination: Examination) -> None:
    width = min(screen.out.width, _WIDEST)
    areas = list(dict.fromkeys(finding.area for finding in examination.findings))
    longest = max(len(finding.name) for finding in examination.findings)
    for area in areas:
        screen.out.print(f"[bold]{area}[/]")
        findings = [finding for finding in examination.findings if finding.area == area]
        screen.out.print(_table(findings, longest, width), soft_wrap=False)
        screen.show("")
    if examination.figures:
        screen.out.print(f"[bold]speed[/], on {examination.device}", highlight=False)
        screen.out.print(_speed_table(examination.figures), soft_wrap=False)
        screen.show("")
    screen.line(_summed_up(examination))


def _table(findings: list[Finding], longest: int, width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    from dlcli.console import wrapped

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=6, no_wrap=True)
    table.add_column(width=longest, no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        text = wrapped(one.found, width - longest - 12)
        if one.advice is not None:
            text += "\n" + wrapped(f"→ {one.advice}", width - longest - 12, "  ")
        table.add_row(Text(f"  {one.state}", _STYLES[one.state]), Text(one.name), Text(text))
    return table


def _speed_table(figures: dict[str, float]) -> Table:
    from rich.table import Table

    from dlcli.doctoring.speed import FIGURES, reference_machines

    machines = reference_machines()
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in ("here", *(str(machine["name"]) for machine in machines)):
        table.add_column(name, justify="right", max_width=24)
    table.add_column("")
    for figure in FIGURES:
        here = figures.get(figure.key)
        others = (machine["figures"].get(figure.key) for machine in machines)
        shown = [f"{value:g}" if value is not None else "·" for value in (here, *others)]
        table.add_row(f"  {figure.what}", *shown, figure.unit)
    return table


def _summed_up(examination: Examination) -> str:
    counts = {state: sum(one.state == state for one in examination.findings) for state in ("bad", "warn")}
    if not examination.is_usable:
        return "dlcli cannot be used here: mend what is bad above."
    if not any(counts.values()):
        return "Nothing is missing."
    words = [f"{count} {state}" for state, count in counts.items() if count]
    return f"{' and '.join(words)}: an arrow says what to do. dlcli can be used."
