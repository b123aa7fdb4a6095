"""Fills the report's template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

from visitcast.data.dataset import Dataset
from visitcast.data.manifest import Manifest
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS
from visitcast.evaluation import wording
from visitcast.evaluation.comparison import COMPARED
from visitcast.evaluation.report import examples, figures
from visitcast.evaluation.report.figures import Figure
from visitcast.forecasting.forecaster import Forecast

FOLDER: Final = Path(__file__).parent
TEMPLATE: Final = "page.html.j2"
STYLESHEET: Final = "style.css"
NOT_TABULATED: Final = ("learning_curve", "hyperparameters", "versions", "dataset", "validation_metrics", "cut_offs")
"""Parts of a model's metadata that the report shows elsewhere, or that are in the dataset's manifest."""


@dataclass(frozen=True)
class Figures:
    """All figures of the report.

    ``learning_curve`` is None for a model that does not carry one; ``visits`` and ``sends`` are None if no test date is
    over.
    """

    visits: Figure | None
    sends: Figure | None
    first_hour_reliability: Figure
    best_hour_reliability: Figure
    heat_map: Figure
    hour_profile: Figure
    examples: list[Figure]
    learning_curve: Figure | None


def draw(
    dataset: Dataset,
    parts: Split,
    forecast: Forecast,
    evaluation: Mapping[str, Any],
    metadata: Mapping[str, Any],
    seed: int,
) -> Figures:
    """Draw what the report shows.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    parts : Split
        Split whose test rows were forecast.
    forecast : Forecast
        The model's.
    evaluation : mapping
        ``evaluation.json``.
    metadata : mapping
        The model bundle's.
    seed : int
        Chooses the example users.
    """
    hour = dataset.first_visit_hour[parts.test].astype(np.int64)
    rows = np.bincount(hour, minlength=HOURS)
    by_hour = np.zeros((HOURS, HOURS))
    np.add.at(by_hour, hour, forecast.first_visit_hour)
    with np.errstate(invalid="ignore"):
        mean_by_hour = by_hour / rows[:, None]
    curve = metadata.get("learning_curve")
    return Figures(
        visits=_expected_and_realised(evaluation["visits"], "Users who come on a date"),
        sends=_expected_and_realised(evaluation["sends"], "Visits in the hour of the send"),
        first_hour_reliability=figures.reliability(
            evaluation["reliability"]["first_visit_hour"],
            "The likeliest hour of the first visit: on the dashed line its chance is what happens.",
        ),
        best_hour_reliability=figures.reliability(
            evaluation["reliability"]["best_hour"],
            "A visit in the best hour, which is the chance that the endpoint returns as its confidence.",
        ),
        heat_map=figures.heat_map(mean_by_hour, rows / len(hour)),
        hour_profile=figures.hour_profile(by_hour.sum(axis=0) / len(hour), rows / len(hour)),
        examples=[figures.example(one) for one in examples.choose(dataset, parts.test, forecast, seed)],
        learning_curve=figures.learning_curve(curve) if curve else None,
    )


def _expected_and_realised(found: Mapping[str, Any], of_what: str) -> Figure | None:
    return figures.expected_and_realised(found["tenths"], of_what) if found["tenths"] else None


def render(evaluation: Mapping[str, Any], drawn: Figures, metadata: Mapping[str, Any], manifest: Manifest) -> str:
    """Write the page.

    Parameters
    ----------
    evaluation : mapping
        ``evaluation.json``.
    drawn : Figures
        Its figures.
    metadata : mapping
        The model bundle's.
    manifest : Manifest
        The dataset's.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": wording.figure,
        "signed": wording.signed,
        "spread": wording.spread,
        "ratio": wording.ratio,
    }
    return environment.get_template(TEMPLATE).render(
        evaluation=evaluation,
        figures=drawn,
        compared=COMPARED,
        metrics=wording.METRICS,
        names=wording.FORECASTERS,
        rates=wording.VISIT_RATES,
        orders=wording.ORDERS,
        groupings=wording.GROUPINGS,
        metadata=metadata,
        about_model={name: value for name, value in metadata.items() if name not in NOT_TABULATED},
        manifest={**asdict(manifest), "shards": f"{len(manifest.shards)} files"},
        style=(FOLDER / STYLESHEET).read_text(encoding="utf-8"),
    )
