"""Which text, and which names of columns, R can hold.

Nothing heavy is imported here: R is started while pandas is still loading.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import EncodingError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_frame_names", "check_text", "names_for_r", "text_fault"]


def check_frame_names(frame: pd.DataFrame) -> None:
    """Refuse column names that R can't carry unchanged."""
    for name in frame.columns.tolist():
        if not isinstance(name, str):
            raise EncodingError(
                f"column name {name!r} is not text: R's column names are. Rename, for instance "
                "with `frame.columns = frame.columns.map(str)`."
            )
        check_text(name, f"column name {name!r}")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise EncodingError(f"column names that stand more than once: {twice}. Rename or drop one.")


def names_for_r(names: Iterable[Any]) -> list[str]:
    """Those of the names that R can carry: text, of characters that R's text holds."""
    return [x for x in names if isinstance(x, str) and text_fault(x) is None]


def check_text(text: str, what: str) -> str:
    """Return a text that R can hold; refuse another by what it is in."""
    fault = text_fault(text)
    if fault is not None:
        raise EncodingError(f"{what} holds {fault}: remove it.")
    return text


def text_fault(text: str) -> str | None:
    """Say what in a text R's strings can't hold; None where they hold it."""
    if "\0" in text:
        return "the character NUL, which R's text can't"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"a lone surrogate ({text[error.start]!r}), which isn't text"
    return None
