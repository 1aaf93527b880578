"""R's serialization as a tree: the package rdata parses it, and nothing of it is executed.

What a tree's leaves say is read by `r_columns`. Functions, environments, calls and pointers are
parsed, too, since the objects of mice and lme4 hold some; nobody asks for them.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtraError, RBridgeError
from .r_parser import TooLargeError, compact_constructors, parser_of

__all__ = ["DAMAGED", "Tree", "parsed"]

# What rdata raises at a damaged file: assertions of its own, values of numpy's and Python's.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,  # a variable that rdata leaves without a value
    RecursionError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)
_R_TYPES = {
    "NIL": "NULL",
    "NILVALUE": "NULL",
    "SYM": "symbol",
    "LIST": "pairlist",
    "CLO": "closure",
    "ENV": "environment",
    "PROM": "promise",
    "LANG": "language",
    "SPECIAL": "special",
    "BUILTIN": "builtin",
    "CHAR": "char",
    "LGL": "logical",
    "INT": "integer",
    "REAL": "double",
    "CPLX": "complex",
    "STR": "character",
    "DOT": "...",
    "VEC": "list",
    "EXPR": "expression",
    "BCODE": "bytecode",
    "EXTPTR": "externalptr",
    "WEAKREF": "weakref",
    "RAW": "raw",
    "GLOBALENV": "environment",
    "EMPTYENV": "environment",
    "BASEENV": "environment",
    "NAMESPACE": "environment",
    "S4": "S4",
}
_LATIN1, _UTF8, _ASCII = 1 << 2, 1 << 3, 1 << 6  # flags of a text


class Tree:
    """One R object as rdata parsed it.

    Parameters
    ----------
    node : rdata.parser.RObject
        As it was parsed.
    encoding : str
        Of text that doesn't say its own.
    """

    def __init__(self, node: Any, encoding: str) -> None:
        while node.info.type.name == "REF" and node.referenced_object is not None:
            node = node.referenced_object
        self._node = node
        self._encoding = encoding

    @property
    def type(self) -> str:
        """R's type as rdata calls it, such as REAL or VEC."""
        return str(self._node.info.type.name)

    @property
    def r_type(self) -> str:
        """R's type as its ``typeof`` calls it, such as double or list."""
        return _R_TYPES.get(self.type, self.type)

    @property
    def is_null(self) -> bool:
        """Whether it is NULL."""
        return self.type in ("NILVALUE", "NIL")

    @cached_property
    def attributes(self) -> dict[str, Tree]:
        """The attributes by their names."""
        pairs = self._node.attributes
        return {} if pairs is None else dict(Tree(pairs, self._encoding).pairs())

    def pairs(self) -> Sequence[tuple[str, Tree]]:
        """Return the tags and values of a pairlist."""
        node, pairs = self._node, []
        while node.info.type.name == "LIST":
            value, rest = node.value
            name = "" if node.tag is None else Tree(node.tag, self._encoding).symbol
            pairs.append((name, Tree(value, self._encoding)))
            node = rest
        return pairs

    @property
    def symbol(self) -> str:
        """The name that a symbol is."""
        return self._text(self._node.value) or "" if self.type == "SYM" else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The attribute class."""
        given = self.attributes.get("class")
        return () if given is None else tuple(x or "" for x in given.texts())

    @property
    def names(self) -> tuple[str, ...]:
        """The attribute names; empty where there is none."""
        given = self.attributes.get("names")
        return () if given is None or given.is_null else tuple(x or "" for x in given.texts())

    def items(self) -> Sequence[Tree]:
        """Return the elements of a list."""
        return [Tree(x, self._encoding) for x in self._node.value] if self.type == "VEC" else []

    def by_name(self) -> Mapping[str, Tree]:
        """Return the elements of a list by their names."""
        return dict(zip(self.names, self.items(), strict=False))

    def numbers(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the values of a vector of numbers or truth values, and which of them are NA."""
        values = self._node.value
        if isinstance(values, np.ma.MaskedArray):
            mask = np.ma.getmaskarray(values)
            return np.asarray(np.ma.getdata(values)), mask
        values = np.asarray(values)
        missing = np.isnan(values) if values.dtype.kind in "fc" else np.zeros(len(values), bool)
        return values, missing

    def texts(self) -> list[str | None]:
        """Return the values of a vector of text, None for NA."""
        if self.type != "STR":
            return []
        known: dict[tuple[bytes, int], str | None] = {}
        texts = []
        for node in self._node.value:
            key = (node.value, node.info.gp)
            if key not in known:
                known[key] = self._text(node)
            texts.append(known[key])
        return texts

    def __len__(self) -> int:
        return len(self._node.value)

    def _text(self, node: Any) -> str | None:
        if node.value is None:
            return None
        flags, raw = node.info.gp, bytes(node.value)
        if flags & _LATIN1:
            return raw.decode("latin-1")
        return raw.decode("utf-8" if flags & (_UTF8 | _ASCII) else self._encoding)


def parsed(raw: bytes, path: Path, size: int | None = None) -> Tree:
    """Parse an .rds file, or an .rda file of one object.

    Parameters
    ----------
    raw : bytes
        The unpacked file.
    path : Path
        Its name, for messages.
    size : int, optional
        How many bytes the packed file has, by which the number of its objects is bounded.

    Returns
    -------
    Tree
        The object.

    Raises
    ------
    RBridgeError
        It is no such file, it is damaged, or it has several objects.
    MissingExtraError
        rdata isn't installed.
    """
    several = raw.startswith((b"RDX", b"RDA", b"RDB"))
    body = raw[5:] if several else raw
    if not body.startswith((b"X\n", b"A\n", b"B\n", b"A\r\n")):
        raise RBridgeError(
            f"{path} is no file that saveRDS or save wrote: it doesn't begin as R's files do."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tags of functions' code, which nobody reads
            data = _parse(body, len(raw) if size is None else size)
    except MissingExtraError:
        raise
    except TooLargeError as error:
        raise RBridgeError(f"{path} is refused: {error}.") from error
    except DAMAGED as error:
        told = f"({type(error).__name__}: {error})"
        if isinstance(error, NotImplementedError) or "valid RObjectType" in str(error):
            raise RBridgeError(
                f"{path} can't be read without R: it is damaged, or holds what rdata doesn't know "
                f"{told}. If R wrote it and you trust whoever did, trust=True has R read it."
            ) from error
        raise RBridgeError(
            f"{path} can't be read: it is damaged, or holds what rdata doesn't know {told}. Save "
            "the object anew, `saveRDS(x, file)`."
        ) from error
    tree = Tree(data.object, data.extra.encoding or "utf-8")
    if not several:
        return tree
    objects = tree.pairs()
    if len(objects) != 1:
        raise RBridgeError(
            f"{path} has {len(objects)} objects ({', '.join(x for x, _ in objects[:10])}), and one "
            "was looked for: save it alone, `saveRDS(x, file)`."
        )
    return objects[0][1]


def _parse(raw: bytes, size: int) -> Any:
    """Return what rdata makes of a serialization."""
    start = raw.index(b"\n") + 1
    reader = parser_of(raw[:1])(
        memoryview(raw)[start:],
        size,
        expand_altrep=True,
        altrep_constructor_dict=compact_constructors(size),
    )
    data = reader.parse_all()
    reader.check_complete()
    return data
