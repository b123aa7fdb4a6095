"""What the comparisons of the arms say, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from functions.measure_lift.lift import DATE, DAY_LONG, HIGHER, THIRDS, Lift, Third


def in_words(lifts: list[Lift], campaign: str, thirds: Iterable[tuple[Third, Lift]] = ()) -> Iterator[str]:
    """Yield what the comparisons say, for a notification or a terminal; thirds only where there is a figure."""
    begin = f"{campaign}: " if campaign else ""
    for lift in lifts:
        yield begin + _claim(lift)
    for third, lift in thirds:
        if lift.difference is not None:
            who = f", users {THIRDS[third.number]} ({third.lowest:.1%} to {third.highest:.1%} on a date)"
            yield begin + _claim(lift, who)


def _claim(lift: Lift, who: str = "") -> str:
    what = {DATE: "on the date", DAY_LONG: "within 24 hours"}[lift.outcome]
    title = f"Visits {what}, {lift.arm} against {lift.control}{who}"
    if lift.difference is None or lift.relative is None or lift.low is None or lift.high is None:
        return f"{title}: {lift.verdict}. {lift.reason}"
    if lift.per_1000_pushes is not None:
        size = (
            f"{lift.per_1000_pushes:+.1f} per 1,000 pushes ({lift.per_1000_pushes_low:+.1f} to "
            f"{lift.per_1000_pushes_high:+.1f})"
        )
    else:
        size = f"{1000 * lift.difference:+.1f} per 1,000 sends ({1000 * lift.low:+.1f} to {1000 * lift.high:+.1f})"
    cost = ""
    if lift.cost is not None and lift.verdict == HIGHER:
        cost = f" A caused visit costs {lift.cost:.2f} ({lift.cost_low:.2f} to {lift.cost_high:.2f})."
    reason = f" {lift.reason}" if lift.reason else ""
    relative = f"{lift.relative:+.1%} ({lift.relative_low:+.1%} to {lift.relative_high:+.1%})"
    return f"{title}: {size}, {relative}: {lift.verdict}.{cost}{reason}"
