"""The pages that are files look like the console: neither distribution may import the other, so this compares them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import charts
from visitcast import pages

ROOT = Path(__file__).parents[2]
CONSOLE = (ROOT / "console/console/static/console.css").read_text(encoding="utf-8")
STYLE = (ROOT / "containers/visitcast/pages/style.css").read_text(encoding="utf-8")
SHARED, _, OWN = STYLE.partition("/* --- a page's own */")


def rules(text: str) -> list[str]:
    """Return the rules of a style sheet without those of its media queries."""
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", plain)
    return [" ".join(rule.split()) for rule in re.findall(r"[^{}]+\{[^{}]*\}", plain)]


def test_every_shared_rule_is_the_consoles() -> None:
    assert len(rules(SHARED)) > 50
    assert OWN
    assert [rule for rule in rules(SHARED) if rule not in rules(CONSOLE)] == []


def test_every_colour_is_a_token_of_the_consoles() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used <= set(re.findall(r"--([\w-]+):", SHARED))
    assert not re.search(r"#[0-9a-f]{3,6}\b", OWN)


@given(low=st.floats(-10, 10), span=st.floats(0.01, 100), about=st.integers(2, 8), value=st.floats(-10, 100))
def test_axes_are_the_consoles(low: float, span: float, about: int, value: float) -> None:
    ends = (low, low + span, 0.0, 400.0)
    ours, theirs = pages.Scale(*ends), charts.Scale(*ends)
    assert ours.ticks(about) == theirs.ticks(about)
    assert ours(value) == theirs(value)


@pytest.mark.parametrize("template", ["containers/visitcast/evaluation/report", "containers/visitcast/events"])
def test_no_template_has_a_style_or_a_script_of_its_own(template: str) -> None:
    for file in (ROOT / template).glob("*.j2"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<style|<script|\sstyle=|\son[a-z]+=", text), file
        assert "| safe" not in text, file
