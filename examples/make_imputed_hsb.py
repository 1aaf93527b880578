"""The data of ``hsb_models.toml``: imputed beforehand, all data sets in one file."""

from pathlib import Path

import rbridge_mi as rb

hsb = rb.load_hsb()
hsb["sector"] = hsb["schtype"].map({0: "public", 1: "catholic"}).astype("category")
holes = rb.ampute(hsb, prop=0.05, columns=["minority", "female", "ses"], seed=1)
imp = rb.AmeliaImputer(
    m=5, idvars=["schid", "meanses", "sector"], noms=["minority", "female"]
).impute(holes, seed=1)
imp.to_long(include=True).to_csv(Path(__file__).with_name("hsb_imputed.csv.gz"), index=False)
