"""Multiple imputation by a function of the user's, such as one that calls another library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_count, check_frame, check_seed
from ..data.imputed_data import ImputedData
from ..data.mapping import call_with_each
from ..data.stores import Cells, CellStore, own_copy
from ..errors import ArgumentError, EncodingError, ImputationError, RBridgeWarning
from .restoring import restore

__all__ = ["impute_with"]

_NO_DRAWS = (
    "f returned the same values for every seed, so that nothing says how uncertain they are: it "
    "must draw them, from the seed that it is given (in scikit-learn sample_posterior=True and "
    "random_state=seed)"
)


def impute_with(
    f: Callable[[pd.DataFrame, int], pd.DataFrame | NDArray[Any]],
    data: pd.DataFrame,
    m: int = 5,
    seed: int | None = None,
    *,
    n_jobs: int | None = None,
    method: str = "impute_with",
) -> ImputedData:
    """Make m data sets by a function that imputes once: each call has another seed.

    Parameters
    ----------
    f : callable
        ``f(data, seed)`` returns the completed data: a DataFrame with the same columns and rows
        (index), or an array of the same shape. It gets a copy of the data, and must draw its
        random numbers from the seed, a whole number below 2**31.
    data : DataFrame
        With holes.
    m : int
        Number of data sets.
    seed : int, optional
        The seeds of the calls come from it; drawn, and kept in the result, if not given. The seed
        of a call doesn't depend on m: more data sets are the same ones and further ones.
    n_jobs : int, optional
        Processes, as in `ImputedData.map`; the data sets don't depend on it.
    method : str
        A name for the engine, which results show.

    Returns
    -------
    ImputedData
        Columns have the dtypes that they had, but where they can't hold what was imputed (whole
        numbers that became decimals), which `notes` say. Its `settings` have the function's name
        and the calls' seeds.

    Raises
    ------
    ArgumentError
        Data without holes, or an `f`, m, seed or n_jobs that can't be.
    MapError
        f stopped, with its exception as the cause.
    ImputationError
        What f returned can't be right: another type, shape, columns or rows; observed cells that
        have changed; holes that are left; values of another kind, by the name of the column.

    See Also
    --------
    impute : By the engines that are here.
    ImputedData.from_frames : Of data sets that are there already.

    Notes
    -----
    Imputations must be draws: a function that imputes means, or the best prediction, gives
    intervals that are too narrow. scikit-learn's imputer draws with ``sample_posterior=True``::

        def f(data, seed):
            return IterativeImputer(sample_posterior=True, random_state=seed).fit_transform(data)

    and miceforest by mean matching::

        def f(data, seed):
            kernel = miceforest.ImputationKernel(data, num_datasets=1, random_state=seed)
            kernel.mice(10)
            return kernel.complete_data(0)

    Both take rows as independent. Imputed so, data with groups look less clustered than they are;
    a model with random effects needs `CompatibleImputer` or another multilevel engine.

    Where all calls give the same values, a warning says so, since the seed has then no effect.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 4.2 (proper imputation).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import rbridge_mi as rb
    >>> def draw(data, seed):
    ...     observed, rng = data["x"].dropna(), np.random.default_rng(seed)
    ...     return data.assign(x=data["x"].fillna(float(rng.choice(observed))))
    >>> data = pd.DataFrame({"x": [1.0, 2.0, 4.0, None], "y": [1, 2, 3, 4]})
    >>> imp = rb.impute_with(draw, data, m=3, seed=1)
    >>> imp.m, imp.seed, len(imp.settings["seeds"])
    (3, 1, 3)
    """
    if not callable(f):
        raise ArgumentError(f"f must be a function of the data and a seed, not {f!r}.")
    check_frame(data)
    m = check_count(m, "m (the number of imputations)", 1)
    seed = check_seed(seed)
    if not isinstance(method, str) or not method:
        raise ArgumentError(f"method must be a name for the engine, not {method!r}.")
    rows = _holes(data)
    seeds = _seeds(seed, m)
    store = CellStore(own_copy(data), {}, m)
    numbered = {i: (x,) for i, x in enumerate(seeds, 1)}
    results, _ = call_with_each(store, f, numbered, n_jobs, what="impute_with")
    filled = [_filled(result, data, rows, f"imputation {i}") for i, result in results.items()]
    cells, notes = {}, []
    for name, places in rows.items():
        restored = _restored(data[name], [values[name] for values in filled])
        cells[name] = Cells(places.astype(np.int32), tuple(restored.values), restored.dtype)
        if restored.note:
            notes.append(restored.note)
    if m > 1 and all(_same(filled[0], x) for x in filled[1:]):
        notes.append(_NO_DRAWS)
    for text in notes:
        warnings.warn(f"impute_with: {text}", RBridgeWarning, stacklevel=2)
    return ImputedData(
        original=own_copy(data),
        store=CellStore(own_copy(data), cells, m),
        method=method,
        seed=seed,
        settings={"m": m, "f": _name_of(f), "seeds": seeds},
        notes=tuple(notes),
    )


def _holes(data: pd.DataFrame) -> dict[Any, NDArray[np.intp]]:
    rows = {name: np.flatnonzero(data[name].isna().to_numpy()) for name in data.columns}
    rows = {name: x for name, x in rows.items() if len(x)}
    if not rows:
        raise ArgumentError(
            "data have no holes, so that there is nothing to impute: fit the model to them as they "
            "are."
        )
    empty = [name for name, x in rows.items() if len(x) == len(data)]
    if empty:
        raise ArgumentError(f"data have no value in column {empty[0]!r}: drop the column.")
    return rows


def _seeds(seed: int, m: int) -> list[int]:
    """Return m different seeds, of which the first ones don't depend on m."""
    seeds: dict[int, None] = {}
    i = 0
    while len(seeds) < m:
        # R's seeds may be negative, which numpy's aren't.
        state = np.random.SeedSequence(seed % 2**32, spawn_key=(i,)).generate_state(1)
        # Half of the 32 bits: R and some libraries take seeds below 2**31.
        seeds[int(state[0]) >> 1] = None
        i += 1
    return list(seeds)


def _name_of(f: Any) -> str:
    """Return a function's name with its module, or the class of another callable."""
    named = f if hasattr(f, "__qualname__") else type(f)
    return f"{named.__module__}.{named.__qualname__}"


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return all(list(one[name]) == list(other[name]) for name in one)


def _filled(
    result: Any, data: pd.DataFrame, rows: Mapping[Any, NDArray[np.intp]], where: str
) -> dict[Any, NDArray[Any]]:
    """Check what f returned, and take the values of the cells that were missing."""
    frame = _as_frame(result, data, where)
    values = {}
    for name in data.columns:
        # As objects, so that a value is compared with a value, whatever dtype the columns have.
        column, before = frame[name].astype(object), data[name].astype(object)
        observed = np.flatnonzero(before.notna().to_numpy())
        _check_observed(before, column, observed, data.index, where)
        if name not in rows:
            continue
        values[name] = column.to_numpy()[rows[name]]
        left = int(pd.isna(values[name]).sum())
        if left:
            raise ImputationError(
                f"{where}: f left {left} of {len(values[name])} holes in column {name!r}. It must "
                "fill all of them; a column that is not to be imputed goes into the data later, by "
                "`imp.assign`."
            )
    return values


def _as_frame(result: Any, data: pd.DataFrame, where: str) -> pd.DataFrame:
    if isinstance(result, np.ndarray):
        if result.shape != data.shape:
            raise ImputationError(
                f"{where}: f returned an array of shape {result.shape}, and the data have "
                f"{data.shape}. Imputers that drop empty columns or add indicators do so."
            )
        return pd.DataFrame(result, index=data.index, columns=data.columns)
    if not isinstance(result, pd.DataFrame):
        raise ImputationError(
            f"{where}: f returned {type(result).__name__}; it must return a DataFrame or an array "
            "of numpy."
        )
    lacks = [x for x in data.columns if x not in result.columns]
    more = [x for x in result.columns if x not in data.columns]
    if lacks or more or len(result.columns) != len(data.columns):
        told = f"lacks {lacks}" if lacks else f"has {more or 'a column twice'} beside"
        raise ImputationError(f"{where}: f returned a DataFrame that {told} the data's columns.")
    if not result.index.equals(data.index):
        raise ImputationError(
            f"{where}: f returned a DataFrame with other rows (index) than the data's. If they are "
            "the same in the same order, `result.set_axis(data.index)` gives them their labels."
        )
    return result


def _check_observed(
    before: pd.Series[Any],
    after: pd.Series[Any],
    observed: NDArray[np.intp],
    index: pd.Index,
    where: str,
) -> None:
    was, became = before.to_numpy()[observed], after.to_numpy()[observed]
    changed = observed[~_equal(was, became)]
    if len(changed):
        row = index[changed[0]]
        old, new = before.iloc[changed[0]], after.iloc[changed[0]]
        raise ImputationError(
            f"{where}: f changed {len(changed)} observed cells of column {before.name!r}, such as "
            f"that of row {row!r}, where {old!r} became {new!r}. It must leave them as they are: "
            "undo in f what it did to the data (scaling, coding, rounding to float32)."
        )


def _equal(was: NDArray[Any], became: NDArray[Any]) -> NDArray[np.bool_]:
    try:
        equal: NDArray[np.bool_] = np.asarray(was == became).astype(bool)
    except (TypeError, ValueError):  # pandas' NA, or arrays in cells
        equal = np.fromiter(map(_equal_cells, was, became), bool, len(was))
    return equal


def _equal_cells(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


def _restored(column: pd.Series[Any], values: list[NDArray[Any]]) -> Any:
    """Give the values the column's dtype; what it can't hold is refused by name."""
    try:
        if pd.api.types.is_numeric_dtype(column.dtype):
            values = [_numbers(x) for x in values]
        elif isinstance(column.dtype, pd.StringDtype) or _is_text(column):
            for x in values:
                _check_texts(x)
        return restore(column, values)
    except (EncodingError, TypeError, ValueError) as error:
        raise ImputationError(
            f"f imputed values of column {column.name!r}, which has dtype {column.dtype}, that "
            f"have no place in it: {error}"
        ) from error


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    texts = [x for x in values if isinstance(x, str)]
    if texts:
        raise TypeError(f"{texts[0]!r} is no number.")
    numbers: NDArray[np.float64] = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("infinite numbers.")
    return numbers


def _check_texts(values: NDArray[Any]) -> None:
    other = [x for x in values if not isinstance(x, str)]
    if other:
        raise TypeError(f"{other[0]!r} is no text.")


def _is_text(column: pd.Series[Any]) -> bool:
    return str(pd.api.types.infer_dtype(column, skipna=True)) == "string"
