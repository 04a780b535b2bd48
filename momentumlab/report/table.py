"""One table type for all output, with renderers for terminals, notebooks and Markdown.

A table never cuts a number or a heading. One that is wider than the terminal is rearranged step by step until it fits:

1. values that are the same in every row move to a line above the columns;
2. cells and headings are wrapped between words, points between coordinates;
3. columns are left out, those with the highest priority number first;
4. instead of a row, each trial becomes a record of ``heading: value`` pairs, wrapped between values.

Cells, titles and remarks may hold text of any origin: names, file contents, exceptions. Every renderer escapes it.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from momentumlab.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

GAP = 2
"""Spaces between two columns, and the indentation of continued lines."""


class Kind(Enum):
    """The content of a column. Columns of a later kind are wrapped first; numbers and names are never wrapped."""

    NUMBER = "a number"
    NAME = "a name"
    VALUES = "several values, such as a median with its quartiles"
    POINT = "coordinates"
    PROSE = "words"

    @property
    def is_numeric(self) -> bool:
        """Whether cells are aligned to the right."""
        return self in (Kind.NUMBER, Kind.VALUES)


WRAPPED_LAST = list(Kind)

JOINED = "\N{NO-BREAK SPACE}"
"""Joins words that must stay on one line during layout; printed as a space."""

Segment = tuple[str, str]
"""A piece of a line and its Rich style."""

Line = list[Segment]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    heading
        Its name. If no column has one, the table has no line of headings.
    cells
        One text per row; empty if there is no value.
    kind
        Determines alignment and wrapping.
    priority
        0 for columns that are never left out; the higher the number, the earlier a column goes. Columns with the same
        number go together.
    meaning
        An explanation, printed below the table while the column is shown.
    styles
        Rich style of each cell.
    """

    heading: str
    cells: Sequence[str]
    kind: Kind = Kind.NUMBER
    priority: int = 0
    meaning: str = ""
    styles: Sequence[str] = ()

    @property
    def is_constant(self) -> bool:
        """Whether all rows have the same value, so that one line can state it."""
        return bool(self.cells) and bool(self.cells[0]) and len(set(self.cells)) == 1

    @cached_property
    def natural_width(self) -> int:
        """Width without wrapping."""
        return max(map(_width, (self.heading, *self.cells)))

    @cached_property
    def least_width(self) -> int:
        """Width of the longest piece that is not broken: a word, or a whole number or name."""
        is_whole = self.kind in (Kind.NUMBER, Kind.NAME)
        cells = self.cells if is_whole else [word for cell in self.cells for word in cell.split(" ")]
        return max(map(_width, [*self.heading.split(" "), *cells]))

    def escaped(self) -> "Column":
        """Return the column with printable texts, in which quartiles and settings are not broken."""
        cells = [printable(cell) for cell in self.cells]
        if self.kind is Kind.VALUES:
            cells = [cell.replace(", ", f",{JOINED}") for cell in cells]
        return replace(self, heading=printable(self.heading), cells=[_unbroken(cell) for cell in cells])


TEXT_WIDTH = 100
"""Columns of a table that Python prints."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns with a title above and remarks below; without columns, a paragraph.

    Attributes
    ----------
    title
        Printed in bold.
    lines
        Further lines between title and columns.
    columns
        All have the same number of cells.
    remarks
        Printed below the columns, after the meanings of the columns.
    """

    title: str = ""
    lines: Sequence[str] = ()
    columns: Sequence[Column] = ()
    remarks: Sequence[str] = ()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        for line in self.rendered(options.max_width):
            yield Text.assemble(*line, no_wrap=True, overflow="ignore", end="\n")

    def rendered(self, width: int) -> Iterator[Line]:
        """Lay the table out and return its lines, none of them wider than ``width``."""
        for line in self._lines(width):
            yield [(text.replace(JOINED, " "), style) for text, style in line]

    def _lines(self, width: int) -> Iterator[Line]:
        layout = _layout([column.escaped() for column in self.columns], width)
        constants = [f"{column.heading}{JOINED}{column.cells[0]}" for column in layout.constants]
        shared = [f"all rows: {', '.join(constants)}"] if constants else []
        # Title, lines, and values that all rows share; then the rows; then meanings and remarks.
        texts = [(printable(self.title), "bold")] if self.title else []
        texts += [(line, "") for line in (*map(printable, self.lines), *shared)]
        for text, style in texts:
            yield from ([(line, style)] for line in _wrapped(_unbroken(text), width))
        yield from _grid(layout) if layout.widths else _records(layout.columns, width)
        shown = (*layout.constants, *layout.columns)
        meanings = [f"{column.heading}: {column.meaning}" for column in shown if column.meaning]
        omitted = ", ".join(column.heading for column in layout.omitted)
        too_narrow = [f"too narrow for these columns: {omitted}"] if omitted else []
        for remark in (*meanings, *self.remarks, *too_narrow):
            yield from ([(line, "dim")] for line in _wrapped(_unbroken(printable(remark)), width))

    def text(self, width: int = TEXT_WIDTH) -> str:
        """Return the table as plain text."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self.rendered(width))

    def html(self) -> str:
        """Return the table for a notebook."""

        def row(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in cells) + "</tr>"

        head = row("th", [column.heading for column in self.columns])
        body = "".join(row("td", cells) for cells in self.rows)
        caption = _html(" ".join(filter(None, (self.title, *self.lines))))
        remarks = "".join(f"<p>{_html(remark)}</p>" for remark in self._explanations)
        return f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{body}</tbody></table>{remarks}"

    def markdown(self) -> str:
        """Return the columns as a Markdown table."""
        head, *body = (
            f"| {' | '.join(_markdown(cell) for cell in row)} |"
            for row in ([column.heading for column in self.columns], *self.rows)
        )
        return "\n".join([head, f"|{'---|' * len(self.columns)}", *body])

    def markdown_document(self) -> str:
        """Return title, columns and remarks as Markdown."""
        parts = [f"**{_markdown(self.title)}**" if self.title else "", *map(_markdown, self.lines), self.markdown()]
        return "\n\n".join(filter(None, [*parts, *map(_markdown, self._explanations)]))

    def latex(self) -> str:
        """Return the columns as a LaTeX tabular, with title and remarks as comments."""
        alignment = "".join("r" if column.kind.is_numeric else "l" for column in self.columns)
        head, *body = (
            " & ".join(_latex(cell) for cell in row) + r" \\"
            for row in ([column.heading for column in self.columns], *self.rows)
        )
        comments = [f"% {printable(text)}" for text in (self.title, *self.lines, *self._explanations) if text]
        table = [rf"\begin{{tabular}}{{{alignment}}}", r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"]
        return "\n".join([*comments, *table])

    @property
    def _explanations(self) -> list[str]:
        meanings = [f"{column.heading}: {column.meaning}" for column in self.columns if column.meaning]
        return [*meanings, *self.remarks]

    @property
    def rows(self) -> list[Sequence[str]]:
        """The cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def _unbroken(text: str) -> str:
    """Return a text in which equations such as ``lr = 0.1`` cannot be broken."""
    return text.replace(" = ", f"{JOINED}={JOINED}")


def _html(text: str) -> str:
    return html.escape(printable(text))


def _markdown(cell: str) -> str:
    return printable(cell).replace("|", "\\|")


LATEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
    "ρ": r"$\rho$",
    "×": r"$\times$",
    "√": r"$\surd$",
    "–": "--",
    "−": "$-$",
    "…": r"\dots{}",
    **{digit: f"$_{number}$" for number, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}
"""Characters that LaTeX interprets or does not know."""


def _latex(cell: str) -> str:
    """Return a text for LaTeX; numbers with a sign or an exponent become formulas."""
    parts = re.split(r"((?<![\w.])-?\d[\d.]*(?:e[-+]?\d+)?(?![\w.]))", printable(cell))
    for i, part in enumerate(parts):
        mantissa, _, exponent = part.partition("e")
        if i % 2 == 0:
            parts[i] = "".join(LATEX.get(character, character) for character in part)
        elif exponent:
            parts[i] = rf"${mantissa} \times 10^{{{int(exponent)}}}$"
        elif part.startswith("-"):
            parts[i] = f"${part}$"
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The layout of a table: the width of each column, or no widths for records."""

    columns: Sequence[Column]
    widths: Sequence[int]
    constants: Sequence[Column] = ()
    omitted: Sequence[Column] = field(default=())


def _layout(columns: Sequence[Column], width: int) -> _Layout:
    natural = [column.natural_width for column in columns]
    if not columns or sum(natural) + GAP * (len(columns) - 1) <= width:
        return _Layout(columns=columns, widths=natural)
    # Values that all rows share move out of the columns.
    varying = [column for column in columns if not column.is_constant]
    if len(columns[0].cells) == 1 or not varying:
        varying = list(columns)
    constants = [column for column in columns if column not in varying]
    # Then columns go, group by group, until the others fit at least with wrapped cells.
    kept = varying
    for limit in sorted({0, *(column.priority for column in varying)}, reverse=True):
        kept = [column for column in varying if column.priority <= limit]
        if widths := _widths(kept, width):
            omitted = [column for column in varying if column not in kept]
            return _Layout(columns=kept, widths=widths, constants=constants, omitted=omitted)
    return _Layout(columns=varying, widths=(), constants=constants)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Distribute the width among columns that may be wrapped; return nothing if they do not fit."""
    widths = [column.least_width for column in columns]
    spare = width - sum(widths) - GAP * (len(columns) - 1)
    if spare < 0:
        return []
    # Values get their width first: they are wrapped only after points and prose.
    for number in sorted(range(len(columns)), key=lambda number: WRAPPED_LAST.index(columns[number].kind)):
        more = min(spare, columns[number].natural_width - widths[number])
        widths[number] += more
        spare -= more
    return widths


def _grid(layout: _Layout) -> Iterator[Line]:
    """Yield the headings, then each row, which is as high as its highest cell."""
    columns, widths = layout.columns, layout.widths
    if not columns:
        return
    if any(column.heading for column in columns):
        headings = [_wrapped(column.heading, width, 0) for column, width in zip(columns, widths, strict=True)]
        height = max(map(len, headings))
        yield from _row(columns, widths, [[""] * (height - len(lines)) + lines for lines in headings])
    for number in range(len(columns[0].cells)):
        cells = [_wrapped(column.cells[number], width, 0) for column, width in zip(columns, widths, strict=True)]
        yield from _row(columns, widths, cells, [column.styles[number] if column.styles else "" for column in columns])


def _row(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[str]], styles: Sequence[str] = ()
) -> Iterator[Line]:
    for number in range(max(map(len, cells))):
        line: Line = []
        pending = ""  # spaces are printed only if something follows them
        for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
            text = cells[i][number] if number < len(cells[i]) else ""
            space = " " * (width - _width(text))
            if column.kind.is_numeric:
                pending += space
            if text:
                line += [(pending, ""), (text, styles[i] if styles else "")]
                pending = ""
            pending += " " * GAP + ("" if column.kind.is_numeric else space)
        yield line


def _records(columns: Sequence[Column], width: int) -> Iterator[Line]:
    """One paragraph per row: ``heading: value`` pairs, wrapped between pairs, and within a pair only between words."""
    for number in range(len(columns[0].cells) if columns else 0):
        named = [(column.heading, column.cells[number]) for column in columns if column.cells[number]]
        pairs = [f"{heading}: {cell}" if heading else cell for heading, cell in named]
        line = ""
        for pair in pairs:
            joined = f"{line}{' ' * GAP}{pair}" if line else pair
            if _width(joined) <= width:
                line = joined
                continue
            if line:
                yield [(line, "")]
            *full, line = _wrapped(" " * GAP + pair, width)
            yield from ([(text, "")] for text in full)
        yield [(line, "")]


def _wrapped(text: str, width: int, indent: int = GAP) -> list[str]:
    """Break a text between words; only a word wider than the whole line is broken.

    Continued lines are indented, unless ``indent`` is 0.
    """
    if _width(text) <= width:
        return [text]
    margin = len(text) - len(text.lstrip(" "))
    lines: list[str] = []
    line = ""
    # Fill lines greedily; a word that does not even fit on its own line is broken, at a joint if it has one.
    for word in text[margin:].split(" "):
        lead = " " * margin if not lines and not line else ""
        joined = f"{line} {word}" if line else f"{lead}{word}"
        if _width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = f"{' ' * (margin + indent)}{word}" if line or lines else joined
        while _width(line) > width:
            cut = _fitting(line, width)
            if (joint := line.rfind(JOINED, 0, cut + 1)) > 0:
                lines.append(line[:joint])
                line = f"{' ' * (margin + indent)}{line[joint + 1 :]}"
            else:
                lines.append(line[:cut])
                line = line[cut:]
    return [*lines, line]


def _fitting(text: str, width: int) -> int:
    """Return the number of characters of an overlong word that go on a line: up to a parenthesis, or what fits."""
    count = max(1, min(len(text), width))
    while count > 1 and _width(text[:count]) > width:
        count -= 1
    return text.rfind("(", 0, count) + 1 or count


def _width(text: str) -> int:
    """Return the number of terminal columns of a text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
