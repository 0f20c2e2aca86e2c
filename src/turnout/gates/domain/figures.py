"""Gates on what was measured before the version came here: metrics, regressions, groups."""

from collections.abc import Iterator, Mapping
from math import isfinite

from turnout.gates.domain.facts import Facts
from turnout.gates.domain.policy import Good, GroupsGate, MetricGate, RegressionGate
from turnout.gates.domain.report import Check, Result

ROUNDING = 1e-9
"""0.93 - 0.92 is a little more than 0.01 in binary; nobody means that."""


def metric(gate: MetricGate, facts: Facts) -> Iterator[Check]:
    for rule, limit in (("at least", gate.min), ("at most", gate.max)):
        if limit is None:
            continue
        name = f"{gate.metric} {rule} {limit:g}"
        value = facts.version.metrics.get(gate.metric)
        if (trouble := _unusable(gate.metric, value)) is not None:
            result, reason = trouble
            yield Check(name=name, result=result, reason=reason, limit=limit)
            continue
        assert value is not None
        good = value >= limit if rule == "at least" else value <= limit
        yield Check(
            name=name,
            result=Result.PASS if good else Result.FAIL,
            value=value,
            limit=limit,
            reason=f"{gate.metric} is {value:g}, {'' if good else 'not '}{rule} {limit:g}",
        )


def no_regression(gate: RegressionGate, facts: Facts) -> Iterator[Check]:
    name = f"{gate.metric} not worse than production by more than {gate.margin:g}"
    production = facts.production
    if production is None or production.id == facts.version.id:
        yield Check(
            name=name, result=Result.SKIPPED, reason="no other version is in production to compare"
        )
        return
    before = production.metrics.get(gate.metric)
    if before is None:
        reason = f"{production.version}, in production, reports no {gate.metric}"
        yield Check(name=name, result=Result.SKIPPED, reason=reason)
        return
    value = facts.version.metrics.get(gate.metric)
    trouble = _unusable(gate.metric, value) or _unusable(
        f"{gate.metric} of {production.version}, in production,", before
    )
    sign = 1 if gate.good is Good.HIGHER else -1
    limit = before - sign * gate.margin
    if trouble is not None:
        result, reason = trouble
        yield Check(name=name, result=result, reason=reason)
        return
    assert value is not None
    worse_by = sign * (before - value)
    good = worse_by <= gate.margin + ROUNDING
    yield Check(
        name=name,
        result=Result.PASS if good else Result.FAIL,
        value=value,
        limit=limit,
        reason=f"{gate.metric} is {value:g}, {_compared(worse_by)} {before:g} of"
        f" {production.version} in production",
    )


def groups(gate: GroupsGate, facts: Facts) -> Iterator[Check]:
    reported = facts.version.group_metrics
    known = facts.production.group_metrics if facts.production else {}
    expected = {*gate.groups, *(name for name, said in known.items() if gate.metric in said)}
    names = sorted({*expected, *reported})
    if not names:
        reason = "no group is reported; name those that must be there in `groups`"
        yield Check(name=f"{gate.metric} of each group", result=Result.SKIPPED, reason=reason)
        return
    values = {name: reported.get(name, {}).get(gate.metric) for name in names}
    if gate.min is not None:
        yield _lowest(gate.metric, gate.min, values)
    if gate.max_gap is not None:
        yield _gap(gate.metric, gate.max_gap, values)


def _lowest(metric: str, least: float, values: Mapping[str, float | None]) -> Check:
    name = f"{metric} of each group at least {least:g}"
    if (trouble := _unusable_groups(metric, values)) is not None:
        result, reason = trouble
        return Check(name=name, result=result, reason=reason, limit=least)
    known = {group: value for group, value in values.items() if value is not None}
    below = sorted(group for group, value in known.items() if value < least)
    worst = min(known, key=lambda group: known[group])
    if below:
        reason = "; ".join(f"{metric} of {group} is {known[group]:g}" for group in below)
        reason += f": not at least {least:g}"
    else:
        reason = f"the lowest of {len(known)} groups is {worst} with {known[worst]:g}"
    return Check(
        name=name,
        result=Result.FAIL if below else Result.PASS,
        value=known[worst],
        limit=least,
        reason=reason,
    )


def _gap(metric: str, most: float, values: Mapping[str, float | None]) -> Check:
    name = f"{metric} of groups at most {most:g} apart"
    if (trouble := _unusable_groups(metric, values)) is not None:
        result, reason = trouble
        return Check(name=name, result=result, reason=reason, limit=most)
    known = {group: value for group, value in values.items() if value is not None}
    low, high = (pick(known, key=lambda group: known[group]) for pick in (min, max))
    gap = known[high] - known[low]
    return Check(
        name=name,
        result=Result.PASS if gap <= most + ROUNDING else Result.FAIL,
        value=gap,
        limit=most,
        reason=f"{high} has {known[high]:g}, {low} has {known[low]:g}",
    )


def _unusable(metric: str, value: float | None) -> tuple[Result, str] | None:
    """A figure that is not there fails; one that is no number says nothing, which never passes."""
    if value is None:
        return Result.FAIL, f"{metric} is not among the version's metrics"
    if not isfinite(value):
        return Result.ERROR, f"{metric} is {value}, which is no number"
    return None


def _unusable_groups(metric: str, values: Mapping[str, float | None]) -> tuple[Result, str] | None:
    missing = sorted(group for group, value in values.items() if value is None)
    if missing:
        return Result.FAIL, f"{metric} is not reported for {', '.join(missing)}"
    strange = sorted(g for g, value in values.items() if value is not None and not isfinite(value))
    if strange:
        return Result.ERROR, f"{metric} of {', '.join(strange)} is no number"
    return None


def _compared(worse_by: float) -> str:
    if abs(worse_by) <= ROUNDING:
        return "the same as"
    return f"{abs(worse_by):g} {'worse' if worse_by > 0 else 'better'} than"
