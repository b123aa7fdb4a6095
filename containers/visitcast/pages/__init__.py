"""Pages for people: one HTML file each, which needs no network and runs no script, and looks like the console.

``base.html.j2`` is the frame, ``charts.html.j2`` has the pictures, ``style.css`` the console's colours and components.
"""

from visitcast.pages.rendering import render
from visitcast.pages.scales import Scale

__all__ = ["Scale", "render"]
