"""The pictures of docs/lift.md are drawn from the worlds."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from lift_pictures import draw

ROOT = Path(__file__).parents[2]


def test_both_pictures_are_drawn_and_the_page_shows_them(tmp_path: Path) -> None:
    draw(tmp_path, users=4000, looked_at_users=3000)
    page = (ROOT / "docs/lift.md").read_text(encoding="utf-8")
    drawn = sorted(tmp_path.iterdir())
    assert [file.name for file in drawn] == ["hits-and-lift.svg", "looks.svg"]
    for file in drawn:
        assert ET.parse(file).getroot().tag.endswith("svg")
        assert f"(images/{file.name})" in page
        assert (ROOT / "docs/images" / file.name).exists()


def test_the_same_picture_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name, users=3000, looked_at_users=3000)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
