"""Read settings from ``hyperparameters.json``, where SageMaker passes every value as a string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from visitcast.errors import InputError

TUNING_OBJECTIVE: Final = "_tuning_objective_metric"
"""SageMaker adds it to the hyperparameters of every training job of a tuning job; not one of ours, ignored."""
REMEDY: Final = "Correct Hyperparameters in the execution input."

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest allowed value by name, both included."""


def require_in_range(settings: Any, ranges: Ranges) -> None:
    """Refuse settings with a value out of its range.

    Raises
    ------
    InputError
        A value is out of range or NaN.
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise InputError(f"Hyperparameter {name} is out of range.", f"{value} is not in [{low}, {high}].", REMEDY)


def parse(values: Mapping[str, str], kinds: Sequence[type[Any]]) -> list[Any]:
    """Read hyperparameters into dataclasses whose fields are whole numbers and numbers with defaults.

    Parameters
    ----------
    values : mapping
        Name to text; names that are left out keep their default.
    kinds : sequence of dataclasses
        A name that several classes have is set in all of them.

    Returns
    -------
    list
        An instance of each class.

    Raises
    ------
    InputError
        An unknown name, a text that is not a number of the wanted kind, or a value out of range.
    """
    values = {name: text for name, text in values.items() if name != TUNING_OBJECTIVE}
    numbers = {field.name: type(field.default) for kind in kinds for field in fields(kind)}
    unknown = sorted(set(values) - set(numbers))
    if unknown:
        raise InputError(f"Unknown hyperparameter: {', '.join(unknown)}.", f"Known are {', '.join(numbers)}.", REMEDY)
    parsed = {name: _number(name, text, numbers[name]) for name, text in values.items()}
    names = [{field.name for field in fields(kind)} for kind in kinds]
    return [kind(**{name: parsed[name] for name in own & set(parsed)}) for kind, own in zip(kinds, names, strict=True)]


def _number(name: str, text: str, number: type[Any]) -> int | float:
    try:
        parsed: int | float = number(str(text).strip())
    except ValueError:
        wanted = "a whole number" if number is int else "a number"
        raise InputError(f"Hyperparameter {name} is not {wanted}.", f"It is {text!r}.", REMEDY) from None
    return parsed
