"""The image's bill of materials: whole, valid, the same each time."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

DOCKER = Path(__file__).resolve().parents[2] / "docker"
SBOM: dict[str, Any] = runpy.run_path(str(DOCKER / "sbom.py"))


def pins(suite: str) -> dict[str, str]:
    text = (DOCKER / f"r-packages-{suite}.txt").read_text()
    return dict(re.findall(r"(?m)^([^\s=]+)=(\S+)", text))


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_it_names_every_package_and_is_valid(suite: str) -> None:
    listed = "".join(f"{x} {y} amd64 {x.removeprefix('r-cran-')}\n" for x, y in pins(suite).items())
    text = SBOM["bill"](listed, suite)
    assert text == SBOM["bill"](listed, suite)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = {x["purl"]: x for x in json.loads(text)["components"]}
    version = pins(suite)["r-cran-lme4"]
    assert f"pkg:deb/debian/r-cran-lme4@{version}?arch=amd64&distro={suite}&upstream=lme4" in found
    assert len([x for x in found if x.startswith("pkg:deb/")]) == len(pins(suite))
    locked = (DOCKER / "requirements.txt").read_text()
    python = {x["name"]: x for y, x in found.items() if y.startswith("pkg:pypi/")}
    windows = {"colorama"}
    assert set(python) == set(re.findall(r"(?m)^([a-z][\w-]*)==", locked)) - windows | {
        "rbridge_mi"
    }
    del python["rbridge_mi"]
    known = set(re.findall("[0-9a-f]{64}", locked))
    assert all({y["content"] for y in x["hashes"]} <= known for x in python.values())
    assert all(x["hashes"] for x in python.values())


def test_it_reads_what_dpkg_says() -> None:
    told = subprocess.run(
        ["dpkg-query", "--show", "--showformat", SBOM["FORMAT"], "r-base-core"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (found,) = SBOM["debian"](told, "bookworm")
    assert (found.name, found.purl.qualifiers["upstream"]) == ("r-base-core", "r-base")
