"""Fill the template of a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from visitcast.pages.scales import Scale

_FOLDER: Final = Path(__file__).parent


def render(folder: Path, template: str, filters: Mapping[str, Callable[..., str]] | None = None, **values: Any) -> str:
    """Return a page.

    Its content security policy allows nothing but its own style sheet, which it names by its hash: no script, no
    request, and no style that came with a text from elsewhere.

    Parameters
    ----------
    folder : Path
        Holds the template, which extends ``base.html.j2``.
    template : str
        Its name.
    filters : mapping, optional
        What the template knows beside ``percent``, ``number`` and ``count``.
    **values
        What the template shows; all texts are escaped.
    """
    import jinja2  # some commands of the package run where it is not installed

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count, **(filters or {})}
    environment.globals |= {"Scale": Scale}
    style = (_FOLDER / "style.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(style=style, style_hash=f"sha256-{digest}", **values)


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share; a dash if it is not known.

    >>> percent(0.1234), percent(0.5, 0), percent(None)
    ('12.3%', '50%', '–')
    """
    return "–" if value is None else f"{value:.{digits}%}"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number; a dash if it is not known.

    >>> number(-1234.5, 1), number(None)
    ('−1,234.5', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: float) -> str:
    """Write a number of things.

    >>> count(1234.4)
    '1,234'
    """
    return f"{value:,.0f}"
