"""Bootstrap samples in place of imputations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import (
    check_columns,
    check_count,
    check_frame_for_r,
    check_memory,
    check_seed,
)
from ..base.parameters import Parameters
from ..data.imputed_data import ImputedData
from ..data.stores import RowStore, own_copy
from ..errors import ArgumentError

__all__ = ["BootstrapImputer"]

_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here


class BootstrapImputer(Parameters):
    """Bootstrap samples of whole groups, or of rows as the vignette draws them.

    In R: ``set.seed(seed); lapply(seq_len(m), function(i) data[sample.int(n, replace = TRUE), ])``;
    with `cluster`, n is the number of groups and their rows are taken together. The samples are
    *not* imputations: holes stay holes, and the models drop them. Results are pooled by the spread
    of the estimates (Efron 1979), not by Rubin's rules.

    Parameters
    ----------
    m : int, at least 2
        Number of samples. Five, as for imputations, give a rough standard error; 200 a good one.
    cluster : str, optional
        Draw whole groups (schools, say; of nested ones the highest) with replacement, each draw
        under a separate label, as a model with groups needs. Without it rows are drawn one by
        one, as in merTools' vignette, and that is right only for a model without groups: a row
        that is drawn twice looks like two rows that agree, so that the variance between groups
        comes out far too large (with 60 groups of 5 rows and no such variance at all, an SD of
        about 0.4 to 0.5 of sigma), and the standard errors of group-level coefficients too small.

    Raises
    ------
    ArgumentError
        A cluster column that isn't there or has missing values; more samples than memory holds.

    See Also
    --------
    AmeliaImputer : Multiple imputation.
    ImputedData : The samples; their results are pooled by their spread.

    References
    ----------
    Efron (1979), The Annals of Statistics 7, 1-26; Davison and Hinkley (1997), Bootstrap Methods
    and their Application, section 3.8 (data with groups).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> boot = rb.BootstrapImputer(m=3, cluster="schid").impute(rb.load_hsb(), seed=1)
    >>> boot.kind, boot[0]["schid"].nunique()
    ('bootstrap', 160)
    """

    def __init__(self, m: int = 5, cluster: str | None = None) -> None:
        self.m = check_count(m, "m (the number of bootstrap samples)", 2)
        self.cluster = cluster

    def impute(self, data: pd.DataFrame, seed: int | None = None) -> ImputedData:
        """Draw m samples of the data; see the class.

        Parameters
        ----------
        data : DataFrame
        seed : int, optional
            Drawn, and kept in the result, if not given.

        Returns
        -------
        ImputedData
            The original and the m samples; its `kind` is "bootstrap".

        See Also
        --------
        ImputedData : The samples.
        """
        check_frame_for_r(data)
        seed = check_seed(seed)
        # A row's number, in R and here; and with clusters its label.
        each = 8 if self.cluster is None else 80
        check_memory(self.m, each * len(data) + _EACH, "bootstrap samples")
        if self.cluster is None:
            store = RowStore(own_copy(data), tuple(self._draw(len(data), seed)))
        else:
            store = self._clusters(data, self.cluster, seed)
        return ImputedData(
            original=own_copy(data),
            store=store,
            method="bootstrap",
            kind="bootstrap",
            seed=seed,
            settings={"m": self.m, "cluster": self.cluster},
        )

    def _draw(self, n: int, seed: int) -> list[np.ndarray[Any, Any]]:
        return [rows - 1 for rows in rdoor.call("bootstrap_rows", n, self.m, seed).value]

    def _clusters(self, data: pd.DataFrame, cluster: str, seed: int) -> RowStore:
        check_columns([cluster], data, "cluster")
        if data[cluster].isna().any():
            raise ArgumentError(f"cluster column {cluster!r} has missing values: drop those rows.")
        codes, _ = pd.factorize(data[cluster])
        members = [np.flatnonzero(codes == i) for i in range(codes.max() + 1)]
        rows, labels = [], []
        for draws in self._draw(len(members), seed):
            picked = [members[i] for i in draws]
            rows.append(np.concatenate(picked).astype(np.int32))
            number = np.repeat(np.arange(1, len(draws) + 1), [len(x) for x in picked])
            names = data[cluster].astype(str).to_numpy()[rows[-1]]
            labels.append(
                np.array([f"{a}#{b}" for a, b in zip(names, number, strict=True)], object)
            )
        return RowStore(own_copy(data), tuple(rows), cluster, tuple(labels))

    def __repr__(self) -> str:
        return f"BootstrapImputer(m={self.m}, cluster={self.cluster!r})"
