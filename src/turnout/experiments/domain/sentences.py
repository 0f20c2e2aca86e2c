"""The sentences that an analysis is told by.

None says more than its figures do: an interval comes with its confidence, a chance with what it
is the chance of, and an early answer with the warning that it tends to be too large.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from turnout.experiments.domain import words
from turnout.experiments.domain.analysis import Remaining
from turnout.experiments.domain.comparison import Comparison, stratum
from turnout.experiments.domain.conclusion import Findings, Judgement
from turnout.experiments.domain.secondary import SecondaryComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that is told."""

    findings: Findings
    judgement: Judgement
    secondary: tuple[SecondaryComparison, ...]
    remaining: Remaining
    elapsed: timedelta
    paused: bool

    @property
    def leader(self) -> Comparison:
        return self.findings.comparison(self.judgement.leader)


def result(account: Account) -> Iterator[str]:
    """The effect on the goal."""
    finding, goal = account.leader.finding, account.findings.plan.goal
    if finding.treatment is None or finding.control is None or finding.effect is None:
        return
    range_ = words.between(goal, finding.interval)
    text = (
        f"With {account.leader.version}, {goal.metric} is"
        f" {words.value(goal, finding.treatment)}, against {words.value(goal, finding.control)}"
        f" with {account.findings.plan.control}: a difference of"
        f" {words.change(goal, finding.effect)}"
    )
    if range_ is not None:
        text += f" ({range_} with {_level(account)} confidence)"
    if finding.relative_effect is not None:
        text += f", or {words.relative(finding.relative_effect)} relative to the control"
        low, high = finding.relative_interval
        if low is not None and high is not None:
            text += f" (between {words.relative(low)} and {words.relative(high)})"
    yield f"{text}."


def rests_on(account: Account) -> str:
    plan, leader = account.findings.plan, account.leader
    pair = stratum(plan, account.findings.evidence, leader.version)
    looks = leader.finding.looks
    often = {1: "once", 2: "twice"}.get(looks, f"{looks} times")
    seen = f"looked at {often}" if looks else "not looked at yet"
    return (
        f"That is from {words.units(plan, pair.treatment.units)} with {leader.version} and"
        f" {words.units(plan, pair.control.units)} with {plan.control} in"
        f" {words.about(account.elapsed)}, {seen}."
    )


def confidence(account: Account, word: str) -> str:
    plan = account.findings.plan
    chance = words.share((1 - plan.confidence_level) / 2)
    if len(plan.treatments) == 1:
        return (
            f"If it made no difference, the chance of being called {word} at any look would be at"
            f" most {chance}."
        )
    return (
        f"If no treatment made a difference, the chance that any of them is called {word} at any"
        f" look would be at most {chance}."
    )


def estimate(account: Account) -> Iterator[str]:
    """What an early stop found is on average too great, because it stopped there."""
    finding, goal = account.leader.finding, account.findings.plan.goal
    if finding.estimate is None or finding.fraction is None:
        return
    if finding.looks == 1 or finding.fraction >= 1:
        return
    range_ = words.between(goal, finding.estimate_interval)
    yield (
        f"Since it ended at the first look that was clear, at {words.share(finding.fraction)} of"
        f" the planned size, the difference seen then tends to be too large: allowing for that, the"
        f" best estimate is"
        f" {words.change(goal, finding.estimate)}{f' ({range_})' if range_ else ''}."
    )


def practical(account: Account) -> str:
    goal, leader = account.findings.plan.goal, account.leader
    least = f"{words.size(goal, goal.minimum_detectable_effect)}, the least that matters"
    match leader.practical_significance:
        case True:
            return f"All of the range is an improvement of at least {least}."
        case False if leader.won:
            return f"All of the range is below {least}: it is better, but by little."
        case False:
            return f"An improvement of {least}, is ruled out by the range."
        case None if leader.won:
            return f"Whether the improvement reaches {least}, is not settled."
        case None:
            return (
                f"An improvement of {least}, is not ruled out either: the experiment was too small"
                f" to tell."
            )


def too_few(account: Account) -> str:
    findings, plan, leader = account.findings, account.findings.plan, account.leader
    if findings.enough(leader):
        return f"All that was reported of {plan.goal.metric} is the same so far."
    pair = stratum(plan, findings.evidence, leader.version)
    return (
        f"Nothing is concluded below {words.units(plan, plan.min_sample_size)} per variant with a"
        f" value of {plan.goal.metric}: {plan.control} has {pair.control.units:,} and"
        f" {leader.version} has {pair.treatment.units:,}."
    )


def missing(account: Account) -> Iterator[str]:
    plan, remaining = account.findings.plan, account.remaining
    if not remaining.units:
        yield f"It ends in {words.about(remaining.time_left)} at the latest."
        return
    at_most = "At most " if plan.early_stopping else ""
    more = f"{at_most}{words.more_units(plan, remaining.units)} are needed in all"
    if remaining.duration is None:
        yield f"{more}, and the time limit is in {words.about(remaining.time_left)}."
    elif remaining.duration <= remaining.time_left:
        early = "; it may end earlier" if plan.early_stopping else ""
        yield f"{more}, about {words.about(remaining.duration)} at the pace seen{early}."
    else:
        yield (
            f"{more}, about {words.about(remaining.duration)} at the pace seen, but the time"
            f" limit comes first, in {words.about(remaining.time_left)}: it may then be too small"
            f" to tell."
        )


def _level(account: Account) -> str:
    return words.share(account.findings.plan.confidence_level)
