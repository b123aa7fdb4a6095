"""``report.html``: the evaluation for people, one file that works offline and names no user.

``figures`` draws, ``examples`` picks the users to show, ``page`` fills the template.
"""

from visitcast.evaluation.report.page import Figures, draw, render

__all__ = ["Figures", "draw", "render"]
