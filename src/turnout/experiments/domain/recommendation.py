"""The analysis in words, for an engineer who is no statistician.

Each sentence says what was found and how sure that is, and none says more than the figures do.
"""

from collections.abc import Iterator
from typing import assert_never

from turnout.experiments.domain import sentences, words
from turnout.experiments.domain.comparison import Comparison
from turnout.experiments.domain.health import Check
from turnout.experiments.domain.sentences import Account
from turnout.experiments.domain.state import Conclusion
from turnout.stats.goal import GoalStatus
from turnout.stats.verdict import Verdict


def recommend(account: Account) -> str:
    return " ".join(_told(account))


def _told(account: Account) -> Iterator[str]:
    match account.judgement.conclusion:
        case Conclusion.INVALID:
            yield from _invalid(account)
        case Conclusion.SHIP:
            yield from _ship(account)
        case Conclusion.KEEP_CONTROL:
            yield from _keep_control(account)
        case Conclusion.FUTILE:
            yield from _futile(account)
        case Conclusion.KEEP_RUNNING:
            yield from _keep_running(account)
        case _:
            assert_never(account.judgement.conclusion)


def _invalid(account: Account) -> Iterator[str]:
    yield f"Do not use this result: {account.judgement.reason}."
    for found in account.findings.health:
        if found.verdict is Verdict.FAIL:
            yield _WHERE_TO_LOOK[found.check]
            break
    else:
        yield _WHERE_TO_LOOK[Check.DATA]
    yield "Then start a new experiment: what was counted here cannot be mended."


_WHERE_TO_LOOK = {
    Check.FIGURES: (
        "Sums that contradict each other mean that events were lost or counted twice: look for an"
        " outcome that was reported for units that never met the variant."
    ),
    Check.SAMPLE_RATIO: (
        "By chance alone so great a deviation comes about in fewer than 1 of 1,000 experiments, so"
        " something else sorts the units, and a difference between the variants may be due to"
        " that. Look for predictions of one variant that are lost, retried or recorded late, for a"
        " caller that records only some variants, and for filters, caches or redirects that act"
        " after the assignment."
    ),
    Check.CROSSED_UNITS: (
        "Units that meet several variants blur every difference. Look for callers that name the"
        " same user in several ways (a session here, an account there), that send no unit, or"
        " that record a prediction under another version than the one that was assigned."
    ),
    Check.DATA: (
        "Look at whether the callers send their traffic to this model, by predict, or by assign"
        " and observations, and whether every version can be served."
    ),
    Check.FRESHNESS: "Look at whether the callers still send their traffic to this model.",
}


def _ship(account: Account) -> Iterator[str]:
    leader, findings = account.leader, account.findings
    yield f"Ship {leader.version}: it does better than the control {findings.plan.control}."
    yield from sentences.result(account)
    yield sentences.practical(account)
    yield sentences.rests_on(account)
    yield sentences.confidence(account, "better")
    yield from sentences.estimate(account)
    yield from _other_winners(account)
    yield from _other_treatments(account)
    yield from _passed_guardrails(account)
    yield from _beside_the_goal(account)


def _keep_control(account: Account) -> Iterator[str]:
    findings, leader = account.findings, account.leader
    control = findings.plan.control
    failing = next((found for found in findings.guardrails if found.fails), None)
    if failing is not None:
        yield (
            f"Keep {control}, and take {failing.version} off the road: it fails the guardrail"
            f" {failing.guardrail}. {words.capital(failing.finding.reason)}."
        )
        if failing.guardrail.relative:
            yield f"The baseline is the control {control}."
        return
    held = next(filter(None, map(findings.withheld, findings.winners)), None)
    if held is not None:
        yield (
            f"Keep {control}. {held.version} does better on {findings.plan.goal.metric}, but the"
            f" guardrail {held.guardrail} has not passed by the end of the experiment:"
            f" {held.finding.reason}."
        )
        yield from sentences.result(account)
        yield sentences.rests_on(account)
        return
    yield from _keep_by_goal(account, leader, control)


def _keep_by_goal(account: Account, leader: Comparison, control: str) -> Iterator[str]:
    metric = account.findings.plan.goal.metric
    match leader.finding.status:
        case GoalStatus.HARM:
            yield f"Keep {control}: {leader.version} does worse."
            yield from sentences.result(account)
            yield sentences.rests_on(account)
            yield sentences.confidence(account, "worse")
            yield from sentences.estimate(account)
        case GoalStatus.NO_DATA:
            yield f"Keep {control}: the experiment is over, and nothing could be compared."
            yield sentences.too_few(account)
        case GoalStatus.CONTINUE:
            yield (
                f"Keep {control}: the experiment is over, and it was too small to say anything"
                f" about {metric}."
            )
            yield sentences.too_few(account)
        case _:
            yield (
                f"Keep {control}: by the end of the experiment, no difference in {metric} was"
                f" shown."
            )
            yield from sentences.result(account)
            yield sentences.practical(account)
            yield sentences.rests_on(account)
    yield from _other_treatments(account)
    yield from _beside_the_goal(account)


def _futile(account: Account) -> Iterator[str]:
    findings, leader = account.findings, account.leader
    control, goal = findings.plan.control, findings.plan.goal
    power = leader.finding.conditional_power
    if power is None:
        yield f"Keep {control}: {leader.version} was not shown to do better."
    else:
        yield (
            f"Stop, and keep {control}: {leader.version} was not shown to do better, and it is"
            f" unlikely that going on would show it."
        )
    yield from sentences.result(account)
    least = words.size(goal, goal.minimum_detectable_effect)
    if power is not None and leader.practical_significance is None:
        yield (
            f"Even if its true effect were {least}, the least that matters, the rest of the"
            f" experiment would show it with a chance of {words.share(power)} only."
        )
    else:
        yield sentences.practical(account)
    yield "This does not prove that there is no difference: a smaller one may remain unseen."
    yield sentences.rests_on(account)
    yield from _other_treatments(account)
    yield from _beside_the_goal(account)


def _keep_running(account: Account) -> Iterator[str]:
    findings, leader = account.findings, account.leader
    held = next(filter(None, map(findings.withheld, findings.winners)), None)
    lead = "It is paused" if account.paused else "Keep running"
    if findings.silence is not None:
        yield f"Wait: {findings.silence.reason}. {_WHERE_TO_LOOK[findings.silence.check]}"
    elif held is not None:
        yield (
            f"{lead}: {held.version} does better on {findings.plan.goal.metric}, but the"
            f" guardrail {held.guardrail} does not pass yet: {held.finding.reason}."
        )
        yield (
            f"Unless it does within the {words.about(account.remaining.time_left)} that are left,"
            f" the control stays."
        )
        return
    elif findings.winners:
        names = words.listed([found.version for found in findings.winners])
        yield (
            f"{lead}: {names} did better than the control {findings.plan.control}, and another"
            f" treatment may still do better than that."
        )
        if account.judgement.winner_so_far is not None:
            yield f"Concluded now, {account.judgement.winner_so_far} would be the winner."
        yield from sentences.result(account)
        yield sentences.rests_on(account)
        yield from _other_treatments(account)
    elif leader.finding.effect is None or not findings.enough(leader):
        yield f"{lead}: it is too early to say anything."
        yield sentences.too_few(account)
    else:
        yield f"{lead}: nothing is decided yet."
        yield from sentences.result(account)
        yield sentences.rests_on(account)
    yield from sentences.missing(account)


def _other_winners(account: Account) -> Iterator[str]:
    findings, leader = account.findings, account.leader
    others = [found for found in findings.winners if found is not leader]
    for found in others:
        if (held := findings.withheld(found)) is not None:
            yield (
                f"{found.version} did better, too, but its guardrail {held.guardrail} has not"
                f" passed."
            )
    names = [found.version for found in others if findings.withheld(found) is None]
    if names and account.judgement.tie:
        yield (
            f"This is a tie: {words.listed(names)} did better than the control, too, and which of"
            f" them is best was not shown. {leader.version} has the better worst case."
        )
    elif names:
        yield f"{words.listed(names)} did better than the control, too, but not as well."


def _passed_guardrails(account: Account) -> Iterator[str]:
    deciding = [
        found
        for found in account.findings.guardrails
        if found.version == account.leader.version and not found.guardrail.dry_run
    ]
    match len(deciding):
        case 0:
            yield "No guardrail was set, so nothing but the goal was watched."
        case 1:
            yield f"Its guardrail {deciding[0].guardrail} passes."
        case count:
            yield f"All of its {count} guardrails pass."


def _other_treatments(account: Account) -> Iterator[str]:
    """So that a reader does not take what is said of one treatment for all of them."""
    others = [
        f"{found.version} {words.STANDS[found.finding.status]}"
        for found in account.findings.comparisons
        if found is not account.leader and not found.won
    ]
    if others:
        yield f"Of the other treatments, {words.listed(others)}."


def _beside_the_goal(account: Account) -> Iterator[str]:
    changed = [
        f"{found.metric.metric} {words.change(found.metric, found.finding.effect)}"
        for found in account.secondary
        if found.version == account.leader.version
        and found.significant
        and found.finding.effect is not None
    ]
    if changed:
        yield (
            f"Beside the goal, {account.leader.version} also changed {words.listed(changed)};"
            f" that decided nothing."
        )
