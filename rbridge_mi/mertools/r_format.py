"""R's printing rules for numbers, tables and calls, without R.

They are the rules that a report needs to look as R's: ``format()`` and ``print()`` of numbers,
matrices of text and named vectors on a console of 80 columns, and where ``print()`` breaks a long
call.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

__all__ = [
    "as_character",
    "call_lines",
    "format_numbers",
    "matrix_lines",
    "round_r",
    "vector_lines",
]

_WIDTH = 80  # options(width = 80)
_CUTOFF = 60  # options(deparse.cutoff = 60)


def format_numbers(values: Sequence[float], digits: int = 7, nsmall: int = 0) -> list[str]:
    """R's ``format(values, digits, nsmall)``: one notation and one width for all values.

    Parameters
    ----------
    values : sequence of float
        Finite, NaN or infinite; NaN is written NaN, not NA.
    digits : int
        Significant digits that the number which needs most of them may have.
    nsmall : int
        The least number of decimals, where the notation is fixed.

    Returns
    -------
    list of str
        As many texts as values.

    See Also
    --------
    as_character : One number without padding.

    Examples
    --------
    >>> format_numbers([0.5, -12.25, float("nan")], nsmall=3)
    ['  0.500', '-12.250', '    NaN']
    >>> format_numbers([1e-10, 1.0])
    ['1e-10', '1e+00']
    """
    left, decimals, mantissa, exponents = 1, 0, 0, 2
    finite = [x for x in values if math.isfinite(x)]
    for x in finite:
        shown, power = f"{abs(x):.{digits - 1}e}".split("e")
        size, significant = int(power), len(shown.rstrip("0").replace(".", "")) or 1
        decimals = max(decimals, significant - size - 1)
        mantissa = max(mantissa, significant - 1)
        exponents = max(exponents, len(str(abs(size))))
        # To three digits 9996 is 1e+04, but in fixed notation it is written with four digits.
        short = size > 0 and abs(x) < 10.0**size - 0.5 / 10.0 ** max(digits - size, 0)
        whole = size if short else size + 1
        left = max(left, max(whole, 1) + (x < 0))
    fixed = left + decimals + (decimals > 0)
    scientific = any(x < 0 for x in finite) + 1 + mantissa + (mantissa > 0) + 2 + exponents
    if fixed <= scientific:
        decimals = max(decimals, nsmall)
        style, width = f".{decimals}f", left + decimals + (decimals > 0)
    else:
        style, width = f".{mantissa}e", scientific
    texts = [_special(x) or format(x + 0.0, style) for x in values]  # + 0.0: R writes no -0
    # As in R, all texts have the computed width, even where the rounded numbers need less.
    width = max([width if finite else 0, *map(len, texts)])
    return [text.rjust(width) for text in texts]


def round_r(x: float, digits: int) -> float:
    """R's ``round(x, digits)`` since R 4.0, for digits of 0 or more.

    The result is the nearer one of the two neighbours of x with that many decimals, where distances
    are computed *in doubles*; if both are equally near, it is the even one. (Python's `round`
    compares exact distances.)

    Parameters
    ----------
    x : float
        A number; what is not finite is returned unchanged.
    digits : int
        Decimals, 0 or more.

    Returns
    -------
    float
        The rounded number.

    References
    ----------
    R Core Team. R documentation of ``round``, details of the algorithm since R 4.0.0.

    Examples
    --------
    >>> round_r(129.135, 2), round(129.135, 2)
    (129.14, 129.13)
    """
    if not math.isfinite(x) or x == 0 or digits + math.ceil(math.log10(abs(x))) > 15:
        return x  # R rounds to at most 15 significant digits
    scale = 10.0**digits
    below = math.floor(abs(x) * scale)
    low, high = below / scale, math.ceil(abs(x) * scale) / scale
    down, up = abs(x) - low, high - abs(x)
    return math.copysign(low if down < up or (down == up and below % 2 == 0) else high, x)


def _special(x: float) -> str:
    if math.isnan(x):
        return "NaN"
    return "" if math.isfinite(x) else ("Inf" if x > 0 else "-Inf")


def as_character(x: float) -> str:
    """R's ``as.character(x)`` of a double: up to 15 significant digits (as in R before 4.3).

    Parameters
    ----------
    x : float
        A number.

    Returns
    -------
    str
        Its text, without padding.

    See Also
    --------
    format_numbers : Several numbers in one width.

    Examples
    --------
    >>> as_character(0.10), as_character(3.0), as_character(100000.0)
    ('0.1', '3', '1e+05')
    """
    return format_numbers([x], digits=15)[0]


def matrix_lines(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    *,
    right: bool,
) -> list[str]:
    """R's ``print(x, quote = FALSE, right = right)`` of a character matrix.

    Parameters
    ----------
    rows, columns : sequence of str
        Their names.
    cells : sequence of sequences of str
        One sequence per column.
    right : bool
        Whether cells and column names are flush right, as in a data frame, or flush left, as in a
        matrix.

    Returns
    -------
    list of str
        Lines. Columns that don't fit in 80 characters follow in further blocks, as in R.

    See Also
    --------
    vector_lines : A named vector.

    Examples
    --------
    >>> matrix_lines(["a", "bb"], ["x", "long"], [["1", "22"], ["3", "4"]], right=True)
    ['    x long', 'a   1    3', 'bb 22    4']
    """
    margin = max(map(len, rows), default=0)
    blocks: list[list[list[str]]] = []
    room = 0
    for name, column in zip(columns, cells, strict=True):
        width = max(map(len, [name, *column]))
        filled = [f" {x:>{width}}" if right else f" {x:<{width}}" for x in [name, *column]]
        if not blocks or room + width + 1 >= _WIDTH:
            blocks.append([])
            room = margin
        blocks[-1].append(filled)
        room += width + 1
    return [
        f"{label:<{margin}}" + "".join(parts)
        for block in blocks
        for label, *parts in zip(["", *rows], *block, strict=True)
    ]


def vector_lines(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """R's ``print(x, quote = FALSE)`` of a named character vector: names above, values below.

    Parameters
    ----------
    names, values : sequence of str
        Of equal length.

    Returns
    -------
    list of str
        Lines of at most 80 characters, where the texts allow it.

    See Also
    --------
    matrix_lines : A matrix.

    Examples
    --------
    >>> vector_lines(["a", "long"], ["1", "2"])
    ['   a long ', '   1    2 ']
    """
    width = max(map(len, [*names, *values]))
    per_line = max(1, _WIDTH // (width + 1))
    return [
        "".join(f"{x:>{width}} " for x in part[start : start + per_line])
        for start in range(0, len(names), per_line)
        for part in (names, values)
    ]


# -- calls ----------------------------------------------------------------------------------

# The operators after which R may break a line, with their precedence. R writes spaces around them.
# It writes none around / : ^, after which it does not break; of these, / still ends a product.
_PRECEDENCE = {"~": 1, "|": 2, "||": 2, "&": 3, "&&": 3, "+": 5, "-": 5, "*": 6}
_COMPARISON, _SPECIAL = 4, 7  # == < ...; %in% and the like
_TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`)
    |\s+(?P<operator>~|\|\|?|&&?|[-+*]|[=!<>]=|[<>]|%[^%]*%)\s+
    |(?P<comma>,\s+)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<space>\s+)|(?P<other>.)""",
    re.VERBOSE,
)
_BRACKET, _ARGUMENTS = -1, 0  # what else may be open, marked below every operator's precedence


def call_lines(call: str) -> list[str]:
    """Break a call into the lines of R's ``print(call)``.

    Once a line is longer than 60 characters, R breaks it at the next operator or argument, and
    indents what belongs to a broken operator or argument list.

    Parameters
    ----------
    call : str
        The call as R deparses it, on one line.

    Returns
    -------
    list of str
        The lines.

    Examples
    --------
    >>> call_lines("lm(y ~ x)")
    ['lm(y ~ x)']
    """
    return list(_broken(call))


def _broken(call: str) -> Iterator[str]:
    line = ""
    open_: list[int] = []  # brackets, and the operators and argument lists that were broken

    def close(down_to: int) -> None:
        while open_ and open_[-1] >= down_to:
            open_.pop()

    for token in _TOKEN.finditer(call):
        if not line and (depth := sum(x != _BRACKET for x in open_)):
            line = "    " * min(depth, 4) + "  " * max(depth - 4, 0)
        kind = token.lastgroup
        if kind == "operator":
            operator = token["operator"]
            precedence = _PRECEDENCE.get(operator, _SPECIAL if "%" in operator else _COMPARISON)
            close(precedence)
            line += f" {operator} "
            if len(line) > _CUTOFF:
                yield line
                line = ""
                open_.append(precedence)
        elif kind == "comma":
            close(_ARGUMENTS + 1)
            line += ", "
            if len(line) > _CUTOFF:
                yield line
                line = ""
                if not open_ or open_[-1] != _ARGUMENTS:
                    open_.append(_ARGUMENTS)
        else:
            if kind == "open":
                open_.append(_BRACKET)
            elif kind == "close":
                close(_ARGUMENTS)
                open_.pop()
            elif token[0] == "/":
                close(_PRECEDENCE["*"])
            line += " " if kind == "space" else token[0]
    yield line
