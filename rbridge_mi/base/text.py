"""Reports that print as text, in a console and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["Printed"]


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
        return f"<pre>{html.escape(self)}</pre>"
