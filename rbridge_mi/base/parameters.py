"""Arguments of a constructor that can be read, changed and copied, as scikit-learn does it.

scikit-learn isn't imported: its ``clone``, and what is built on it, ask for these methods.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .arguments import check_known

__all__ = ["Parameters", "alike"]

P = TypeVar("P", bound="Parameters")


class Parameters:
    """What is made from arguments alone, and knows them: an imputer or a model before any data."""

    def own_parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as they were given.

        Returns
        -------
        dict
            The attributes of these names, unless a class keeps them in another way.

        See Also
        --------
        get_params : The same, with those of nested objects.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def parameter_name(self, name: str) -> str:
        """Return the name of a parameter that has another one, too, such as R's.

        Parameters
        ----------
        name : str
            Either of them.

        Returns
        -------
        str
            The one that `get_params` uses.

        See Also
        --------
        set_params : Takes both.
        """
        return name

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that this was made with, under scikit-learn's name.

        Parameters
        ----------
        deep : bool
            Add those of arguments that have parameters themselves, such as a model's, as
            ``model__formula``.

        Returns
        -------
        dict
            Values by the constructor's names, defaults included: ``type(x)(**x.get_params(False))``
            equals x.

        See Also
        --------
        set_params : Changes some of them.
        """
        values = self.own_parameters()
        nested = {
            f"{outer}__{inner}": x
            for outer, value in values.items()
            if deep and isinstance(value, Parameters)
            for inner, x in value.get_params().items()
        }
        return values | nested

    def set_params(self: P, **params: Any) -> P:
        """Change arguments of this object itself, under scikit-learn's name.

        Parameters
        ----------
        **params : object
            New values by the constructor's names; ``model__reml=False`` changes an argument of an
            argument, which is copied first.

        Returns
        -------
        object
            This object, as scikit-learn wants it. ``sklearn.base.clone(x).set_params(...)`` leaves
            x as it is.

        Raises
        ------
        ArgumentError
            Whatever the constructor refuses; then nothing has changed.

        See Also
        --------
        get_params : What can be changed.
        """
        values = self.own_parameters()
        inner: dict[str, dict[str, Any]] = {}
        for given, value in params.items():
            outer, parted, name = given.partition("__")
            outer = self.parameter_name(outer)
            check_known([outer], list(values), type(self).__name__)
            if parted:
                inner.setdefault(outer, {})[name] = value
            else:
                values[outer] = value
        for outer, changes in inner.items():
            part = values[outer]
            if not isinstance(part, Parameters):
                raise ArgumentError(
                    f"{outer}__{next(iter(changes))}: {outer} is {part!r}, which has no parameters."
                )
            values[outer] = part.__sklearn_clone__().set_params(**changes)
        changed = vars(type(self)(**values))
        vars(self).clear()
        vars(self).update(changed)
        return self

    def __sklearn_clone__(self: P) -> P:
        """Make an equal one from copies of its arguments: what ``sklearn.base.clone`` returns."""
        return type(self)(**copy.deepcopy(self.own_parameters()))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Parameters)
        return alike(self.own_parameters(), other.own_parameters())

    def __hash__(self) -> int:
        # Of values that may be lists and arrays only the texts can be counted on to have a hash.
        texts = [x for x in self.own_parameters().values() if isinstance(x, str)]
        return hash((type(self), *texts))


def alike(one: Any, other: Any) -> bool:
    """Say whether two arguments are the same, of any kind, with arrays and tables in them.

    Parameters
    ----------
    one, other : object
        What was given.

    Returns
    -------
    bool
        Missing values are the same as missing values.

    Examples
    --------
    >>> alike({"x": np.array([1.0, np.nan])}, {"x": np.array([1.0, np.nan])})
    True
    """
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[x], other[x]) for x in one)
    if isinstance(one, pd.DataFrame | pd.Series | pd.Index | np.ndarray):
        if type(one) is not type(other):
            return False
        return bool(_same_array(one, other) if isinstance(one, np.ndarray) else one.equals(other))
    if isinstance(one, list | tuple):
        return (
            type(one) is type(other)
            and len(one) == len(other)
            and all(alike(x, y) for x, y in zip(one, other, strict=True))
        )
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # of objects that can't be compared
        return False


def _same_array(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype != other.dtype:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
