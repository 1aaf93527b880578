"""R's answers: asked once, kept, and carried where there is no R."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import fields
from typing import Any

import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.fits.answers import TABLES, Answers
from rbridge_mi.rdoor import Reply

pytestmark = pytest.mark.r


class Counting:
    """An R object that counts what it is asked."""

    def __init__(self, r: Any) -> None:
        self.calls: list[Any] = []
        self._r = r

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((function, *args))
        return self._r.call(function, *args, **kwargs)


def test_what_was_asked_is_kept(fit: rb.MerMod) -> None:
    counting = Counting(fit.r)
    mine = rb.MerMod(Answers(counting), fit.index)
    assert mine.nobs == fit.nobs and mine.fixef().equals(fit.fixef())
    mine.vcov(), mine.varcorr(), mine.tidy(), mine.glance()
    assert counting.calls == [
        ("mermod_answers", ["mermod_core", "mermod_vcov", "mermod_varcorr"])
    ]  # they come together
    mine.ranef(), mine.coef(), mine.ranef(), mine.summary(), mine.summary()
    assert counting.calls[1:] == [
        ("mermod_answers", ["mermod_ranef", "mermod_coef"]), ("mermod_summary",),
    ]  # fmt: skip
    assert list(mine.answers.known()) == [
        "mermod_core", "mermod_vcov", "mermod_varcorr", "mermod_ranef", "mermod_coef",
        "mermod_summary",
    ]  # fmt: skip


def test_known_asks_nothing_and_all_asks_everything(fit: rb.MerMod) -> None:
    counting = Counting(fit.r)
    answers = Answers(counting)
    assert answers.known() == {} and not counting.calls
    assert set(answers.tables()) == set(TABLES)
    assert set(answers.all()) == {*TABLES, "mermod_print", "mermod_summary"}
    assert len(counting.calls) == 2
    answers.all()["mermod_core"] = None  # a dict of the caller's own
    assert answers["mermod_core"] is not None


def test_what_r_refuses_is_refused_in_its_own_words() -> None:
    class Refusing:
        def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
            if function != "mermod_answers":
                raise rb.RCallError("R: no")
            return Reply({}, (), (), "")  # what R refuses is left out

    with pytest.raises(rb.RCallError, match="R: no"):
        Answers(Refusing())["mermod_vcov"]


def test_a_copy_shares_the_answers_and_a_pickle_has_all(fit: rb.MerMod) -> None:
    assert copy.copy(fit).answers is fit.answers
    again = pickle.loads(pickle.dumps(fit))
    assert again == fit and str(again) == str(fit)
    assert set(again.answers.known()) >= {*TABLES, "mermod_print", "mermod_summary"}


def test_attributes_have_types_and_documentation() -> None:
    attributes = {k: x for base in rb.MerMod.__mro__ for k, x in vars(base).items()}
    names = [x for x, value in attributes.items() if isinstance(value, property)]
    assert {"formula", "sigma", "theta", "has_scale", "dropped", "r"} <= set(names)
    for name in names:
        prop = attributes[name]
        assert prop.fget.__annotations__.get("return"), name
        assert inspect.getdoc(prop), name
    assert [x.name for x in fields(rb.MerMod)] == ["answers", "index", "messages", "imputation"]


def test_a_fit_is_frozen(fit: rb.MerMod) -> None:
    with pytest.raises(AttributeError):
        fit.messages = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        fit.nobs = 3  # type: ignore[misc]
    assert isinstance(fit.theta, pd.Series)
