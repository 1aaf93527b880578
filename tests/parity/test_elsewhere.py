"""Imputations in other processes: the same cells as here, which other files compare with R's."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import rbridge_mi as rb
from rbridge_mi.imputers.engines import engine_named
from rbridge_mi.parity import CASES, ImputationCase, Suite

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

# One case of each family of methods and of arguments that reach other code of R's.
NAMES = (
    "mice/plain", "mice/logical", "mice/logreg_boot", "mice/polyreg", "mice/cart", "mice/rf",
    "mice/lda", "mice/passive", "mice/post", "mice/formulas", "mice/blocks", "mice/mnar",
    "mice/two_l_norm", "mice/two_l_pan", "mice/two_l_lmer", "mice/two_l_bin", "mice/level_2",
    "mice/level_2_mean", "mice/class_of_text", "jomo/mixed", "jomo/groups_slopes",
    "jomo/random_numbers", "jomo/two_levels", "jomo/lmer_slope", "jomo/glmer", "pan/random_slopes",
    "pan/type", "pan/jomo_category", "pan/jomo_two_levels",
)  # fmt: skip
HERE = [x for x in CASES if isinstance(x, ImputationCase) and x.name in NAMES]


def imputed(case: ImputationCase, suite: Suite, how: dict[str, Any], **more: Any) -> Any:
    frame = suite.data(case)
    arguments = {x.name: x.python(frame) for x in case.arguments}
    imputer = engine_named(case.family).imputer(2, **arguments, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return imputer.impute(frame, case.seed, **how)


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_the_same_cells_isolated_and_on_workers(suite: Suite, case: ImputationCase) -> None:
    assert not suite.missing_packages(case)
    assert imputed(case, suite, {}) == imputed(case, suite, {"isolate": True})
    alone = imputed(case, suite, {}, rng="streams")
    assert alone == imputed(case, suite, {"n_jobs": 2}, rng="streams")
    assert alone != imputed(case, suite, {})
