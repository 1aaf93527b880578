"""R's file format, read and written without R: how values pass between Python and an Rscript.

``saveRDS(x, file, version = 2, compress = FALSE)`` writes what `parse` reads, ``readRDS(file)``
reads what `render` writes. Doubles pass with all 64 bits, NA apart from NaN; text as UTF-8, NA
apart from "NA"; factors with their levels, in their order, unused ones included. It shares no code
with the way in which the package itself passes values to R (``rbridge_mi.rdoor``), because it is
used to check that way.

A `Node` is one R vector with its attributes; `values` turns nodes into Python's values and back.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import EncodingError

__all__ = ["NA_INTEGER", "NA_REAL_BITS", "Kind", "Node", "parse", "render"]

Kind = Literal["logical", "integer", "double", "character", "raw", "list"]

NA_INTEGER = -(2**31)
NA_REAL_BITS = 0x7FF00000000007A2  # a NaN whose low word is 1954

# SEXP types and flags, of R's src/include/Rinternals.h and src/main/serialize.c.
_TYPES: dict[int, Kind] = {
    10: "logical", 13: "integer", 14: "double", 16: "character", 19: "list", 24: "raw",
}  # fmt: skip
_CODES = {kind: code for code, kind in _TYPES.items()}
_SYMBOL, _PAIRLIST, _CHAR, _NULL, _REFERENCE = 1, 2, 9, 254, 255
_HAS_ATTRIBUTES, _HAS_TAG, _IS_OBJECT = 1 << 9, 1 << 10, 1 << 8
_LATIN1, _UTF8, _ASCII = 1 << (12 + 2), 1 << (12 + 3), 1 << (12 + 6)
_HEADER = b"X\n" + struct.pack(">iii", 2, 0x00040200, 0x00020300)


@dataclass(frozen=True)
class Node:
    """One R vector.

    Attributes
    ----------
    kind : str
        R's type.
    values : object
        float64 array; int32 array (integer and logical, NA as `NA_INTEGER`); list of str or None;
        bytes; list of Node or None (None is NULL).
    attributes : dict
        Names, class, levels, dim and so on, each a Node or None.
    """

    kind: Kind
    values: Any
    attributes: dict[str, Node | None] = field(default_factory=dict)

    def texts(self, attribute: str) -> list[str | None] | None:
        """Return the values of an attribute that is text; None where there is none."""
        node = self.attributes.get(attribute)
        return None if node is None or node.kind != "character" else list(node.values)


def parse(data: bytes) -> Node | None:
    """Read the value in an uncompressed RDS file of version 2.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    Node or None
        The R vector; None is NULL.

    Raises
    ------
    EncodingError
        If the file holds what isn't a vector: a function, an environment, a formula.

    See Also
    --------
    render : The inverse.
    """
    if data[:2] != b"X\n":
        raise EncodingError("not an uncompressed RDS file: saveRDS(x, file, compress = FALSE).")
    return _Reader(data).item()


def render(node: Node | None) -> bytes:
    """Write the value as an RDS file; the same value gives the same bytes.

    Parameters
    ----------
    node : Node or None
        The R vector; None is NULL.

    Returns
    -------
    bytes
        The whole file.

    See Also
    --------
    parse : The inverse.

    Examples
    --------
    >>> parse(render(Node("character", ["a", None]))).values
    ['a', None]
    """
    parts = [_HEADER]
    _write(node, parts)
    return b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(_HEADER)
        self._symbols: list[str] = []

    def _int(self) -> int:
        (value,) = struct.unpack_from(">i", self._data, self._at)
        self._at += 4
        return int(value)

    def _take(self, size: int) -> bytes:
        block = self._data[self._at : self._at + size]
        self._at += size
        return block

    def item(self) -> Node | None:
        flags = self._int()
        code = flags & 0xFF
        if code == _NULL:
            return None
        if code not in _TYPES:
            raise EncodingError(
                f"R's value holds an object of type {code}, which is no vector: carry its parts."
            )
        kind = _TYPES[code]
        size = self._int()
        values: Any
        if kind == "double":
            values = np.frombuffer(self._take(8 * size), ">u8").astype(np.uint64).view(np.float64)
        elif kind in ("integer", "logical"):
            values = np.frombuffer(self._take(4 * size), ">i4").astype(np.int32)
        elif kind == "character":
            values = [self._text() for _ in range(size)]
        elif kind == "raw":
            values = self._take(size)
        else:
            values = [self.item() for _ in range(size)]
        return Node(kind, values, self._pairs() if flags & _HAS_ATTRIBUTES else {})

    def _text(self) -> str | None:
        flags = self._int()
        size = self._int()
        if size == -1:
            return None
        return self._take(size).decode("latin-1" if flags & _LATIN1 else "utf-8")

    def _pairs(self) -> dict[str, Node | None]:
        attributes: dict[str, Node | None] = {}
        while True:
            flags = self._int()
            if flags & 0xFF == _NULL:
                return attributes
            name = self._symbol()
            attributes[name] = self.item()

    def _symbol(self) -> str:
        flags = self._int()
        if flags & 0xFF == _REFERENCE:
            return self._symbols[(flags >> 8) - 1]
        name = self._text() or ""
        self._symbols.append(name)
        return name


def _write(node: Node | None, parts: list[bytes]) -> None:
    if node is None:
        parts.append(struct.pack(">i", _NULL))
        return
    flags = _CODES[node.kind]
    if node.attributes:
        flags |= _HAS_ATTRIBUTES
    if "class" in node.attributes:
        flags |= _IS_OBJECT
    parts.append(struct.pack(">ii", flags, len(node.values)))
    if node.kind == "double":
        # The bytes are swapped as integers: a conversion of doubles might set the quiet bit of NA.
        parts.append(np.ascontiguousarray(node.values).view(np.uint64).astype(">u8").tobytes())
    elif node.kind in ("integer", "logical"):
        parts.append(np.asarray(node.values, np.int32).astype(">i4").tobytes())
    elif node.kind == "character":
        for text in node.values:
            _write_text(text, parts)
    elif node.kind == "raw":
        parts.append(node.values)
    else:
        for item in node.values:
            _write(item, parts)
    if node.attributes:
        for name, value in node.attributes.items():
            parts.append(struct.pack(">ii", _PAIRLIST | _HAS_TAG, _SYMBOL))
            _write_text(name, parts)
            _write(value, parts)
        parts.append(struct.pack(">i", _NULL))


def _write_text(text: str | None, parts: list[bytes]) -> None:
    if text is None:
        parts.append(struct.pack(">ii", _CHAR, -1))
        return
    block = text.encode("utf-8")
    parts.append(struct.pack(">ii", _CHAR | (_ASCII if text.isascii() else _UTF8), len(block)))
    parts.append(block)
