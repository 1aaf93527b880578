"""A page to try imputation from a multilevel model on the hsb data, or on a CSV file.

Run it in the checkout, after ``pip install "rbridge_mi[report]" "streamlit>=1.50"``::

    streamlit run examples/dashboard/app.py

Choose which columns get holes, look at the plan, and start: the holes are imputed from the model,
the model is fitted to each data set, and the fits are pooled. The report is one HTML file to keep.

What to copy from it: results are values, so that they stay in the session's state while the page
is drawn again; plots are drawn on figures of their own; and the library's errors are shown as they
are.
"""

from __future__ import annotations

import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from matplotlib.figure import Figure

import rbridge_mi as rb

HSB, FILE = "the hsb data", "a CSV file"
VIGNETTE = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"
MAX_ROWS = 50_000
SHOWN = ["term", "estimate", "std_error", "conf_low", "conf_high", "df", "p_value", "fmi"]
KEPT = "analysis"  # the last analysis, in the session's state


@st.cache_data
def hsb() -> pd.DataFrame:
    """Load the data once for all sessions; each gets a copy."""
    return rb.load_hsb()


def read(content: bytes) -> pd.DataFrame:
    """Read a CSV file of a size that suits a page."""
    frame = pd.read_csv(BytesIO(content), nrows=MAX_ROWS + 1)
    if len(frame) > MAX_ROWS:
        raise ValueError(f"the file has more than {MAX_ROWS} rows")
    return frame


def chosen_data() -> tuple[pd.DataFrame | None, str]:
    """Ask for the data and the model."""
    if st.radio("Data", [HSB, FILE], key="source") == HSB:
        frame = hsb()
        schools = frame["schid"].unique()
        count = st.slider("Schools", 10, len(schools), 40, key="schools")
        frame = frame[frame["schid"].isin(schools[:count])].reset_index(drop=True)
    else:
        uploaded = st.file_uploader("A CSV file; missing values are empty or NA", type="csv")
        try:
            frame = None if uploaded is None else read(uploaded.getvalue())
        except ValueError as error:  # pandas' own errors are such
            st.error(f"The file can't be read: {error}")
            frame = None
    return frame, st.text_input("Model, as lme4 writes it", VIGNETTE, key="formula")


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    """Ask which columns get holes, and make them."""
    usual = [x for x in ("minority", "female", "ses") if x in frame.columns]
    names = st.multiselect("Make holes in", list(frame.columns), usual, key="holed")
    percent = st.slider("Percent of each", 0, 50, 10, key="percent")
    return rb.ampute(frame, prop=percent / 100, columns=names, seed=1) if names else frame


def show_plan(holes: pd.DataFrame, model: rb.Lmer) -> bool:
    """Show how each column would be imputed; return whether it can be done."""
    plan = rb.imputation_plan(holes, model)
    st.subheader("The plan")
    in_model = plan.table[plan.table["role"] != "unused"]
    st.dataframe(in_model[["column", "role", "type", "level", "missing", "imputed_by"]])
    for text in plan.refused:
        st.error(text)
    return not plan.refused


def analyse(holes: pd.DataFrame, model: rb.Lmer, m: int, seed: int) -> dict[str, Any]:
    """Impute, fit and pool, and show how far it is."""
    start = time.monotonic()
    with st.status("Imputing", expanded=True) as status:
        bar = st.progress(0.0)

        def done(share: float, following: str) -> None:
            bar.progress(share)
            st.write(f"{time.monotonic() - start:.0f} s")
            status.update(label=following)

        imp = rb.impute(holes, model=model, m=m, seed=seed)
        done(0.6, f"Fitting {m} models")
        fits = model.fit(imp)
        done(0.9, "Fitting the complete rows, and pooling")
        listwise = model.fit(holes)
        pooled = fits.pool()
        done(1.0, "Done")
        status.update(state="complete", expanded=False)
    return {"imp": imp, "fits": fits, "listwise": listwise, "pooled": pooled}


def show_results(kept: dict[str, Any]) -> None:
    """Show the pooled table, and what the imputations look like."""
    pooled, imp, listwise = kept["pooled"], kept["imp"], kept["listwise"]
    for text in (*imp.notes, *pooled.advice):
        st.warning(text)
    columns = st.columns(3)
    columns[0].metric("Rows", pooled.nobs[0])
    columns[1].metric("Complete rows", listwise.nobs)
    columns[2].metric("Imputations", pooled.m)
    st.subheader("Coefficients, pooled by Rubin's rules")
    st.dataframe(pooled.fixed[SHOWN], key="fixed")
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    pooled.plot.forest(listwise=listwise, ax=figure.subplots())
    st.pyplot(figure)
    st.subheader("Random effects")
    st.dataframe(pooled.varcorr, key="varcorr")
    st.subheader("Imputed values")
    imputed = [str(x) for x in imp.saw]
    if imputed:
        name = st.selectbox("Column", imputed, key="column")
        figure = Figure(figsize=(7, 3), layout="constrained")
        imp.plot.density(name, ax=figure.subplots())
        st.pyplot(figure)


def show_report(kept: dict[str, Any]) -> None:
    """Write the report when it is asked for: that takes some seconds."""
    if st.button("Write the report", key="write"):
        with st.spinner("Writing"), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.html"
            kept["page"] = rb.report(kept["pooled"], path, listwise=kept["listwise"]).read_bytes()
    if "page" in kept:
        st.download_button("Download the report", kept["page"], "report.html", "text/html")


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="Holes in multilevel data")
    st.title("Holes in multilevel data")
    with st.sidebar:
        frame, formula = chosen_data()
        if frame is None:
            st.info("Choose a file.")
            return
        holes = with_holes(frame)
        m = int(st.number_input("Imputations", 2, 50, 5, key="m"))
        seed = int(st.number_input("Seed", 0, 2**31 - 1, 1, key="seed"))
        asked = st.button("Impute and fit", type="primary", key="run")
    model = rb.Lmer(formula)
    settings = (formula, m, seed)
    possible = show_plan(holes, model)
    if asked and possible:
        # The earlier results go first: were there an error, they would seem to be the new ones.
        st.session_state.pop(KEPT, None)
        st.session_state[KEPT] = {
            **analyse(holes, model, m, seed), "settings": settings, "holes": holes,
        }  # fmt: skip
    kept = st.session_state.get(KEPT)
    if kept is not None:
        if kept["settings"] != settings or not kept["holes"].equals(holes):
            st.info("The results below are those of the choices that were made before.")
        show_results(kept)
        show_report(kept)


try:
    main()
except rb.RBridgeError as error:
    st.error(str(error))
