"""Reports that print as text, in a console and in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

__all__ = ["Printed", "monospaced", "p_text"]

# Said on the element itself: in exported notebooks a style sheet has `pre` inherit its font, in
# which columns don't stand under each other.
_MONOSPACED = (
    "font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; "
    "white-space: pre; overflow-x: auto;"
)


class Printed(str):
    r"""A report: a `str` whose repr is the text itself, and which a notebook shows as text.

    Examples
    --------
    >>> Printed("a\nb")
    a
    b
    """

    __slots__ = ()

    @classmethod
    def of(cls, lines: Iterable[str]) -> Printed:
        """Join lines to a report.

        Parameters
        ----------
        lines : iterable of str
            Without line breaks.

        Returns
        -------
        Printed
            The report.
        """
        return cls("\n".join(lines))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return monospaced(self)


def monospaced(text: str) -> str:
    """Write text in HTML as it stands, in a font whose characters are equally wide.

    Parameters
    ----------
    text : str
        Any; it is escaped.

    Returns
    -------
    str
        One element, with its own style.
    """
    return f'<pre style="{_MONOSPACED}">{html.escape(text)}</pre>'


def p_text(p: float, least: float | None = None) -> str:
    """Write a p value, which is never 0.

    Parameters
    ----------
    p : float
        Missing (nan) is written as such.
    least : float, optional
        Smaller ones are written as being smaller than this; by default they have their exponent.

    Returns
    -------
    str
        With three digits.

    Examples
    --------
    >>> p_text(0.25), p_text(3e-9), p_text(0.0), p_text(3e-9, least=0.001)
    ('0.25', '3.0e-09', '<1e-300', '<0.001')
    """
    if least is not None and p < least:
        return f"<{least:g}"
    if p < 1e-300:  # a double can't hold it
        return "<1e-300"
    return f"{p:.3g}" if p >= 1e-4 or math.isnan(p) else f"{p:.1e}"
