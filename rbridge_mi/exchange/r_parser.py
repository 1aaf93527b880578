"""rdata's parser, with the few kinds of R objects that it lacks.

They stand in the environments and functions that the objects of mice and lme4 hold: nobody asks for
them, but what comes after them in the file is only found past them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..base.extras import needed_module

__all__ = ["compact_constructors", "parser_of"]

_MOST = 10**8  # elements of a sequence of which a file says the ends only
_ASCII = 1 << 6
# SEXP types of R's src/include/Rinternals.h and src/main/serialize.c.
_WEAKREF, _RAW, _PERSISTENT, _PACKAGE, _BASE_NAMESPACE, _UNBOUND = 23, 24, 247, 248, 250, 252
_HAS_ATTRIBUTES = 1 << 9


@cache
def parser_of(magic: bytes) -> Any:
    """Return the class that parses a serialization beginning so: b"X" (XDR) or b"B" (native).

    Parameters
    ----------
    magic : bytes
        The first byte of the serialization.

    Returns
    -------
    type
        A subclass of rdata's parser.

    Raises
    ------
    MissingExtraError
        rdata isn't installed.
    """
    parser = needed_module("rdata.parser", "io", "a file of R")
    module, name = {b"X": ("_xdr", "ParserXDR"), b"B": ("_binary", "ParserBinary")}[magic]
    base: Any = getattr(needed_module(f"rdata.parser.{module}", "io", "a file of R"), name)
    kinds = parser.RObjectType

    class Parser(base):
        """All kinds of R objects."""

        def parse_R_object(  # noqa: N802 -- rdata's name
            self,
            reference_list: Any = None,
            bytecode_rep_list: Any = None,
            info_int: int | None = None,
        ) -> Any:
            """Parse one object."""
            references = [] if reference_list is None else reference_list
            if info_int is None:
                place = self.file.tell()
                flags = self.parse_int()
                kind = flags & 0xFF
                if kind in (_BASE_NAMESPACE, _UNBOUND):
                    return _node(kinds.BASEENV)
                if kind in (_RAW, _WEAKREF, _PERSISTENT, _PACKAGE):
                    return self._other(kind, flags, references, bytecode_rep_list)
                self.file.seek(place)
            return super().parse_R_object(references, bytecode_rep_list, info_int)

        def _other(self, kind: int, flags: int, references: list[Any], constants: Any) -> Any:
            node = _node(kinds.RAW if kind == _RAW else kinds.NAMESPACE)
            if kind == _RAW:
                node.value = self.parse_string(self.parse_int())
            else:
                references.append(node)
            if kind in (_PERSISTENT, _PACKAGE):
                self.parse_int()
                node.value = self._parse_vector_value(references, constants)
            if kind in (_RAW, _WEAKREF) and flags & _HAS_ATTRIBUTES:
                node.attributes = self.parse_R_object(references, constants)
            return node

    def _node(kind: Any) -> Any:
        info = parser.RObjectInfo(kind, False, False, False, 0, 0)
        return parser.RObject(info=info, value=None, attributes=None)

    return Parser


@cache
def compact_constructors() -> dict[bytes, Any]:
    """Return how vectors are unfolded that R wrote as a rule, such as the ends of a sequence.

    Returns
    -------
    dict
        For rdata's parser, by R's names.
    """
    parser = needed_module("rdata.parser", "io", "a file of R")
    constructors = dict(parser.DEFAULT_ALTREP_MAP)
    for name in (b"compact_intseq", b"compact_realseq"):
        constructors[name] = _Bounded(constructors[name])
    constructors[b"deferred_string"] = _Deferred(parser)
    return constructors


class _Bounded:
    """A sequence that is not longer than any data."""

    def __init__(self, constructor: Any) -> None:
        self._constructor = constructor

    def __call__(self, state: Any) -> Any:
        if not 0 <= float(state.value[0]) <= _MOST:
            raise ValueError(f"a sequence of {state.value[0]:.0f} numbers")
        return self._constructor(state)


class _Deferred:
    """Text that R had not yet made of numbers."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def __call__(self, state: Any) -> Any:
        numbers = state.value[0].value
        held, missing = np.ma.getdata(numbers), np.ma.getmaskarray(numbers)
        info, kinds = self._parser.RObjectInfo, self._parser.RObjectType
        nodes = []
        for x, gone in zip(held.tolist(), missing.tolist(), strict=True):
            text = None if gone else text_of_number(x)
            node_info = info(kinds.CHAR, False, False, False, _ASCII, 0)
            value = None if text is None else text.encode()
            nodes.append(self._parser.RObject(info=node_info, value=value, attributes=None))
        return info(kinds.STR, False, False, False, 0, 0), nodes


def text_of_number(value: float) -> str | None:
    """Return R's ``as.character`` of a whole number: without its zeros where that is shorter.

    Parameters
    ----------
    value : int or float
        A whole number, or NaN.

    Returns
    -------
    str or None
        None for NA.

    Raises
    ------
    ValueError
        A number with a fraction, of whose digits versions of R write more or fewer.

    Examples
    --------
    >>> text_of_number(100000.0), text_of_number(123456.0), text_of_number(100000)
    ('1e+05', '123456', '100000')
    """
    if isinstance(value, int):
        return str(value)
    if np.isnan(value):
        is_na = int(np.float64(value).view(np.uint64)) & 0xFFFFFFFF == 1954
        return None if is_na else "NaN"
    if not abs(value) < 10**15 or value != int(value):
        raise ValueError(
            f"text that R makes of {value!r} only when it is needed: make it before, "
            "`x <- paste0(x)`"
        )
    digits = str(abs(int(value)))
    kept = digits.rstrip("0") or "0"
    mantissa = kept if len(kept) == 1 else f"{kept[0]}.{kept[1:]}"
    short = f"{mantissa}e+{len(digits) - 1:02d}"
    return ("-" if value < 0 else "") + (digits if len(digits) <= len(short) else short)
