"""Forecast at which hour every user of an app will visit.

The public functions are imported here when they are first used; docs/python.md describes them. The images run the same
functions.

Data flow one way: ``data`` (visits, dataset) -> ``features`` -> ``model`` -> ``forecasting`` -> ``training`` ->
``evaluation`` | ``sending`` | ``serving``. ``errors``, ``metrics``, ``paths`` and ``contract`` may be used by all.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# Since 1.29 ONNX Runtime reports models and machines to its maker, from a thread that a forked process would not have
# (Privacy.md in its wheel). It reads this when it is first imported, which no module does before this one.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from visitcast.data.visits import read_visits
    from visitcast.errors import InputError
    from visitcast.evaluation.evaluate import evaluate
    from visitcast.forecasting.frame import forecast
    from visitcast.model.archive import load, save
    from visitcast.training.fitting import fit

__all__ = ["InputError", "evaluate", "fit", "forecast", "load", "read_visits", "save"]

_MODULES: Final = {
    "InputError": "visitcast.errors",
    "evaluate": "visitcast.evaluation.evaluate",
    "fit": "visitcast.training.fitting",
    "forecast": "visitcast.forecasting.frame",
    "load": "visitcast.model.archive",
    "read_visits": "visitcast.data.visits",
    "save": "visitcast.model.archive",
}


def __getattr__(name: str) -> Any:
    # Imported late: an image holds the libraries of its own commands only, and TensorFlow takes seconds to load.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
