"""The report: whole, self-contained, accessible, and safe against names that are HTML."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from made_visits import AS_OF, made_dataset

from visitcast.data import schema
from visitcast.data.dataset import hour_flags, user_of_row
from visitcast.data.manifest import Counts, CutOffs, Manifest
from visitcast.data.protocol import split
from visitcast.evaluation import as_sent, gate, report, wording
from visitcast.evaluation import job as evaluate
from visitcast.evaluation.assessment import Contest, Precedent, Rival, assess
from visitcast.evaluation.groups import group_rows
from visitcast.evaluation.report import examples
from visitcast.evaluation.user_dates import UserDates
from visitcast.features.histograms import decayed_histograms
from visitcast.forecasting.forecaster import Forecast
from visitcast.metrics import METRICS, select, summarise
from visitcast.model.baselines import ARTICLE_GRU, BASELINES, GLOBAL_HISTOGRAM, TUNED_HISTOGRAM, baseline_outcomes
from visitcast.training import folds

HOSTILE = """<script src="https://evil.example/x.js"></script>'"&"""
SECTIONS = [
    "verdict",
    "as-sent",
    "sends",
    "visits",
    "hours",
    "calibration",
    "groups",
    "whole-history",
    "cross-validation",
    "training",
    "examples",
    "provenance",
]
DATASET = made_dataset(users=60, mean_days=40, seed=2)
PARTS = split(DATASET)
METADATA = {
    "hyperparameters": {"epochs": 2, "note": HOSTILE},
    "versions": {"numpy": "2.4.6"},
    "learning_curve": [
        {"epoch": 1, "train_loss": 3.5, "validation_log_loss": 2.9},
        {"epoch": 2, "train_loss": 3.2, "validation_log_loss": 2.8},
    ],
    "trained_at": "2026-11-23T12:00:00+00:00",
}


def manifest() -> Manifest:
    return Manifest(
        created_at=AS_OF.isoformat(),
        as_of=AS_OF.isoformat(),
        columns=["user_id"],
        feature_names=[HOSTILE],
        shards=[],
        counts=Counts(DATASET.users, DATASET.visit_days, len(PARTS.train), len(PARTS.validation), len(PARTS.test)),
        cut_offs=CutOffs("2026-01-01", "2026-02-01"),
        versions={"python": HOSTILE},
    )


def made_forecast() -> Forecast:
    rng = np.random.default_rng(0)
    first = rng.dirichlet(np.ones(24), size=len(PARTS.test)).astype(np.float32)
    rows = len(PARTS.test)
    return Forecast(first, np.minimum(2 * first, 1), np.full(rows, schema.MODEL), np.full(rows, 0.5, dtype=np.float32))


def made_user_dates() -> UserDates:
    """Thirty users on forty dates, who come as often as forecast."""
    rng = np.random.default_rng(1)
    user, date = (side.ravel() for side in np.meshgrid(np.arange(30), 20_000 + np.arange(40)))
    probability, hour_chance = rng.uniform(0.01, 0.9, len(user)), rng.uniform(0.1, 0.5, len(user))
    came = rng.random(len(user)) < probability
    return UserDates(
        user=user,
        date=date,
        weight=np.ones(len(user)),
        visit_days=rng.integers(1, 50, len(user)),
        absent_days=rng.geometric(0.1, len(user)),
        probability=probability,
        hour_chance=hour_chance,
        rates={name: np.full(len(user), 0.4) for name in wording.VISIT_RATES},
        came=came,
        visited=came & (rng.random(len(user)) < hour_chance),
    )


FORECAST = made_forecast()


def made_evaluation(with_production: bool = True) -> dict[str, Any]:
    """Everything as the job does it, but for the network and the article's model."""
    model = as_sent.forecast_outcomes(FORECAST, DATASET, PARTS.test)
    baselines = baseline_outcomes(DATASET, PARTS, decayed_histograms(DATASET))
    baselines[ARTICLE_GRU] = baselines[GLOBAL_HISTOGRAM]
    contest = Contest(user_of_row(DATASET)[PARTS.test], model, FORECAST.confidence, baselines)
    fold = folds.describe(
        1, 2, split(DATASET, 1, 2), summarise(model), {"last_hour": summarise(baselines["last_hour"])}
    )
    precedent = Precedent()
    if with_production:
        rows = np.arange(len(PARTS.test)) % 3 > 0
        precedent = Precedent(Rival(rows, select(model, rows)), cross_validation=folds.aggregate([fold, fold]))
    groupings = group_rows(DATASET, PARTS)
    assessment = assess(
        contest, contest, model, made_user_dates(), groupings, precedent, gate.Limits(must_beat=(TUNED_HISTOGRAM,))
    )
    if with_production:
        assessment["production"]["model_version"] = HOSTILE
    assessment["groups"]["platform"][0]["name"] = HOSTILE
    return {"data": evaluate.describe(manifest()), **assessment}


def draw(evaluation: dict[str, Any], metadata: dict[str, Any]) -> report.Figures:
    return report.draw(DATASET, PARTS, FORECAST, evaluation, metadata, seed=3)


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that tags are closed in order."""

    VOID = frozenset(["meta", "img", "br", "link", "input"])

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


EVALUATION = made_evaluation()
FIGURES = draw(EVALUATION, METADATA)
TEXT = report.render(EVALUATION, FIGURES, METADATA, manifest())
PAGE = Page(TEXT)


def test_the_page_is_well_formed_with_every_section_and_a_link_to_it() -> None:
    assert PAGE.open == []
    assert [section["id"] for section in PAGE.all("section") if "id" in section] == SECTIONS
    links = [link["href"] for link in PAGE.all("a")]
    assert links[: len(SECTIONS) + 1] == ["#main", *(f"#{section}" for section in SECTIONS)]


def test_nothing_is_fetched() -> None:
    for _, attributes in PAGE.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert {tag for tag, _ in PAGE.tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert {tag for tag, _ in PAGE.tags}.isdisjoint({"img", "form"})
    style = TEXT[TEXT.index("<style>") + len("<style>") : TEXT.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert PAGE.all("meta")[1]["content"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not [attributes for _, attributes in PAGE.tags if "style" in attributes]


def test_hostile_names_are_text() -> None:
    assert PAGE.text.count(HOSTILE) >= 5  # group, endpoint configuration, hyperparameter, feature, version
    # Names of groups are in the texts that stand for pictures too, and nowhere else within a tag.
    assert {name for _, tag in PAGE.tags for name, value in tag.items() if "evil.example" in str(value)} == {
        "aria-label"
    }


def test_every_picture_and_table_says_what_it_shows() -> None:
    pictures = [one for one in PAGE.all("svg") if one.get("role") == "img"]
    assert len(pictures) == 17 + examples.COUNT
    for picture in pictures:
        assert len(picture["aria-label"] or "") > 40
    assert len(PAGE.all("caption")) == len(PAGE.all("table"))
    assert all(head.get("scope") in ("row", "col", "colgroup") for head in PAGE.all("th"))
    assert PAGE.all("html")[0]["lang"] == "en"


def test_every_picture_is_a_whole_drawing_with_numbers_only() -> None:
    for text in re.findall(r"<svg.*?</svg>", TEXT, re.DOTALL):
        drawing = ElementTree.fromstring(text)
        places = [
            one.get(name) for one in drawing.iter() for name in ("x", "y", "width", "height", "cx", "cy", "r", "d")
        ]
        assert not re.search("nan|inf|None", " ".join(filter(None, places)))


def test_every_metric_is_explained_and_every_figure_printed() -> None:
    assert tuple(wording.METRICS) == METRICS
    for name, metric in wording.METRICS.items():
        assert metric.meaning in PAGE.text
        assert wording.figure(EVALUATION["model"][name], metric.unit) in PAGE.text
        assert wording.figure(EVALUATION["as_sent"][name], metric.unit) in PAGE.text
    for name in BASELINES:
        assert wording.FORECASTERS[name][0] in PAGE.text
    for reason in EVALUATION["gate"]["reasons"]:
        assert wording.plainly(reason) in PAGE.text


def test_no_user_is_named() -> None:
    assert not [user for user in DATASET.user_ids.tolist() if user in TEXT]
    assert [f"Example {number}:" in TEXT for number in range(1, examples.COUNT + 1)] == [True] * examples.COUNT


def test_the_same_evaluation_gives_the_same_page() -> None:
    assert report.render(EVALUATION, draw(EVALUATION, METADATA), METADATA, manifest()) == TEXT


def test_a_model_without_a_learning_curve_gets_no_figure_of_it() -> None:
    assert FIGURES.best_epoch == 2
    forecast = Forecast(*(getattr(FORECAST, field.name)[:1] for field in fields(Forecast)))
    one_row = replace(PARTS, test=PARTS.test[:1])
    drawn = report.draw(DATASET, one_row, forecast, EVALUATION, {}, seed=3)
    assert drawn.learning_curves == {}
    assert len(drawn.examples) == 1
    report.render(EVALUATION, drawn, {}, manifest())


def test_what_is_not_there_is_said() -> None:
    without_curve = replace(FIGURES, learning_curves={}, visits=None, sends=None)
    page = Page(report.render(made_evaluation(with_production=False), without_curve, {}, manifest()))
    assert "There is no comparison with a model in production" in page.text
    assert "This run has no folds" in page.text
    assert "There is no test date that is over" in page.text
    assert "The model has no learning curve" in page.text


def test_examples_are_different_users_with_their_own_history() -> None:
    chosen = examples.choose(DATASET, PARTS.test, FORECAST, seed=3)
    assert [one.number for one in chosen] == list(range(1, examples.COUNT + 1))
    users = set()
    for one in chosen:
        (place,) = np.flatnonzero((FORECAST.first_visit_hour == one.first_visit_hour).all(axis=1))
        row = PARTS.test[place]
        user = user_of_row(DATASET)[row]
        users.add(user)
        assert one.earlier_days == row - DATASET.offsets[user]
        before = hour_flags(DATASET.hourly_visits[max(DATASET.offsets[user], row - examples.HISTORY_DAYS) : row])
        assert one.history.tolist() == before.astype(bool).tolist()
        assert np.flatnonzero(one.visited)[0] == DATASET.first_visit_hour[row]
    assert len(users) == examples.COUNT


@pytest.mark.parametrize(("better", "word"), [(-0.1, "better"), (0.1, "worse")])
def test_a_clear_difference_is_said_in_words(better: float, word: str) -> None:
    evaluation = copy.deepcopy(EVALUATION)
    clear = {"mean": better, "low": better - 0.05, "high": better + 0.05}
    evaluation["as_sent"]["differences"][TUNED_HISTOGRAM]["log_loss"] = clear
    text = report.render(evaluation, FIGURES, METADATA, manifest())
    assert re.search(rf'class="number {word}">{wording.signed(better, "nats").replace("+", "[+]")} {word}<', text)
