"""What a plan would be with other rules: the plan of the same users, forecasts and pushes, made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from visitcast.sending.plan_inputs import PlanInputs, planned, sums
from visitcast.sending.settings import campaign_of

SAMPLE_USERS: Final = 500
"""Users whose best hours set the prices of full hours; a plan's job takes more and lasts longer."""


def what_if(inputs: PlanInputs, campaign: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the sends for a campaign and sum them up; nothing is written.

    Parameters
    ----------
    inputs : PlanInputs
        Of the run.
    campaign : mapping
        As ``campaign.json`` of the run, with other rules.

    Returns
    -------
    dict
        As a plan's report has it under ``sends``.

    Raises
    ------
    InputError
        The campaign lacks a rule, or a rule is of another type.
    """
    return sums(planned(inputs, campaign_of(campaign), SAMPLE_USERS), inputs.closed)
