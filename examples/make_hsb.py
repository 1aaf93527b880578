"""The data of ``hsb.toml``, made as a user would make them."""

from pathlib import Path

import rbridge_mi as rb

hsb = rb.load_hsb()
holes = rb.ampute(hsb, prop=0.05, columns=["minority", "female", "ses", "size"], seed=1)
for name in ("minority", "female", "size", "schtype"):
    holes[name] = holes[name].astype("Int64")  # R keeps them as doubles: 1.0, 0.0
holes.to_csv(Path(__file__).with_name("hsb.csv"), index=False)
