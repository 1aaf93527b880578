"""The data of the jobs here, from R's own data sets: the same bytes on every stack."""

from pathlib import Path

import numpy as np
import pandas as pd

import rbridge_mi as rb
from rbridge_mi import rdoor

HERE = Path(__file__).parent


def of_lme4(name: str) -> pd.DataFrame:
    return rdoor.call("base::getExportedValue", "lme4", name).value


def main() -> None:
    hsb = rb.load_hsb()
    holes = rb.ampute(hsb, prop=0.05, columns=["minority", "female", "ses", "size"], seed=1)
    holes.to_csv(HERE / "hsb.csv", index=False)

    sleep = of_lme4("sleepstudy")
    sleep["Fitness"] = sleep["Days"] / 3 + np.tile([1.0, -1.0, 0.5, 2.0, -0.25], 36)
    sleep.to_csv(HERE / "sleep.csv", index=False)
    rb.ampute(sleep, prop=0.1, columns=["Days", "Fitness"], seed=2).to_csv(
        HERE / "sleep_holes.csv", index=False
    )

    of_lme4("Penicillin").to_csv(HERE / "penicillin.csv", index=False)


if __name__ == "__main__":
    main()
