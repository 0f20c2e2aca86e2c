"""A whole stage, by judgement and by tick: the innocent stay, and who begins to fail goes."""

from datetime import timedelta

import numpy as np

from tests.factories import NOON, arm_evidence
from tests.rollouts.conftest import SECOND, Driver
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.evidence import Evidence, Sequences, judge
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

BAKE = timedelta(minutes=10)


def test_many_metrics_correction() -> None:
    """Twenty measurements at their limits, looked at fifteen times: one error rate for all."""
    limits = tuple(Guardrail(metric=f"score_{number}", max=0.0) for number in range(20))
    plan = Plan(
        strategy=Strategy.CANARY, stages=(Stage(weight=5_000, bake=BAKE, guardrails=limits),)
    )
    rng = np.random.default_rng(15)
    false = 0
    for _ in range(20):
        sequences = Sequences()
        sums, squares = np.zeros(20), np.zeros(20)
        for look in range(1, 16):
            values = rng.normal(0, 1, (20, 50))
            sums, squares = sums + values.sum(axis=1), squares + (values**2).sum(axis=1)
            n = 50 * look
            metrics = {
                limit.metric: UnitTotals(
                    units=n, n=n, n2=n, x=float(total), x2=float(square), xn=float(total)
                )
                for limit, total, square in zip(limits, sums, squares, strict=True)
            }
            now = NOON + look * BAKE / 15
            candidate = arm_evidence(n, last_at=now, outcomes=metrics)
            evidence = Evidence(candidate=candidate)
            judgement, sequences = judge(plan, entry(plan, 0, NOON), evidence, sequences, now)
            if judgement.verdict is Verdict.FAIL:
                false += 1
                break

    # At 5 % more than 4 of 20 have a chance of 0.3 %.
    assert false <= 4


async def test_health_does_not_hide_a_failure_that_begins_late(driver: Driver) -> None:
    """Twenty requests a second; nine minutes of health out of ten."""
    rollout_id = await driver.under_way(
        stages=(Stage(weight=1_000, bake=BAKE), Stage(weight=10_000, bake=BAKE))
    )
    for look in range(1, 28):
        await driver.see(rollout_id, 400 * look, look // 5)
        await driver.tick(20 * SECOND)
    healthy = await driver.rollout(rollout_id)
    for second in range(1, 6):
        failed = 20 * second
        await driver.see(rollout_id, 10_800 + failed, 5 + failed)
        await driver.tick()

    assert healthy.phase is Phase.RUNNING
    assert healthy.sequences.guardrails[0].spending.share > 0.8
    rolled_back = (await driver.steps(rollout_id))[-1]
    assert rolled_back.to_phase is Phase.ROLLED_BACK
    assert rolled_back.reason.startswith("error_rate at most 0.1: since ")
    assert "20 events from 20 units" in rolled_back.reason
