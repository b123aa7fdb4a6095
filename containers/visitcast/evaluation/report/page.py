"""Fills the report's template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset
from visitcast.data.manifest import Manifest
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS
from visitcast.evaluation import wording
from visitcast.evaluation.comparison import COMPARED
from visitcast.evaluation.groups import USERS, WEEKDAYS
from visitcast.evaluation.report import examples, figures
from visitcast.evaluation.report.figures import Picture
from visitcast.forecasting.forecaster import Forecast
from visitcast.pages import render as render_page

FOLDER: Final = Path(__file__).parent
TEMPLATE: Final = "page.html.j2"
NOT_TABULATED: Final = ("learning_curve", "hyperparameters", "versions", "dataset", "validation_metrics", "cut_offs")
"""Parts of a model's metadata that the report shows elsewhere, or that are in the dataset's manifest."""
OFF_AT_ZERO: Final = ("max_seconds", "max_training_users", "fold", "folds")
"""Hyperparameters that mean "none" at 0, which a reader would take for a limit."""


@dataclass(frozen=True)
class Figures:
    """All pictures of the report.

    ``learning_curves`` is empty for a model that does not carry any; ``visits`` and ``sends`` are None if no test date
    is over; ``folds`` is None without cross-validation. ``week`` and ``hour_by_hour`` are heat maps.
    """

    hit_rates: Picture
    differences: Picture | None
    whole_differences: Picture | None
    visits: Picture | None
    sends: Picture | None
    recency: Picture
    capacity: Picture
    by_group: Picture | None
    first_hour_reliability: Picture
    best_hour_reliability: Picture
    hour_by_hour: Picture
    hour_profile: Picture
    week: dict[str, Picture]
    examples: list[Picture]
    folds: Picture | None
    learning_curves: dict[str, Picture]
    best_epoch: int


def draw(
    dataset: Dataset,
    parts: Split,
    forecast: Forecast,
    evaluation: Mapping[str, Any],
    metadata: Mapping[str, Any],
    seed: int,
) -> Figures:
    """Choose what the report's pictures show.

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
    day = weekday(dataset.visit_date[parts.test]).astype(np.int64)
    came = np.eye(HOURS)[hour]
    sent, curve = evaluation["as_sent"], metadata.get("learning_curve") or []
    return Figures(
        hit_rates=figures.hit_rates(sent),
        differences=figures.differences(sent["differences"], "log_loss"),
        whole_differences=figures.differences(
            {"as_sent": sent["whole_history_difference"], **evaluation["differences"]}, "log_loss"
        ),
        visits=_expected_and_realised(evaluation["visits"]),
        sends=_expected_and_realised(evaluation["sends"]),
        recency=figures.recency(evaluation["visits"]["by_recency"]),
        capacity=figures.capacity(evaluation["sends"]["capacity"]),
        by_group=figures.by_group(evaluation["groups"]),
        first_hour_reliability=figures.reliability(evaluation["reliability"]["first_visit_hour"]),
        best_hour_reliability=figures.reliability(evaluation["reliability"]["best_hour"]),
        hour_by_hour=figures.hour_by_hour(_means(forecast.first_visit_hour, hour, HOURS), came.mean(axis=0)),
        hour_profile=figures.hour_profile(forecast.first_visit_hour.mean(axis=0, dtype=np.float64), came.mean(axis=0)),
        week={
            "First visits that came": figures.week(_means(came, day, len(WEEKDAYS)), "First visits"),
            "Mean forecast": figures.week(_means(forecast.first_visit_hour, day, len(WEEKDAYS)), "Mean forecast"),
        },
        examples=[figures.example(one) for one in examples.choose(dataset, parts.test, forecast, seed)],
        folds=figures.folds(evaluation["cross_validation"]) if evaluation["cross_validation"] else None,
        learning_curves=figures.learning_curves(curve) if curve else {},
        best_epoch=figures.best_epoch(curve) if curve else 0,
    )


def _means(values: NDArray[Any], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Return the mean of the rows [rows, 24] of each group [groups, 24]; NaN for a group without rows."""
    sums = np.zeros((groups, HOURS))
    np.add.at(sums, group, values)
    with np.errstate(invalid="ignore"):
        return sums / np.bincount(group, minlength=groups)[:, None]


def _expected_and_realised(found: Mapping[str, Any]) -> Picture | None:
    return figures.expected_and_realised(found["tenths"]) if found["tenths"] else None


def render(evaluation: Mapping[str, Any], drawn: Figures, metadata: Mapping[str, Any], manifest: Manifest) -> str:
    """Write the page.

    Parameters
    ----------
    evaluation : mapping
        ``evaluation.json``.
    drawn : Figures
        Its pictures.
    metadata : mapping
        The model bundle's.
    manifest : Manifest
        The dataset's.
    """
    hyperparameters = metadata.get("hyperparameters", {})
    return render_page(
        FOLDER,
        TEMPLATE,
        evaluation=evaluation,
        figures=drawn,
        compared=COMPARED,
        metrics=wording.METRICS,
        names=wording.FORECASTERS,
        rates=wording.VISIT_RATES,
        orders=wording.ORDERS,
        groupings=wording.GROUPINGS,
        darkest=figures.darkest,
        weekdays=[name[:3] for name in WEEKDAYS],
        history_days=examples.HISTORY_DAYS,
        test_users=sum(group["users"] for group in evaluation["groups"][USERS]),
        filters={
            "plainly": wording.plainly,
            "figure": wording.figure,
            "signed": wording.signed,
            "spread": wording.spread,
            "ratio": wording.ratio,
        },
        metadata=metadata,
        hyperparameters={name: value for name, value in hyperparameters.items() if value or name not in OFF_AT_ZERO},
        about_model={name: value for name, value in metadata.items() if name not in NOT_TABULATED},
        manifest={**asdict(manifest), "shards": f"{len(manifest.shards)} files"},
    )
