"""R code as a user writes it, run in a separate Rscript: `run_r` and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .ordering import known_order, steady_rscript
from .rds import Node
from .rscript import Rscript, stack_from
from .values import from_python, to_python

__all__ = ["REvaluation", "run_r"]


class REvaluation(dict[str, Any]):
    """The variables that R code assigned, by name.

    `run_r` makes these.

    Attributes
    ----------
    value : object
        The value of the last expression; None where it can't be carried.
    output : str
        What R printed.
    warnings, messages : tuple of str
        R's warnings and messages, in the order in which they came.
    stack : dict
        r, platform, blas, lapack, collate, and packages: the versions of those that were loaded.
    order : tuple of int, optional
        The order in which lme4 takes crossed random effects there; see
        ``rbridge_mi.testing.ordering``.
    nodes : dict
        The same variables as R vectors (`rds.Node`), bit for bit.
    last : Node, optional
        The value of the last expression as an R vector.

    See Also
    --------
    rbridge_mi.testing.run_r : Runs the code.
    """

    def __init__(self, answer: Node, output: str) -> None:
        parts = dict(zip(answer.texts("names") or [], answer.values, strict=True))
        values = parts["values"]
        self.nodes: dict[str, Node | None] = dict(
            zip(values.texts("names") or [], values.values, strict=True)
        )
        super().__init__({name: to_python(node) for name, node in self.nodes.items()})
        last = parts["value"]
        self.last: Node | None = last.values[0] if last is not None and last.values else None
        self.value: Any = to_python(self.last)
        self.output = output
        self.warnings = tuple(parts["warnings"].values)
        self.messages = tuple(parts["messages"].values)
        self.stack = stack_from(parts["stack"])
        order = parts.get("order")
        self.order = None if order is None else tuple(int(x) for x in order.values)


def run_r(code: str, /, **frames: Any) -> REvaluation:
    """Run R code in a separate Rscript, on frames given by name, and return what it assigned.

    Nothing is shared with the R that this library embeds, and nothing is rounded: values pass in
    R's own file format. Once this process has loaded lme4, code that fits with lme4 runs in an
    Rscript whose lme4 orders crossed random effects as this process does;
    ``rbridge_mi.testing.ordering`` explains why processes may differ in this.

    Parameters
    ----------
    code : str
        As it would stand in a script: ``"library(lme4); b <- fixef(lmer(y ~ 1 + (1 | g), d))"``.
    **frames : DataFrame, Series, array, number, text, list or dict
        Become the R variables of these names; see ``rbridge_mi.testing.values`` for the types.

    Returns
    -------
    REvaluation
        A dict of every variable that the code assigned, or changed, at its top level: data frames
        as DataFrame, named vectors as Series, matrices as array or (with names) DataFrame, other
        vectors as arrays, lists as dict or list. What has no vectors (a fit, a function) is
        left out. ``.value`` is the value of the last expression.

    Raises
    ------
    RCallError
        With R's text, where the code stops.
    RNotFoundError
        Where there is no Rscript.

    See Also
    --------
    assert_parity : Compares a whole fit with that of a user's R script.
    assert_frame_bits_equal : Compares two tables.

    Examples
    --------
    >>> import pandas as pd
    >>> run_r("z <- d$x / 3; n <- nrow(d)", d=pd.DataFrame({"x": [1.0, 2.0]}))["z"]
    array([0.33333333, 0.66666667])
    """
    order = known_order()
    with Rscript() as r:
        r.submit("run_script", code=code, frames=_as_list(frames), order=order is not None)
        evaluation = REvaluation(*r.result())
    if order is None or evaluation.order in (None, order):
        return evaluation
    with steady_rscript() as r:
        r.submit("run_script", code=code, frames=_as_list(frames))
        return REvaluation(*r.result())


def _as_list(frames: Mapping[str, Any]) -> Node:
    """Make one R list of the frames, with their names."""
    node = from_python(dict(frames))
    assert node is not None
    return node
