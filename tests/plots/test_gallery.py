"""The page of all plots: it is what its script writes, and shows every plot there is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import rbridge_mi as rb

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "examples" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(gallery: ModuleType) -> None:
    assert (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8") == gallery.page()


def test_every_plot_is_shown(gallery: ModuleType) -> None:
    text = gallery.page()
    shown = set(re.findall(r"\.plot\.(\w+)\(", text))
    assert set(rb.plot.__all__) - {"accessor", "data"} <= shown


def test_every_picture_is_there_and_no_other(gallery: ModuleType) -> None:
    names = {f"{name}.png" for _, scenes in gallery.SCENES for name, _, _ in scenes}
    assert {x.name for x in (ROOT / "docs" / "gallery").iterdir()} == names
    for name in names:
        start = (ROOT / "docs" / "gallery" / name).read_bytes()[:8]
        assert start == b"\x89PNG\r\n\x1a\n"
