"""A console that shows what somebody else has written, such as a user's id or an error, and never lets it act."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from visitcast.events.unreadable import printable


class SafeConsole(Console):
    """Escapes what a terminal would obey in every text that is printed; colours and bars are rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of a text, a table or a bar."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
