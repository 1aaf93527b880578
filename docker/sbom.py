#!/usr/bin/env python3
"""The image's bill of materials, as CycloneDX.

It has R, its packages and all else from Debian, as dpkg lists them in the image, and the Python
packages of requirements.txt with their hashes.

    format=$(docker/sbom.py --format)
    docker run --rm --entrypoint dpkg-query rbridge-mi --show --showformat "$format" |
        docker/sbom.py bookworm >sbom.json

The same image gives the same bytes. It needs the dev dependency group, and no network.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parent
FORMAT = r"${Package} ${Version} ${Architecture} ${source:Package}\n"  # for dpkg-query


def debian(listed: str, suite: str) -> Iterator[Component]:
    """Make a component for each line of dpkg-query; advisories go by the source package."""
    for name, version, arch, source in (line.split() for line in listed.splitlines()):
        about = {"arch": arch, "distro": suite, "upstream": source}
        yield component(name, version, PackageURL("deb", "debian", name, version, about))


def python(locked: str, environment: dict[str, str]) -> Iterator[Component]:
    """Make a component for each locked requirement that this kind of machine has."""
    for block in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", locked)):
        if not block.strip():
            continue
        wanted, *hashes = re.split(r"\s*\\?\n?\s+--hash=sha256:", block.strip())
        found = Requirement(wanted)
        if found.marker is None or found.marker.evaluate(environment):
            (version,) = (x.version for x in found.specifier)
            made = component(found.name, version, PackageURL("pypi", None, found.name, version))
            made.hashes.update(HashType(alg=HashAlgorithm.SHA_256, content=x) for x in hashes)
            yield made


def component(name: str, version: str, purl: PackageURL) -> Component:
    """Make a component that is identified by its purl."""
    return Component(name=name, version=version, purl=purl, bom_ref=str(purl))


def bill(listed: str, suite: str) -> str:
    """Return the bill of materials of an image, from what dpkg lists in it."""
    source = (HERE.parent / "rbridge_mi" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'__version__ = "(.+)"', source)
    image = Component(
        name="rbridge-mi", version=f"{version}-{suite}", type=ComponentType.CONTAINER,
        bom_ref="image",
    )  # fmt: skip
    made = component("rbridge_mi", version, PackageURL("pypi", None, "rbridge-mi", version))
    minor = {"bookworm": "3.11", "trixie": "3.13"}[suite]
    linux = {"sys_platform": "linux", "implementation_name": "cpython", "python_version": minor}
    locked = (HERE / "requirements.txt").read_text("utf-8")
    parts = [made, *debian(listed, suite), *python(locked, linux)]
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, listed + locked))
    bom.metadata.component = image
    bom.metadata.timestamp = dt.datetime.fromtimestamp(0, dt.timezone.utc)  # the same bytes
    bom.register_dependency(image, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1)


if __name__ == "__main__":
    if sys.argv[1:] == ["--format"]:
        sys.stdout.write(FORMAT)
    elif sys.argv[1:] in (["bookworm"], ["trixie"]):
        sys.stdout.write(bill(sys.stdin.read(), sys.argv[1]) + "\n")
    else:
        sys.exit(__doc__)
