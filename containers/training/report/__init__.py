"""``report.html``: the evaluation for people, one file that needs no network and names no user.

``figures`` draws, ``examples`` picks the users to show, ``wording`` explains the metrics, ``page`` fills the template.
"""

from training.report.figures import Figure
from training.report.page import draw, render

__all__ = ["Figure", "draw", "render"]
