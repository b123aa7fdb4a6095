"""Random values from the ranges of a tuning job."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.sagemaker.exceptions import ValidationError

from localaws.sagemaker.parameter_ranges import draw, names


def seeded(seed: int) -> random.Random:
    return random.Random(seed)


def one(kind: str, low: object, high: object, scaling: str = "Auto") -> dict[str, Any]:
    return {
        f"{kind}ParameterRanges": [{"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scaling}]
    }


@given(
    low=st.floats(0, 0.9),
    width=st.floats(0, 0.09),
    seed=st.integers(0, 99),
    scaling=st.sampled_from(["Auto", "Linear"]),
)
def test_continuous_values_lie_in_their_range(low: float, width: float, seed: int, scaling: str) -> None:
    value = float(draw(one("Continuous", low, low + width, scaling), seeded(seed))["x"])
    assert low <= value <= low + width


@given(low=st.integers(-1000, 1000), width=st.integers(0, 1000), seed=st.integers(0, 99))
def test_integers_are_whole_and_lie_in_their_range(low: int, width: int, seed: int) -> None:
    text = draw(one("Integer", low, low + width), seeded(seed))["x"]
    assert str(int(text)) == text
    assert low <= int(text) <= low + width


def test_a_wide_range_is_searched_by_its_logarithm() -> None:
    generator = seeded(1)
    values = [float(draw(one("Continuous", 1e-4, 1.0), generator)["x"]) for _ in range(1000)]
    # Half of the values are below the geometric mean of the ends. On a linear scale it would be one in a hundred.
    assert 0.45 < sum(value < 1e-2 for value in values) / 1000 < 0.55


def test_every_kind_of_range_takes_part() -> None:
    ranges = {
        **one("Integer", 1, 1),
        "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.5", "MaxValue": "0.5"}],
    }
    assert draw(ranges, seeded(0)) == {"x": "1", "rate": "0.5"}
    assert names(ranges) == ["x", "rate"]


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [("a", "1", "Auto"), ("2", "1", "Auto"), ("0", "1", "Logarithmic"), ("0", "0.9", "ReverseLogarithmic")],
    ids=["no number", "empty", "logarithm of 0", "reverse logarithm"],
)
def test_impossible_ranges_are_refused(low: str, high: str, scaling: str) -> None:
    with pytest.raises(ValidationError):
        draw(one("Continuous", low, high, scaling), seeded(0))


def test_categories_are_refused() -> None:
    with pytest.raises(ValidationError, match="IntegerParameterRanges and ContinuousParameterRanges only"):
        draw({"CategoricalParameterRanges": [{"Name": "kind", "Values": ["only"]}]}, seeded(0))
