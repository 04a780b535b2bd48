"""A comparison for people: what was searched, a table of ranks per surface, and what its columns mean."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.experiment import method_names
from momentumlab.registry import Value
from momentumlab.report.labels import SYMBOLS, Labels, axis_name, point, repeats, short
from momentumlab.report.reports import ComparisonReport
from momentumlab.report.result_table import RATES, STATUS_STYLES, Justify, rate_text
from momentumlab.result import Status
from momentumlab.search import ComparisonResult, Match, Standing
from momentumlab.search.ranking import WITHIN
from momentumlab.search.tuning import ZOOM_CELLS, Searched


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table as text, to be drawn in a terminal or a notebook."""

    title: str
    lines: Sequence[str]
    columns: Sequence[tuple[str, Justify]]
    rows: Sequence[Sequence[str]]
    styles: Sequence[str]
    remarks: Sequence[str]


def rich_tables(report: ComparisonReport) -> RenderableType:
    """All tables of a comparison, for a terminal."""
    parts: list[RenderableType] = []
    for sheet in sheets(report):
        table = Table(box=None, pad_edge=False)
        for heading, justify in sheet.columns:
            table.add_column(Text(heading), justify=justify, no_wrap=heading != "final point", overflow="fold")
        for row, style in zip(sheet.rows, sheet.styles, strict=True):
            table.add_row(*(Text(cell, style=style if i == len(row) - 1 else "") for i, cell in enumerate(row)))
        if parts:
            parts.append(Text(""))
        parts += [Text(sheet.title, style="bold"), *map(Text, sheet.lines), table]
        parts += [Text(remark, style="dim") for remark in sheet.remarks]
    return Group(*parts)


def html_tables(report: ComparisonReport) -> str:
    """The same for a notebook."""
    pieces = []
    for sheet in sheets(report):
        head = "".join(f"<th>{html.escape(heading)}</th>" for heading, _ in sheet.columns)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in sheet.rows)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        caption = html.escape(" ".join((sheet.title, *sheet.lines)))
        footer = "".join(f"<p>{html.escape(remark)}</p>" for remark in sheet.remarks)
        pieces.append(
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"
        )
    return "".join(pieces)


def sheets(report: ComparisonReport) -> Iterator[Sheet]:
    """A table for each surface, and one over all where there are several."""
    result = report.result
    several = len(result.matches) > 1
    for surface, match in enumerate(result.matches):
        remarks = [*_same_method_remarks(result, match), *_arrival_remarks(match)]
        remarks += [] if several else meanings(report)
        yield _match_sheet(report, surface, remarks)
    if several:
        yield _overall_sheet(report)


def searched_lines(result: ComparisonResult, match: Match) -> Iterator[str]:
    """Exactly what was searched: once, if it was the same for all."""
    by_text: dict[str, list[str]] = {}
    for name, one in zip(method_names(result.comparison.experiments[0]), match.searched, strict=True):
        zooms = result.comparison.zooms
        text = _zoomed_text(one, zooms) if zooms else _searched_text(one)
        by_text.setdefault(text, []).append(name)
    for text, names in by_text.items():
        who = "each optimizer" if len(by_text) == 1 else "; ".join(names)
        yield f"searched for {who}: {text}"
    if len({one.cells for one in match.searched}) > 1:
        yield "the optimizers did not get the same number of trials"


def _searched_text(one: Searched) -> str:
    if not one.columns:
        return "nothing, all hyperparameters are given"
    parts = []
    for name, column in one.columns.items():
        distinct = sorted(set(column.tolist()), key=str) if column.dtype == object else np.unique(column).tolist()
        symbol = SYMBOLS.get(name, name)
        if isinstance(distinct[0], float) and len(distinct) > 4:
            axis = one.choice.axes[name]
            began = f", begun with {len(axis)}" if axis.tuned and len(distinct) != len(axis) else ""
            parts.append(f"{len(distinct)} values of {symbol} from {distinct[0]:.3g} to {distinct[-1]:.3g}{began}")
        else:
            parts.append(f"{symbol} in {', '.join(map(short, distinct))}")
    return " × ".join(parts)


def _zoomed_text(one: Searched, zooms: int) -> str:
    """What a search with zooms tried: the first grid, and how it went on."""
    sizes = [
        f"{len(axis)} {axis_name(name)} from {axis.values[0]:.3g} to {axis.values[-1]:.3g}"
        for name, axis in one.choice.axes.items()
        if axis.tuned
    ]
    if not sizes:
        return _searched_text(one)
    return f"{one.cells:,} settings: {' × '.join(sizes)}, then {zooms} zooms into the best {ZOOM_CELLS} of them"


def meanings(report: ComparisonReport) -> Iterator[str]:
    """What the columns mean."""
    match = report.result.matches[0]
    yield f"to target: gradient evaluations until {report.target}"
    if any(standing.robustness is not None for standing in match.standings):
        yield f"robust: share of the searched lr whose result is within {WITHIN:g} times the best"
    if match.starts > 1:
        yield f"over {repeats(match.experiment)}: the median and [the quartiles]"


def _same_method_remarks(result: ComparisonResult, match: Match) -> Iterator[str]:
    every_name = method_names(result.comparison.experiments[0])
    for group in match.same_methods:
        names = [every_name[number] for number in group]
        yield f"the same method here, step by step: {'; '.join(names)}"


def _arrival_remarks(match: Match) -> Iterator[str]:
    """A word of advice where the iterations do not suffice."""
    if np.isinf(match.evaluations_to_target).all():
        yield "nobody reached the target: --iterations may be too few"


def _match_sheet(report: ComparisonReport, surface: int, remarks: Sequence[str]) -> Sheet:
    result, match = report.result, report.result.matches[surface]
    names = list(dict.fromkeys([*Labels(match.experiment).hyperparameters, *_searched_names(match)]))
    has_robustness = any(standing.robustness is not None for standing in match.standings)
    columns: list[tuple[str, Justify]] = [("rank", "right"), ("optimizer", "left")]
    columns += [(SYMBOLS.get(name, name), "right") for name in names]
    columns += [("to target", "right"), ("final loss", "right")]
    columns += [("final point", "left")] if match.starts == 1 else []
    numbers = [match.trials_of(standing.number)[0] for standing in match.standings]
    rates = [report.reports[surface].rates[number] for number in numbers] if match.starts == 1 else []
    has_rates = any(rate.measured is not None for rate in rates)
    columns += [(heading, "right") for heading in RATES] if has_rates else []
    columns += [("robust", "right")] if has_robustness else []
    columns += [("status", "left")]
    rows, styles = [], []
    for i, (standing, number) in enumerate(zip(match.standings, numbers, strict=True)):
        values = match.result.plan.trial(number).hyperparameters
        rows.append(
            [
                f"{standing.rank}",
                standing.choice.name,
                *(_value(values.get(name)) for name in names),
                _evaluations(standing, match.starts),
                _losses(standing, match.starts, float(match.result.final_losses[number])),
                *([point(match.result.final_points[number])] if match.starts == 1 else []),
                *([rate_text(rates[i].measured), rate_text(rates[i].predicted)] if has_rates else []),
                *([_share(standing.robustness)] if has_robustness else []),
                _statuses(standing, match.starts),
            ]
        )
        worst = max(standing.counts, key=lambda status: max(status.code, Status.CONVERGED.code))
        styles.append(STATUS_STYLES[worst])
    return Sheet(
        title=f"{result.comparison.name}: {report.headline(surface)}",
        lines=list(searched_lines(result, match)),
        columns=columns,
        rows=rows,
        styles=styles,
        remarks=remarks,
    )


def _searched_names(match: Match) -> Iterator[str]:
    for one in match.searched:
        yield from one.columns


def _overall_sheet(report: ComparisonReport) -> Sheet:
    """Mean ranks and problems solved over all surfaces."""
    result = report.result
    choices = result.comparison.experiments[0].optimizers
    ranks = np.array([[match.standing(i).rank for match in result.matches] for i in range(len(choices))])
    reached = np.isfinite(result.costs)
    order = np.lexsort((-reached.sum(axis=1), ranks.mean(axis=1)))
    rows = [
        [
            choices[i].name,
            f"{ranks[i].mean():.3g}",
            f"{(ranks[i] == 1).sum()}",
            f"{reached[i].sum()} of {reached.shape[1]}",
        ]
        for i in order
    ]
    return Sheet(
        title=f"{result.comparison.name}: over all {len(result.matches)} surfaces",
        lines=[],
        columns=[("optimizer", "left"), ("mean rank", "right"), ("first on", "right"), ("target reached", "right")],
        rows=rows,
        styles=[""] * len(rows),
        remarks=list(meanings(report)),
    )


def _value(value: Value | None) -> str:
    return "" if value is None else short(value)


def _evaluations(standing: Standing, starts: int) -> str:
    low, median, high = (f"{value:.4g}" if np.isfinite(value) else "never" for value in standing.evaluations_to_target)
    return median if starts == 1 else f"{median} [{low}, {high}]"


def _losses(standing: Standing, starts: int, only: float) -> str:
    if starts == 1:
        return f"{only:.5g}"
    low, median, high = (f"{value:.3g}" if np.isfinite(value) else "diverged" for value in standing.final_loss)
    return f"{median} [{low}, {high}]"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"


def _statuses(standing: Standing, starts: int) -> str:
    if starts == 1:
        return next(iter(standing.counts)).label
    return ", ".join(f"{count} {status.label}" for status, count in standing.counts.items())
