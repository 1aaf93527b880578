"""A table of texts, and how it is written in plain text, Markdown, HTML and LaTeX.

Each language has its own escaping here, so that a label of any characters shows as itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cell", "Grid", "Row", "Section", "as_html", "as_latex", "as_markdown", "as_text"]


@dataclass(frozen=True)
class Cell:
    """A text, and the stars behind it.

    Parameters
    ----------
    text : str
    stars : str
    """

    text: str = ""
    stars: str = ""

    def __str__(self) -> str:
        return self.text + self.stars


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    label : str
        Empty where the row continues the one above.
    cells : tuple of Cell
        One per column.
    """

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Section:
    """Rows under a title.

    Parameters
    ----------
    title : str
    rows : tuple of Row
    """

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Parameters
    ----------
    head : tuple of str
        A title for each column but that of the labels.
    sections : tuple of Section
    notes : tuple of str
        Below the table.
    caption : str
        Above it; empty for none.
    """

    head: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    caption: str = ""


def as_text(grid: Grid) -> str:
    """Write a table as plain text, its columns aligned.

    Returns
    -------
    str
        Without a line break at its end.
    """
    lines: list[Sequence[str]] = [("", *map(_one_line, grid.head))]
    titles = set()
    for section in grid.sections:
        titles.add(len(lines))
        lines.append((_one_line(section.title), *("" for _ in grid.head)))
        for row in section.rows:
            label = f"  {_one_line(row.label)}" if row.label else ""
            lines.append((label, *(str(cell) for cell in row.cells)))
    # A section's title may reach into the columns, whose cells are empty there.
    widths = [
        max(len(line[i]) for n, line in enumerate(lines) if i or n not in titles)
        for i in range(1 + len(grid.head))
    ]
    texts = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, texts))
    caption = [_one_line(grid.caption)] if grid.caption else []
    notes = [_one_line(x) for x in grid.notes]
    return "\n".join([*caption, texts[0], rule, *texts[1:], *([rule] if notes else []), *notes])


_MINUS = re.compile(r"(?<![\w.])-(?=[\d.])")  # of a number, not a hyphen


# -- Markdown -----------------------------------------------------------------------------------


def as_markdown(grid: Grid) -> str:
    """Write a table in Markdown, as GitHub, Pandoc and notebooks read it.

    Returns
    -------
    str
        A pipe table, with the caption above and the notes below it.
    """
    lines = ["| " + " | ".join(["", *map(_markdown, grid.head)]) + " |"]
    lines.append("|:--" + "|--:" * len(grid.head) + "|")
    for section in grid.sections:
        lines.append(
            "| " + " | ".join([f"*{_markdown(section.title)}*", *("" for _ in grid.head)]) + " |"
        )
        for row in section.rows:
            cells = [_markdown(str(x)) for x in row.cells]
            lines.append("| " + " | ".join([_markdown(row.label), *cells]) + " |")
    before = [_markdown(grid.caption), ""] if grid.caption else []
    after = [x for note in grid.notes for x in ("", _markdown(note))]
    return "\n".join([*before, *lines, *after])


def _markdown(text: str) -> str:
    """Escape what Markdown, or HTML or TeX within it, would read as more than text."""
    escaped = _MARKDOWN.sub(lambda x: _ENTITIES.get(x[0], "\\" + x[0]), _one_line(text).strip())
    # What begins a list or a heading at the beginning of a line.
    return _BEGINNING.sub(r"\1\\\2", escaped)


_MARKDOWN = re.compile(r"[\\`*_{}\[\]#!|<>~$^&]")
_BEGINNING = re.compile(r"^(\d*)([-+.)](?=\s|$)|[-=]{2}|=$)")
# A backslash before these isn't read by all: some see a column's end, a tag, or a formula.
_ENTITIES = {
    "|": "&#124;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "$": "&#36;", "~": "&#126;",
    "^": "&#94;",
}  # fmt: skip


# -- HTML -----------------------------------------------------------------------------------------

_TABLE = "border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid;"
_LABEL = "text-align: left; padding: 1px 12px 1px 4px; font-weight: normal;"
_TITLE = "text-align: left; padding: 5px 4px 1px 4px; font-style: italic; font-weight: normal;"
_NUMBER = (
    "text-align: right; padding: 1px 1.6em 1px 8px; font-variant-numeric: tabular-nums; "
    "white-space: nowrap; vertical-align: baseline;"
)
# The stars hang beside the column, so that the digits stand under each other.
_STARS = "display: inline-block; width: 0; line-height: 1;"
_NOTE = "text-align: left; padding: 3px 4px; border-top: 1px solid; font-size: 90%;"


def as_html(grid: Grid) -> str:
    """Write a table in HTML, with its own style, for a page of any other.

    Returns
    -------
    str
        One ``<table>``.
    """
    width = 1 + len(grid.head)
    lines = [f'<table class="rbridge-mi-table" style="{_TABLE}">']
    if grid.caption:
        style = "caption-side: top; text-align: left;"
        lines.append(f'<caption style="{style}">{_html(grid.caption)}</caption>')
    head = "".join(
        f'<th scope="col" style="{_NUMBER} border-bottom: 1px solid;">{_html(x)}</th>'
        for x in grid.head
    )
    corner = f'<td style="{_LABEL} border-bottom: 1px solid;"></td>'
    lines.append(f"<thead><tr>{corner}{head}</tr></thead>")
    for section in grid.sections:
        lines.append("<tbody>")
        title = (
            f'<th scope="rowgroup" colspan="{width}" style="{_TITLE}">{_html(section.title)}</th>'
        )
        lines.append(f"<tr>{title}</tr>")
        lines += [_html_row(row) for row in section.rows]
        lines.append("</tbody>")
    if grid.notes:
        notes = "<br>".join(map(_html, grid.notes))
        cell = f'<td colspan="{width}" style="{_NOTE}">{notes}</td>'
        lines.append(f"<tfoot><tr>{cell}</tr></tfoot>")
    return "\n".join([*lines, "</table>"])


def _html_row(row: Row) -> str:
    label = f'<th scope="row" style="{_LABEL}">{_html(row.label)}</th>'
    if not row.label:  # the row above has the label of both
        label = f'<td style="{_LABEL}"></td>'
    cells = "".join(
        f'<td style="{_NUMBER}">{"−".join(map(_html, _MINUS.split(x.text)))}'
        + (f'<sup style="{_STARS}">{_html(x.stars)}</sup>' if x.stars else "")
        + "</td>"
        for x in row.cells
    )
    return f"<tr>{label}{cells}</tr>"


def _html(text: str) -> str:
    return html.escape(_one_line(text))


# -- LaTeX ----------------------------------------------------------------------------------------

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # An opening quote, and what languages of babel make commands of.
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "'": r"\char39{}",
    # After the end of a row these would be an argument of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # With the fonts of old.
    "–": r"\textendash{}",
    "²": r"\textsuperscript{2}",
    "…": r"\dots{}",
    "∞": r"$\infty$",
}


_TWO_HYPHENS = re.compile("-(?=-)")  # they would be a dash


def as_latex(grid: Grid, label: str = "", *, booktabs: bool = True) -> str:
    r"""Write a table in LaTeX.

    Parameters
    ----------
    grid : Grid
    label : str
        For ``\ref``; without one, and without a caption, there is a ``tabular`` alone.
    booktabs : bool
        Use the rules of the package booktabs.

    Returns
    -------
    str
        A ``tabular``, in a ``table`` if it has a caption or label.
    """
    top, middle, bottom = (
        (r"\toprule", r"\midrule", r"\bottomrule") if booktabs else (r"\hline",) * 3
    )
    width = 1 + len(grid.head)
    lines = [rf"\begin{{tabular}}{{l{'r' * len(grid.head)}}}", top]
    lines += [_latex_row(["", *map(_latex, grid.head)]), middle]
    for i, section in enumerate(grid.sections):
        lines += [middle] if i else []
        title = rf"\multicolumn{{{width}}}{{l}}{{\textit{{{_latex(section.title)}}}}}"
        lines.append(_latex_row([title]))
        for row in section.rows:
            lines.append(_latex_row([_latex(row.label), *map(_latex_cell, row.cells)]))
    lines.append(bottom)
    lines.append(r"\end{tabular}")
    if grid.notes:  # as a paragraph, since they may be longer than the table is wide
        lines += ["", r"\smallskip", rf"{{\footnotesize {' '.join(map(_latex, grid.notes))}\par}}"]
    if not grid.caption and not label:
        return "\n".join(lines)
    head = [r"\begin{table}", r"\centering"]
    head += [rf"\caption{{{_latex(grid.caption)}}}"] if grid.caption else []
    head += [rf"\label{{{label}}}"] if label else []
    return "\n".join([*head, *lines, r"\end{table}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    # A minus sign stands in a formula, where it has its width.
    shown = "$-$".join(map(_latex, _MINUS.split(cell.text)))
    return shown + (rf"\textsuperscript{{{_latex(cell.stars)}}}" if cell.stars else "")


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(x, x) for x in _one_line(text))
    return _TWO_HYPHENS.sub("{-}", escaped)


def _one_line(text: str) -> str:
    """Make line breaks and other control characters spaces."""
    return "".join(x if x.isprintable() else " " for x in text)
