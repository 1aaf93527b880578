"""rdata's parser, with the kinds of R objects that it lacks, or takes for others.

They stand in the environments and functions that the objects of mice and lme4 hold: nobody asks for
them, but what comes after them in the file is only found past them.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np

from ..base.extras import needed_module

__all__ = ["TooLargeError", "compact_constructors", "parser_of"]

MOST_NODES = 10**6  # objects in any file; a larger one no more than these per byte:
NODES_PER_BYTE = 100
MOST_ELEMENTS = 10**7  # of the sequences of which a file says the ends only, and so per byte:
ELEMENTS_PER_BYTE = 100
_ASCII = 1 << 6
# SEXP types of R's src/include/Rinternals.h and src/main/serialize.c.
_WEAKREF, _RAW, _PERSISTENT, _PACKAGE, _BASE_NAMESPACE, _UNBOUND = 23, 24, 247, 248, 250, 252
_HAS_ATTRIBUTES = 1 << 9
_PAIRS, _CALL, _BYTECODE = 2, 6, 21
_PAIRS_WITH, _CALL_WITH, _REPEATED, _TO_REPEAT = 239, 240, 243, 244  # in compiled code only
_MOST_REPEATED = 10**6


@cache
def parser_of(magic: bytes) -> Any:
    """Return the class that parses a serialization that begins so.

    Parameters
    ----------
    magic : bytes
        The first byte of the serialization: b"X" (XDR), b"B" (native) or b"A" (ASCII).

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
    classes = {b"X": "_xdr.ParserXDR", b"B": "_binary.ParserBinary", b"A": "_ascii.ParserASCII"}
    module, name = classes[magic].split(".")
    base: Any = getattr(needed_module(f"rdata.parser.{module}", "io", "a file of R"), name)
    kinds = parser.RObjectType

    class Parser(base):
        """All kinds of R objects."""

        def __init__(self, data: Any, size: int, **given: Any) -> None:
            super().__init__(data, **given)
            if magic == b"A":  # its places are told by characters, which is slow in a stream
                self.file = io.StringIO(bytes(data).decode("ascii"), newline=None)
            self._left = max(MOST_NODES, NODES_PER_BYTE * size)

        def parse_R_object(  # noqa: N802 -- rdata's name
            self, reference_list: Any = None, *constants: Any, **given: Any
        ) -> Any:
            """Parse one object; compiled code has another way for its parts."""
            del constants, given
            self._left -= 1
            if self._left < 0:
                raise TooLargeError("it has more objects than a file of its size of data sets has")
            references = [] if reference_list is None else reference_list
            place = self.file.tell()
            flags = self.parse_int()
            kind = flags & 0xFF
            if kind in (_BASE_NAMESPACE, _UNBOUND):
                return _node(kinds.BASEENV)
            if kind in (_RAW, _WEAKREF, _PERSISTENT, _PACKAGE):
                return self._other(kind, flags, references)
            self.file.seek(place)
            return super().parse_R_object(references)

        def _parse_bytecode(self, reference_list: Any, *constants: Any) -> Any:
            """Parse compiled code: each has a list of its own of what it says more than once."""
            del constants
            size = self.parse_int()
            if not 0 <= size <= _MOST_REPEATED:
                raise ValueError(f"compiled code with {size} repeated parts")
            return self._code(reference_list, [None] * size)

        def _code(self, references: Any, repeated: list[Any]) -> Any:
            code = self.parse_R_object(references)
            constants = []
            for _ in range(self.parse_int()):
                kind = self.parse_int()
                if kind == _BYTECODE:
                    constants.append(_node(kinds.BCODE, self._code(references, repeated)))
                else:
                    constants.append(self._language(references, repeated, kind))
            return code, constants

        def _language(self, references: Any, repeated: list[Any], kind: int) -> Any:
            if kind == _REPEATED:
                return repeated[self.parse_int()]
            if kind not in (_TO_REPEAT, _CALL, _PAIRS, _CALL_WITH, _PAIRS_WITH):
                return self.parse_R_object(references)
            place = -1
            if kind == _TO_REPEAT:
                place, kind = self.parse_int(), self.parse_int()
            node = _node(kinds.LANG if kind in (_CALL, _CALL_WITH) else kinds.LIST)
            if place >= 0:
                repeated[place] = node
            if kind in (_CALL_WITH, _PAIRS_WITH):
                node.attributes = self.parse_R_object(references)
            node.tag = self.parse_R_object(references)
            first = self._language(references, repeated, self.parse_int())
            node.value = (first, self._language(references, repeated, self.parse_int()))
            return node

        def _other(self, kind: int, flags: int, references: list[Any]) -> Any:
            node = _node(kinds.RAW if kind == _RAW else kinds.NAMESPACE)
            if kind == _RAW and magic == b"A":
                node.value = bytes(int(self.file.readline(), 16) for _ in range(self.parse_int()))
            elif kind == _RAW:
                node.value = self.parse_string(self.parse_int())
            else:
                references.append(node)
            if kind in (_PERSISTENT, _PACKAGE):
                self.parse_int()
                node.value = [self.parse_R_object(references) for _ in range(self.parse_int())]
            if kind in (_RAW, _WEAKREF) and flags & _HAS_ATTRIBUTES:
                node.attributes = self.parse_R_object(references)
            return node

    def _node(kind: Any, value: Any = None) -> Any:
        info = parser.RObjectInfo(kind, False, False, False, 0, 0)
        return parser.RObject(info=info, value=value, attributes=None)

    return Parser


class TooLargeError(Exception):
    """A file says that it holds more than its size lets one expect."""


def compact_constructors(size: int) -> dict[bytes, Any]:
    """Return how vectors are unfolded that R wrote as a rule, such as the ends of a sequence.

    Parameters
    ----------
    size : int
        Of the file, in bytes: all sequences of a small file have `MOST_ELEMENTS` at most.

    Returns
    -------
    dict
        For rdata's parser, by R's names.
    """
    parser = needed_module("rdata.parser", "io", "a file of R")
    constructors = dict(parser.DEFAULT_ALTREP_MAP)
    left = _Left(max(MOST_ELEMENTS, ELEMENTS_PER_BYTE * size))
    constructors[b"compact_intseq"] = _Sequence(parser, "INT", np.int32, left)
    constructors[b"compact_realseq"] = _Sequence(parser, "REAL", np.float64, left)
    constructors[b"deferred_string"] = _Deferred(parser)
    return constructors


class _Left:
    """How many elements the sequences of a file may still have."""

    def __init__(self, elements: float) -> None:
        self._elements = elements

    def take(self, elements: float) -> None:
        """Count a sequence of so many."""
        self._elements -= elements
        if self._elements < 0:
            raise TooLargeError("its sequences have more elements than a file of its size has")


class _Sequence:
    """Numbers from the first one on, by steps of 1 or -1."""

    def __init__(self, parser: Any, kind: str, dtype: Any, left: _Left) -> None:
        self._parser = parser
        self._kind = kind
        self._dtype = dtype
        self._left = left

    def __call__(self, state: Any) -> Any:
        size, first, step = (float(x) for x in state.value)
        if not 0 <= size < np.inf or abs(step) != 1:
            raise ValueError(f"a sequence of {size:.0f} numbers by {step}")
        self._left.take(size)
        kind = self._parser.RObjectType[self._kind]
        values = first + step * np.arange(int(size), dtype=np.float64)
        return self._parser.RObjectInfo(kind, False, False, False, 0, 0), values.astype(self._dtype)


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
