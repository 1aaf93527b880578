"""What merTools prints of generalised fits, line by line, and its tables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rbridge_mi as rb
from rbridge_mi.testing import run_r
from tests.inference.inference_data import imputed

pytestmark = pytest.mark.r

MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "logit": ("event ~ x1 + x2 + (1 | g)", {}, "family = binomial"),
    "slopes": ("event ~ x1 + (1 + x1 | g)", {}, "family = binomial"),
    "quadrature": ("event ~ x1 + (1 | g)", {"nAGQ": 5}, "family = binomial, nAGQ = 5"),
    "poisson": ("count ~ x1 + (1 | g)", {"family": "poisson"}, "family = poisson"),
}


@pytest.mark.parametrize("name", MODELS)
def test_printouts_and_tables(name: str) -> None:
    formula, arguments, in_r = MODELS[name]
    data = imputed(m=3).transform(
        lambda d: d.assign(
            event=(d["y"] > 1).astype("int64"), count=np.rint(np.exp(d["y"] / 2)).astype("int64")
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence
        mine = rb.Glmer(formula, **arguments).fit(data).mertools
    theirs = run_r(
        f"""
        library(merTools)
        fits <- glmerModList({formula}, frames, {in_r})
        shown <- function(...) {{
          tryCatch(capture.output(fastdisp(fits, ...)), error = conditionMessage)
        }}
        lines <- shown()
        detail <- shown(digits = 4, detail = TRUE)
        table <- summary(fits)
        report <- capture.output(print(table))
        fixed <- modelFixedEff(fits)
        random <- modelRandEffStats(fits)
        """,
        frames=list(data),
    )
    if name == "slopes":  # two SDs do not fill three rows
        assert list(theirs["lines"]) == ["number of items to replace is not a multiple of "
                                         "replacement length"]  # fmt: skip
        with pytest.raises(rb.PoolingError, match=r"2 standard deviations for 3 rows.*no residual"):
            mine.fastdisp()
    else:
        assert str(mine.fastdisp()).split("\n") == list(theirs["lines"])
        assert str(mine.fastdisp(digits=4, detail=True)).split("\n") == list(theirs["detail"])
    assert str(mine.summary()).split("\n") == list(theirs["report"])
    for frame, other in (
        (mine.model_fixed_eff(), theirs["fixed"]),
        (mine.model_rand_eff_stats(), theirs["random"]),
    ):
        for column in frame.columns:
            expected = other[column.replace("_", ".")]
            if frame[column].dtype.kind == "f":
                # The same bits: the same fits, and R's own order of sums.
                np.testing.assert_array_equal(frame[column], expected, err_msg=column)
            else:
                assert frame[column].tolist() == [str(x) for x in expected], column
