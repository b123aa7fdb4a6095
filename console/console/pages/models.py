"""*Model*: the versions of the registry side by side, and the decisions about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.data import models
from console.pages.rendering import page, read_form, stack_of

METRICS = (
    ("log_loss", "Log loss, nats", 3, "lower"),
    ("best_hour_hit_rate", "Best hour hit", 3, "higher"),
    ("top1", "First hour exact", 3, "higher"),
    ("within_one_hour", "Within one hour", 3, "higher"),
    ("circular_mae_hours", "Circular MAE, h", 2, "lower"),
    ("mae_hours", "MAE, h", 2, "lower"),
    ("rmse_hours", "RMSE, h", 2, "lower"),
    ("ece", "Calibration error", 3, "lower"),
)
"""Metrics as sent: key in evaluation.json, heading, digits, which is better."""


def index(request: Request) -> Response:
    """Show the versions."""
    stack = stack_of(request)
    found = models.versions(stack)
    judged = next((one for one in found if one.in_production), found[0] if found else None)
    return page(
        request,
        "model",
        stack=stack,
        versions=found,
        rows=rows(found),
        judged=judged,
        baselines=beside_baselines(judged) if judged is not None else {},
        metrics=METRICS,
    )


def beside_baselines(version: models.Version) -> dict[str, Mapping[str, Any]]:
    """Return the metrics as sent of a version and of the baselines; empty without an evaluation."""
    as_sent = version.evaluation.get("as_sent")
    return {"model": as_sent, **as_sent.get("baselines", {})} if as_sent else {}


def rows(versions: list[models.Version]) -> list[dict[str, Any]]:
    """Return the metrics as sent, a row each: value and interval of each version, and which one is best."""
    table = []
    for key, title, digits, better in METRICS:
        cells = [cell(version.evaluation.get("as_sent", {}), key) for version in versions]
        values = [one["value"] for one in cells if one["value"] is not None]
        best = (min(values) if better == "lower" else max(values)) if len(values) > 1 else None
        table.append({"title": title, "digits": digits, "better": better, "best": best, "cells": cells})
    return table


def cell(metrics: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a metric and its interval; None where the evaluation does not have them."""
    interval = metrics.get("intervals", {}).get(key) or {}
    return {"value": metrics.get(key), "low": interval.get("low"), "high": interval.get("high")}


async def decide(request: Request) -> Response:
    """Approve or reject a version, or roll back to it."""
    number, decision = request.path_params["number"], request.path_params["decision"]
    given = await read_form(request)
    reason = (given.get("reason") or [""])[0].strip()[:512] or "Decided in the console."

    def work() -> Response:
        stack = stack_of(request)
        if decision == "roll-back":
            name = models.roll_back(stack, number)
            return RedirectResponse(f"/runs/train/{quote(name, safe='')}", 303)
        status = {"approve": models.APPROVED, "reject": models.REJECTED}.get(decision)
        if status is None:
            raise HTTPException(404, "There is no such decision.")
        models.decide(stack, number, status, reason)
        return RedirectResponse("/model", 303)

    return await run_in_threadpool(work)
