"""Where moto's interpreter forgives what Step Functions does not, or misreads the states language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable

_APOSTROPHE = "\ue027"
"""Stands for an escaped apostrophe while a function is parsed: a character of the Private Use Area, U+0027 in it."""

_ESCAPE = re.compile(r"\\\\(\\\\|')")


def runtime_failure(env: Any, cause: str, **details: str) -> FailureEventException:
    """Return the failure of a state with States.Runtime."""
    error = StatesErrorName(typ=StatesErrorNameType.StatesRuntime)
    described: Any = {"taskFailedEventDetails": {"error": error.error_name, "cause": cause, **details}}
    return FailureEventException(
        FailureEvent(env=env, error_name=error, event_type=HistoryEventType.TaskFailed, event_details=described)
    )


def not_caught(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Let no ErrorEquals match States.Runtime.

    "A retry or catch on States.ALL won't catch States.Runtime errors" (Step Functions Developer Guide, "Error names").
    """

    def evaluate(self: Any, env: Any) -> None:
        if env.stack[-1].error_name == StatesErrorNameType.StatesRuntime.to_name():
            env.stack[-1] = False
        else:
            original(self, env)

    return evaluate


def of_present_variables(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Fail a Choice that compares a variable which does not exist. Only IsPresent may ask for one."""

    def evaluate(self: Any, env: Any) -> None:
        self.variable.eval(env)
        operator = getattr(self.comparison_function, "operator_type", None)
        if isinstance(env.stack[-1], NoSuchVariable) and operator is not ComparisonOperatorType.IsPresent:
            path = self.variable.string_sampler.literal_value
            raise runtime_failure(
                env, f"Invalid path '{path}': The choice state's condition path references an invalid value."
            )
        env.stack.pop()
        original(self, env)

    return evaluate


def must_be_text(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Fail a Fail state whose ErrorPath or CausePath is no text."""

    def evaluate(self: Any, env: Any) -> None:
        original(self, env)
        if env.is_running() and not isinstance(env.stack[-1], str):
            field = type(self).__name__
            raise runtime_failure(
                env, f"The {field} '{self.string_expression.literal_value}' must refer to a string value."
            )

    return evaluate


def unless_stopped(original: Callable[..., None]) -> Callable[..., None]:
    """Schedule a task only if its branch has not been stopped, and let nobody stop it meanwhile."""

    def schedule(self: Any, env: Any, *arguments: Any, **options: Any) -> None:
        with env._state_mutex:
            if env.is_running():
                original(self, env, *arguments, **options)

    return schedule


def with_escaped_apostrophes(original: Any) -> Any:
    r"""Read ``\'`` in a text of an intrinsic function as an apostrophe. moto ends the text there."""

    def parse(source: str) -> Any:
        # The source is part of the JSON document, where each backslash is two.
        return original.__func__(_ESCAPE.sub(lambda found: _APOSTROPHE if found[1] == "'" else found[0], source))

    return staticmethod(parse)


def with_apostrophes(original: Any) -> Any:
    """Return the text of an argument with its apostrophes."""

    def text(tree: Any) -> str:
        return str(original.__func__(tree)).replace(_APOSTROPHE, "'")

    return staticmethod(text)
