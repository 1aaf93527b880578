"""Progress bars, in terminals and in notebooks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

__all__ = ["OutputProgress", "progress_bar"]


def progress_bar(total: int | None, label: str, unit: str, *, draw: bool = True) -> Any:
    """Begin a progress bar, which is a context manager.

    Parameters
    ----------
    total : int or None
        How many units there are; None where that is not known.
    label : str
        What they are of.
    unit : str
        What is counted.
    draw : bool
        Draw it, if there is a terminal or a notebook, and the environment doesn't have tqdm's
        ``TQDM_DISABLE=1``.

    Returns
    -------
    tqdm.tqdm
        In a notebook that has ipywidgets it is a widget, elsewhere text.
    """
    # It is loaded when the first bar is drawn, and looks then whether this is a notebook.
    from tqdm.auto import tqdm

    disable = None if draw and os.environ.get("TQDM_DISABLE", "0") in ("", "0") else True
    return tqdm(total=total, desc=label, unit=unit, disable=disable, leave=False)


class OutputProgress:
    """A progress bar that R's output drives, for one call that makes all m data sets.

    It is a context manager whose value is the `on_output` of `rdoor.call`. Where there is neither
    a terminal nor a notebook, no bar is drawn.

    Parameters
    ----------
    label : str
    total : int
        How often R prints a line that says that it begins something.
    pattern : str
        A regular expression for that line, or for its beginning, the line break included.
    """

    def __init__(self, label: str, total: int, pattern: str, unit: str = "imputation") -> None:
        self._bar = progress_bar(total, label, unit)
        self._pattern = re.compile(pattern)
        self._started = 0
        self._unread = ""

    def __enter__(self) -> Callable[[str], None]:
        return self._read

    def _read(self, text: str) -> None:
        # R hands a line over in pieces, such as "-- Imputation", " " and "1".
        self._unread += text
        end = 0
        for match in self._pattern.finditer(self._unread):
            self._bar.update(1 if self._started else 0)
            self._started += 1
            end = match.end()
        self._unread = self._unread[max(end, self._unread.rfind("\n")) :]

    def __exit__(self, *_: object) -> None:
        self._bar.close()
