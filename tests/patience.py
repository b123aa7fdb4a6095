"""How long tests wait: every time limit of a test is multiplied by ``VISITCAST_TEST_PATIENCE`` (1 unless set).

No test measures time. A limit only ends a wait for something that does not happen, so a slow or busy machine needs a
larger factor and nothing else.
"""

from __future__ import annotations

import os

VARIABLE = "VISITCAST_TEST_PATIENCE"
FACTOR = float(os.environ.get(VARIABLE, "1"))


def patient(seconds: float) -> float:
    """Return a time limit, in seconds, for this machine."""
    return seconds * FACTOR
