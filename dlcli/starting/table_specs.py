"""The spec for a table: its text, with comments that say what was seen in the table and why it is so."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.describing.columns import ColumnSummary, shortened, shown_number
from dlcli.spec.sources_files import MISSING
from dlcli.spec.writing import to_flow
from dlcli.starting.lines import beside, table, wrapped
from dlcli.starting.networks import class_output, hidden_layers, learning, number_output, text_layers, training
from dlcli.starting.plans import Holding, hold_out, plan_for_numbers, plan_for_texts
from dlcli.starting.tables import TableFacts, Target

_MOST_COLUMNS = 40  # that are told one by one
_MOST_CLASSES = 12


def table_spec(facts: TableFacts, path: str, name: str, command: str) -> str:
    """The text of a spec.

    Args:
        facts: what is in the table.
        path: the table's, as the spec is to name it.
        name: of the spec.
        command: how it was asked for, and how it is trained.
    """
    holding = hold_out(facts.target.labels, facts.target.classes)
    if facts.words is not None:
        plan = plan_for_texts(len(holding.train))
        layers = text_layers(facts.words.vocabulary, plan)
    else:
        plan = plan_for_numbers(len(holding.train), facts.width, is_regression=facts.target.classes is None)
        layers = hidden_layers(facts.width, len(holding.train), plan)
    lines = [
        *_seen(facts, command),
        "",
        f"name: {to_flow(name)}",
        "seed: 0",
        "",
        "dataset:",
        *_source(facts, path),
        *_held_out(holding, facts),
        f"  batch_size: {plan.batch_size}",
        *_labels(facts.target),
        "",
        "model:",
        "  layers:",
        *layers,
        *(class_output(facts.target.classes) if facts.target.classes is not None else number_output()),
        "",
        *learning(facts.target.counts if facts.target.classes else None, plan, len(holding.train)),
        "",
        *training(plan, holding),
    ]
    return "\n".join(lines) + "\n"


def _seen(facts: TableFacts, command: str) -> list[str]:
    """The comment at the top."""
    unanswered = f", {facts.unanswered:,} of them without `{facts.target.column}` and left out"
    rows = facts.rows + facts.unanswered
    count = f"{rows:,} rows{unanswered if facts.unanswered else ''}, {len(facts.columns) + 1} columns"
    told, more = facts.columns[:_MOST_COLUMNS], facts.columns[_MOST_COLUMNS:]
    rest = [("…", f"and {len(more)} more, {sum(one.is_used for one in more)} of which go in")] if more else []
    target = (shortened(facts.target.column, 28), f"is asked for: {_target_values(facts.target)}")
    return [
        *wrapped(f"{facts.path.name}: {count}. Written by `{command}`."),
        "#",
        *table([target, *((shortened(one.name, 28), _column(one)) for one in told), *rest]),
        "#",
        *wrapped(_baseline(facts.target)),
    ]


def _target_values(target: Target) -> str:
    if target.classes is None:
        least, mean, largest = (float(one) for one in (target.labels.min(), target.labels.mean(), target.labels.max()))
        numbers = f"{shown_number(least)} to {shown_number(largest)}, mean {shown_number(mean)}"
        return f"a number ({target.reason}), {numbers}"
    counts = target.counts
    shown = ", ".join(f"{shortened(name)} {count:,}" for name, count in counts[:_MOST_CLASSES])
    more = f", … {shortened(counts[-1][0])} {counts[-1][1]:,}" if len(counts) > _MOST_CLASSES else ""
    return f"{len(counts)} classes ({target.reason}): {shown}{more}"


def _column(column: ColumnSummary) -> str:
    missing = f"; {column.missing:,} missing" if column.missing else ""
    if not column.is_used:
        return f"left out: {column.reason}"
    if column.kind == "text":
        return f"text{missing}"
    return f"{column.kind}, {column.values_in_words()}{missing}"


def _baseline(target: Target) -> str:
    if target.classes is None:
        median = float(np.median(target.labels))
        error = float(np.abs(target.labels - median).mean())
        return f"To beat: always saying {shown_number(median)} is wrong by {shown_number(error)} on average."
    [(name, count), *_] = target.counts
    return f"To beat: always saying {shortened(name)} is right for {count / len(target.labels):.1%} of the rows."


def _source(facts: TableFacts, path: str) -> list[str]:
    layout = facts.layout
    lines = [(f"      path: {to_flow(path)}", "")]
    if facts.no_names_because:
        names = list(layout.header) if isinstance(layout.header, tuple) else None
        called = "names made up here" if names else "columns are called 1, 2, 3 …"
        lines.append((f"      header: {to_flow(names or False)}", f"{facts.no_names_because}: {called}"))
    if layout.encoding != "utf-8":
        lines.append((f"      encoding: {layout.encoding}", "it has bytes that UTF-8 does not have"))
    if layout.decimal != ".":
        lines.append((f"      decimal: {to_flow(layout.decimal)}", ""))
    if facts.marks:
        seen = " and ".join(f"`{shortened(mark)}`" for mark in facts.marks)
        comment = f"the usual ones, and {seen}, seen among numbers"
        lines.append((f"      missing: {to_flow([*MISSING, *facts.marks])}", comment))
    lines.append((f"      target: {to_flow(facts.target.column)}", ""))
    special = [column for column in facts.columns if column.kind != "number"]
    if special:
        others = any(column.kind == "number" for column in facts.columns)
        how = "those not named here are numbers, and standardized: mean 0, deviation 1" if others else ""
        lines.append(("      columns:", how))
        lines += [(f"        {to_flow(column.name)}: {to_flow(_kind(column, facts))}", _why(column, facts))
                  for column in special]  # fmt: skip
    return ["  source:", "    csv:", *beside(lines)]


def _kind(column: ColumnSummary, facts: TableFacts) -> Any:
    if column.kind == "text" and facts.words is not None:
        return {"text": {"length": facts.words.length, "vocabulary": facts.words.vocabulary}}
    return column.kind


def _why(column: ColumnSummary, facts: TableFacts) -> str:
    if column.kind == "category":
        return f"a 1 for the value that it is, 0 for the other {column.distinct - 1 + bool(column.missing)}"
    if column.kind == "date":
        return "year, month, day, day of the week and of the year"
    if column.kind == "text" and facts.words is not None:
        return f"as many words as 95 of 100 have; {facts.words.repeated:,} words come more than once"
    return column.reason


def _held_out(holding: Holding, facts: TableFacts) -> list[str]:
    if holding.test == 0.0:
        why = f"Nothing is held out: {holding.reason}" if holding.reason else "Nothing is held out."
        return [*wrapped(f"{why} So the figures only say what the model knows by heart.", 2), "  test: 0.0"]
    lines = [(f"  test: {holding.test:g}", "of all rows: the test set, looked at once, at the end")]
    if holding.validation is not None:
        lines.append((f"  validation: {holding.validation:g}", "of the others: they tell when to stop"))
        return beside(lines)
    return [*wrapped(f"No rows tell when to stop: {holding.reason}", 2), *beside(lines)]


def _labels(target: Target) -> list[str]:
    if target.classes is not None:
        return []
    why = f"mean 0, deviation 1, for the loss; metrics and predictions are in the units of {shortened(target.column)}"
    return beside([("  labels: standardized", why)])
