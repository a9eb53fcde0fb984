"""`dlcli runs rm`, `dlcli runs prune` and `dlcli runs tag`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.cli.runs_list import Name, State, Tag, age, choose, open_listing, run_column, score_columns
from dlcli.errors import RunError, UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.runs.entries import Entry

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove them without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")]


def rm(
    context: typer.Context,
    run: Annotated[list[Path], typer.Argument(help="Runs: NAME for its newest, NAME/ID or ID as listed, or folders.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Remove runs; asks first, and never removes one that is being trained: `dlcli runs rm iris/abcd`."""
    screen: Screen = context.obj

    from dlcli.runs.entries import read_entry
    from dlcli.runs.finding import the_run
    from dlcli.runs.removing import check_inside

    runs = {found.path: found for found in (check_inside(the_run(path, runs_dir), runs_dir) for path in run)}
    entries = [read_entry(found) for found in runs.values()]
    for entry in entries:
        if entry.is_maybe_running:
            state = "is being trained" if entry.state == "running" else "may be running on another machine"
            raise RunError(f"{entry.label} {state}; nothing was removed.", "Stop it first.")
    _remove(screen, entries, runs_dir, is_sure=yes, is_dry=dry_run, json=json)


def prune(
    context: typer.Context,
    keep: Annotated[
        int | None, typer.Option(min=0, help="The newest so many of each name stay.", show_default=False)
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only those begun longer ago: `30d`, `12h`.")
    ] = None,
    state: State = None,
    keep_best: Annotated[bool, typer.Option("--keep-best", help="The best of each name stays, by its score.")] = False,
    name: Name = None,
    tag: Tag = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Remove many runs; asks first, never one that is being trained: `dlcli runs prune --keep 5 --keep-best`."""
    screen: Screen = context.obj
    seconds = options.duration("--older-than", older_than)
    if keep is None and seconds is None and not (state or keep_best or name or tag):
        raise UsageError(
            "Say which runs go.", "`--keep 5`, `--older-than 30d`, `--state failed` or `--keep-best`, say."
        )

    from dlcli.runs.removing import Rule, select

    listing = open_listing(screen, runs_dir, sized=True)
    chosen = choose(listing.entries, name, state, tag)
    _remove(
        screen, select(listing.entries, chosen, Rule(keep, seconds, keep_best)), runs_dir, is_sure=yes, is_dry=dry_run,
        json=json,
    )  # fmt: skip


def _remove(
    screen: Screen, entries: Sequence[Entry], runs_dir: Path, *, is_sure: bool, is_dry: bool, json: bool
) -> None:
    """Show what goes, ask, and remove it. Raises RunError if some of it could not be removed; the rest is."""
    from dlcli.runs.removing import remove

    if not json:
        _show(screen, entries)
    removed: list[Entry] = []
    errors: list[str] = []
    if entries and not is_dry and (is_sure or _agrees(screen, entries)):
        for entry in entries:
            try:
                remove(entry.run, runs_dir)
                removed.append(entry)
            except RunError as error:
                errors.append(error.message)
    if entries and not is_dry:
        screen.message(f"Removed {_counted(removed)}." if removed else "Nothing was removed.")
    if json:
        from dlcli.files import to_json

        found = {"selected": [entry.as_json() for entry in entries], "removed": [entry.label for entry in removed]}
        screen.out.print(to_json(found), soft_wrap=True, markup=False)
    if errors:
        raise RunError("\n".join(errors))


def _show(screen: Screen, entries: Sequence[Entry]) -> None:
    from datetime import datetime, timezone

    from dlcli.cli.columns import Column, joined, lines_of
    from dlcli.data.memory import readable_bytes

    if not entries:
        screen.message("There is nothing to remove.")
        return
    now = datetime.now(timezone.utc)
    columns = [
        run_column(entries),
        Column("state", [entry.state for entry in entries]),
        *score_columns(entries, None),
        Column("size", [readable_bytes(entry.size or 0) for entry in entries], is_right=True),
        Column("age", [age(entry.began, now) for entry in entries], is_right=True),
        Column("tags", [" ".join(entry.tags) for entry in entries], least=6, styles=["dark_orange3"] * len(entries)),
    ]
    screen.lines(joined(line) for line in lines_of(columns, screen.table_width))


def _counted(entries: Sequence[Entry]) -> str:
    from dlcli.data.memory import readable_bytes

    size = readable_bytes(sum(entry.size or 0 for entry in entries))
    return f"{len(entries):,} run{'s' if len(entries) != 1 else ''}, {size}"


def _agrees(screen: Screen, entries: Sequence[Entry]) -> bool:
    """Whether a person wants these to go. Raises UsageError where nobody can be asked."""
    import sys

    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here; nothing was removed.", "--yes removes them without asking.")
    return typer.confirm(f"Remove {_counted(entries)}?", err=True)


_WORD = re.compile(r"\w[\w.:=+/-]{0,49}")


def tag(
    context: typer.Context,
    run: options.Run,
    words: Annotated[list[str] | None, typer.Argument(help="The tags to add.", show_default=False)] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Remove this one.", show_default=False)
    ] = None,
    runs_dir: options.RunsDir = Path("runs"),
) -> None:
    """Put words to a run, by which lists can be filtered: `dlcli runs tag iris/abcd lecture`."""
    screen: Screen = context.obj
    for word in words or ():
        if not _WORD.fullmatch(word):
            message = f"`{word}` cannot be a tag."
            raise UsageError(message, "Use up to 50 letters, digits and `_ . : = + / -`, the first a letter or digit.")

    from dlcli.files import write_text
    from dlcli.runs.entries import read_tags
    from dlcli.runs.finding import the_run

    found = the_run(run, runs_dir)
    there = read_tags(found)
    missing = [word for word in remove or () if word not in there]
    if missing:
        raise UsageError(f"{run} has no tag {', '.join(missing)}.", f"It has {', '.join(there) or 'none'}.")
    tags = [word for word in dict.fromkeys([*there, *(words or ())]) if word not in (remove or ())]
    if tags != there:
        write_text(found.tags, "".join(f"{word}\n" for word in tags))
    screen.line(" ".join(tags))
