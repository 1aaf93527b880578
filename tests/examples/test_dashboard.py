"""The example of a dashboard: it shows the library's numbers, and errors as they are."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import rbridge_mi as rb

pytestmark = [
    pytest.mark.r,
    pytest.mark.slow,
    # The page shows what the imputer has to say of few schools.
    pytest.mark.filterwarnings("ignore::rbridge_mi.errors.RBridgeWarning"),
]

APP = Path(__file__).resolve().parents[2] / "examples" / "dashboard" / "app.py"
FORMULA = "mathach ~ ses + (1 | schid)"
SHOWN = ["term", "estimate", "std_error", "conf_low", "conf_high", "df", "p_value", "fmi"]


def page(source: str = "the hsb data") -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=300)
    app.session_state["source"] = source
    app.run()
    assert not app.exception
    return app


def uploaded(content: bytes, formula: str = FORMULA) -> AppTest:
    """The page with a file, no column of which gets more holes."""
    app = page("a CSV file")
    assert app.info[0].value == "Choose a file."
    app.file_uploader[0].upload("some.csv", content, "text/csv")
    app.text_input(key="formula").set_value(formula).run()
    if not app.error:
        app.multiselect(key="holed").set_value([]).run()
    assert not app.exception
    return app


@pytest.fixture(scope="module")
def some(hsb: pd.DataFrame) -> pd.DataFrame:
    return hsb[hsb["schid"].isin(hsb["schid"].unique()[:12])].reset_index(drop=True)


def same(shown: pd.DataFrame, table: pd.DataFrame) -> None:
    """What the browser is sent, to the last bit."""
    pd.testing.assert_frame_equal(
        shown.reset_index(drop=True), table, check_exact=True, check_dtype=False
    )


def test_the_hsb_data_from_holes_to_report(some: pd.DataFrame, tmp_path: Path) -> None:
    app = page()
    [plan] = [x.value for x in app.dataframe]
    assert plan["column"].tolist() == ["schid", "minority", "female", "ses", "mathach", "meanses"]
    app.slider(key="schools").set_value(12)
    app.text_input(key="formula").set_value(FORMULA)
    app.multiselect(key="holed").set_value(["ses", "mathach"])
    app.slider(key="percent").set_value(20)
    app.number_input(key="m").set_value(3)
    app.number_input(key="seed").set_value(9)
    app.button(key="run").click().run()
    assert not app.exception
    assert not app.error

    holes = rb.ampute(some, prop=0.2, columns=["ses", "mathach"], seed=1)
    model = rb.Lmer(FORMULA)
    imp = rb.impute(holes, model=model, m=3, seed=9)
    pooled, listwise = model.fit(imp).pool(), model.fit(holes)
    _, fixed, varcorr = [x.value for x in app.dataframe]
    same(fixed, pooled.fixed[SHOWN])
    same(varcorr, pooled.varcorr)
    numbers = {x.label: x.value for x in app.metric}
    assert numbers == {
        "Rows": str(len(some)), "Complete rows": str(listwise.nobs), "Imputations": "3",
    }  # fmt: skip
    assert [x.value for x in app.warning] == [*imp.notes, *pooled.advice]
    assert (app.status[0].label, app.status[0].state) == ("Done", "complete")
    assert len(pictures(app)) == 2

    # Another column is drawn without anything being computed again.
    kept = app.session_state["analysis"]["pooled"]
    assert app.selectbox(key="column").options == ["ses", "mathach"]
    before = pictures(app)
    app.selectbox(key="column").set_value("mathach").run()
    assert app.session_state["analysis"]["pooled"] is kept
    after = pictures(app)
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert not app.info

    app.button(key="write").click().run()
    assert not app.exception
    expected = rb.report(pooled, tmp_path / "report.html", listwise=listwise).read_bytes()
    assert app.session_state["analysis"]["page"] == expected
    assert [x.label for x in app.download_button] == ["Download the report"]

    app.number_input(key="seed").set_value(10).run()
    assert "choices that were made before" in app.info[0].value
    same(app.dataframe[1].value, pooled.fixed[SHOWN])


def pictures(app: AppTest) -> list[str]:
    """Addresses by content: another picture has another one."""
    return [url for x in app.image for url in x.value]


def test_a_file_with_holes_of_its_own(some: pd.DataFrame) -> None:
    holes = rb.ampute(some, prop=0.1, columns=["ses", "female"], seed=3)
    content = holes.to_csv(index=False).encode()
    formula = "mathach ~ ses + female + (1 | schid)"
    app = uploaded(content, formula)
    app.number_input(key="m").set_value(2)
    app.button(key="run").click().run()
    assert not app.exception
    assert not app.error
    read = pd.read_csv(BytesIO(content))  # schools are numbers here
    model = rb.Lmer(formula)
    pooled = model.fit(rb.impute(read, model=model, m=2, seed=1)).pool()
    same(app.dataframe[1].value, pooled.fixed[SHOWN])


@pytest.mark.parametrize(
    ("content", "formula", "text"),
    [
        (b"", FORMULA, "can't be read: No columns to parse"),
        (b'a,b\n"x', FORMULA, "can't be read"),
        (b"a\n\xff\xfe\n", FORMULA, "can't be read"),
        (b"a\n" + b"1\n" * 50_001, FORMULA, "more than 50000 rows"),
        (b"a,b\n1,2\n3,\n", FORMULA, "mathach"),
        (b"y,x,g\n1,2,a\n3,,b\n", "y ~ x +", "unexpected end of input"),
        (b"y,x,g\n1,2,a\n3,,b\n", "y ~ system('true') + (1 | g)", "system"),
    ],
)
def test_what_is_wrong_is_shown(content: bytes, formula: str, text: str) -> None:
    app = uploaded(content, formula)
    assert len(app.error) == 1
    assert text in app.error[0].value


def test_data_that_cant_be_imputed_are_refused_by_the_plan() -> None:
    app = uploaded(b"y,x,g\n1,,a\n3,,a\n2,,b\n4,,b\n", "y ~ x + (1 | g)")
    assert any("x" in x.value for x in app.error)
    app.button(key="run").click().run()
    assert not app.exception
    assert "analysis" not in app.session_state
