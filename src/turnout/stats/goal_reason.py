"""What a goal test found, as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from turnout.stats.goal import GoalStatus

if TYPE_CHECKING:
    from turnout.stats.goal import GoalFinding

NOTHING = "no data to compare: no events in one of the arms, or none that differs from the others"
ENDED = "the test has ended, later data do not change what it found"
NOT_DUE = "none is due yet"
NOTHING_NEW = "less than half a percent of the planned units are new since the last look"


def sentence(finding: GoalFinding, note: str | None, *, proportion: bool) -> str:
    parts = [_figures(finding, proportion=proportion), _seen(finding), note]
    return f"{_summary(finding.status)}: {', '.join(part for part in parts if part)}"


def _summary(status: GoalStatus) -> str:
    match status:
        case GoalStatus.WIN:
            return "better"
        case GoalStatus.HARM:
            return "worse"
        case GoalStatus.FUTILE:
            return "no improvement worth waiting for"
        case GoalStatus.CONTINUE:
            return "not decided yet"
        case GoalStatus.NOT_SHOWN:
            return "no difference shown"
        case GoalStatus.NO_DATA:
            return "no data"
        case _:
            assert_never(status)


def _figures(finding: GoalFinding, *, proportion: bool) -> str:
    assert finding.treatment is not None
    assert finding.control is not None
    assert finding.effect is not None
    value, change = (_percent, _points) if proportion else (_plain, _signed)
    low, high = finding.interval
    text = (
        f"{value(finding.treatment)} against the control's {value(finding.control)}, "
        f"{change(finding.effect)}"
    )
    if low is not None and high is not None:
        text += f" (between {change(low)} and {change(high)})"
    return text


def _seen(finding: GoalFinding) -> str:
    if finding.fraction is None:
        return ""
    looks = "1 look" if finding.looks == 1 else f"{finding.looks} looks"
    return f"after {looks} at {_percent(min(1.0, finding.fraction))} of the planned units"


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def _points(value: float) -> str:
    return f"{100 * value:+.3g} points"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 10_000 else f"{value:+.4g}"
