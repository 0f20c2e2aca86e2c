from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.factories import NOON
from tests.rollouts.conftest import MODEL, SECOND, Driver
from turnout.db import transaction
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.tables import ArmTotal
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands import order
from turnout.rollouts.domain.evidence import judge
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage, Strategy
from turnout.rollouts.tables import RolloutStep
from turnout.stats.verdict import Verdict
from turnout.traffic import commands as traffic
from turnout.traffic import queries as traffic_queries
from turnout.traffic.domain.overrides import Pin
from turnout.traffic.domain.split import VersionRejected

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def test_happy_path_all_stages(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    shares = [await driver.shares()]
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, after=9 * MINUTE)
    await driver.tick()
    shares.append(await driver.shares())
    await driver.see(rollout_id, 2_000, 10, baseline=38_000, after=MINUTE)
    await driver.tick()
    shares.append(await driver.shares())
    await driver.see(rollout_id, 2_000, 10, after=10 * MINUTE)
    await driver.tick()
    shares.append(await driver.shares())

    assert shares == [
        {"2.0.0": 5, "1.0.0": 95},
        {"2.0.0": 5, "1.0.0": 95},
        {"2.0.0": 100, "1.0.0": 0},
        {"2.0.0": 100},
    ]
    rollout = await driver.rollout(rollout_id)
    assert rollout.phase is Phase.SUCCEEDED
    assert rollout.finished_at == driver.clock()
    assert await driver.stages_of_life() == {"2.0.0": "production", "1.0.0": "archived"}
    assert not (await driver.split()).owned
    assert await driver.events(rollout_id) == ["started", "advanced", "succeeded"]
    assert await driver.actions() == [
        "rollout.succeeded",
        "rollout.started",
        "rollout.advanced",
        "rollout.succeeded",
    ]


async def test_every_stage_has_evidence_of_its_own_and_keeps_the_salt(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    before = await driver.split()
    await driver.see(rollout_id, 1_000, after=10 * MINUTE)
    await driver.tick()
    after = await driver.split()

    assert after.id != before.id
    assert after.salt == before.salt == str(rollout_id)
    assert (await driver.rollout(rollout_id)).progress.split_id == after.id


async def test_a_candidate_that_does_harm_is_taken_off_the_road(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    async with transaction(driver.sessions) as session:
        model = await registry.model(session, MODEL)
        pins = [Pin(unit="tester", version="2.0.0")]
        by: dict[str, Any] = {"actor": "ada", "now": driver.clock()}
        await traffic.set_overrides(session, model, pins=pins, rules=[], **by)
    await driver.see(rollout_id, 200, 150, baseline=3_800)
    await driver.tick()

    rollout = await driver.rollout(rollout_id)
    assert rollout.phase is Phase.ROLLED_BACK
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.stages_of_life() == {"2.0.0": "development", "1.0.0": "production"}
    step = (await driver.steps(rollout_id))[-1]
    assert (step.verdict, step.actor, step.weight) == (Verdict.FAIL, "worker", 0)
    assert step.reason.startswith("error_rate at most 0.1: harm shown")
    async with driver.sessions() as session:
        overrides = await traffic_queries.overrides(session, rollout.model_id)
    assert overrides.empty


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.BAKING, Phase.AWAITING_APPROVAL])
async def test_guardrails_are_armed_in_every_live_phase(driver: Driver, phase: Phase) -> None:
    stages = (Stage(weight=500, bake=MINUTE, approval=True), Stage(weight=10_000, bake=MINUTE))
    rollout_id = await driver.under_way(stages=stages)
    by: dict[str, Any] = {"actor": "ada", "now": driver.clock()}
    async with transaction(driver.sessions) as session:
        if phase is Phase.PAUSED:
            await order.pause(session, rollout_id, Order(), **by)
        elif phase is Phase.BAKING:
            await order.promote(session, rollout_id, Promotion(), **by)
    await driver.see(rollout_id, 1_000)
    await driver.tick(MINUTE if phase is Phase.AWAITING_APPROVAL else timedelta(seconds=1))
    assert (await driver.rollout(rollout_id)).phase is phase
    await driver.see(rollout_id, 2_000, 1_000)
    await driver.tick()

    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK


async def test_a_shadow_that_only_measures_promotes_nothing(driver: Driver) -> None:
    rollout_id = await driver.under_way(strategy=Strategy.SHADOW, promote=False)
    split = await driver.split()
    await driver.see(rollout_id, 1_000, after=timedelta(hours=1))
    await driver.tick()

    assert [variant.version for variant in split.shadows] == ["2.0.0"]
    assert await driver.events(rollout_id) == ["started", "succeeded"]
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.stages_of_life() == {"2.0.0": "development", "1.0.0": "production"}


async def test_blue_green_switches_at_once_and_keeps_the_old_version_warm(driver: Driver) -> None:
    rollout_id = await driver.under_way(strategy=Strategy.BLUE_GREEN)
    await driver.see(rollout_id, 1_000, after=10 * MINUTE)
    await driver.tick()

    assert await driver.shares() == {"2.0.0": 100, "1.0.0": 0}


async def test_bluegreen_auto_promote_waits_analysis(driver: Driver) -> None:
    rollout_id = await driver.under_way(strategy=Strategy.BLUE_GREEN)
    await driver.tick(11 * MINUTE)

    assert (await driver.rollout(rollout_id)).progress.stage == 0


async def test_bluegreen_instant_back(driver: Driver) -> None:
    rollout_id = await driver.under_way(strategy=Strategy.BLUE_GREEN)
    await driver.say(order.promote, rollout_id, Promotion())
    await driver.tick(2 * MINUTE)
    switched = await driver.split()
    await driver.say(order.roll_back, rollout_id, Order(reason="customers complain"))
    back = await driver.split()

    assert [variant.version for variant in switched.variants] == ["2.0.0", "1.0.0"]
    assert await driver.shares() == {"1.0.0": 100}
    assert back.id == switched.id + 1
    assert await driver.events(rollout_id) == ["started", "advanced", "rolled_back"]


async def test_good_to_bad_bad_to_good_bad_to_bad(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0")
    await driver.start("1.0.0")
    answering = []
    for version, errors in {"2.0.0": 800, "3.0.0": 800, "4.0.0": 5, "5.0.0": 800}.items():
        rollout_id = await driver.start(version, stages=STAGES)
        while (await driver.rollout(rollout_id)).finished_at is None:
            await driver.see(rollout_id, 1_000, errors, baseline=1_000, after=10 * MINUTE)
            await driver.tick()
        answering.append(await driver.shares())

    assert answering == [{"1.0.0": 100}, {"1.0.0": 100}, {"4.0.0": 100}, {"4.0.0": 100}]


async def test_stable_itself_unhealthy(driver: Driver) -> None:
    """Nobody is sent back to a baseline that fails where the candidate does not."""
    limits = (
        Guardrail(metric="error_rate", max=0.1),
        Guardrail(metric="error_rate", max_increase=0.01),
    )
    rollout_id = await driver.under_way(stages=STAGES, guardrails=limits)
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, baseline_errors=12_000)
    await driver.tick()
    shown = (await driver.looks(rollout_id))[-1].judgement.findings[1].finding
    await driver.tick(10 * MINUTE)
    await driver.see(rollout_id, 1_001, 5, baseline=19_001, baseline_errors=12_000)
    await driver.tick()

    assert (shown.candidate, round(shown.baseline or 0, 2)) == (0.005, 0.63)
    assert await driver.events(rollout_id) == ["started", "advanced"]


async def test_outage_catch_up_stops_at_guarded_stage(driver: Driver) -> None:
    """Time in which nobody looked counts for the stage it began in and for no other: the stages
    behind it are entered one after the other, each with its full bake time and no evidence."""
    timed = [Stage(weight=weight, bake=MINUTE, guardrails=()) for weight in (500, 1_000, 2_000)]
    rollout_id = await driver.under_way(stages=(*timed, Stage(weight=5_000, bake=MINUTE)))
    entered = []
    for after in (timedelta(hours=3), MINUTE, MINUTE, MINUTE):
        await driver.tick_after_outage(after)
        entered.append((await driver.rollout(rollout_id)).progress)

    assert [progress.stage for progress in entered] == [1, 2, 3, 3]
    assert entered[0].ends(MINUTE) == NOON + timedelta(hours=3) + MINUTE
    assert (await driver.looks(rollout_id))[-1].judgement.verdict is Verdict.NO_DATA


async def test_misfire_and_coalesce(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    before = await driver.rollout(rollout_id)
    await driver.see(rollout_id, 200, 10)
    await driver.tick(20 * SECOND)
    after = await driver.rollout(rollout_id)

    assert after.fence == before.fence + 1
    assert len(await driver.looks(rollout_id)) == 1


async def test_no_traffic_is_not_success(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.tick(30 * MINUTE)

    rollout = await driver.rollout(rollout_id)
    assert rollout.phase is Phase.PAUSED
    assert rollout.progress.pause is not None
    assert "has made no prediction in this stage" in rollout.progress.pause.reason
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}


async def test_every_stored_look_leads_to_the_same_judgement_again(driver: Driver) -> None:
    latency = Guardrail(metric="latency_p95", max_increase=20)
    rollout_id = await driver.under_way(
        stages=STAGES, guardrails=(latency, Guardrail(metric="error_rate", max=0.1))
    )
    for predictions in (20, 150, 1_000):
        await driver.see(
            rollout_id, predictions, predictions // 50, baseline=19 * predictions, after=5 * MINUTE
        )
        await driver.tick()
    await driver.see(rollout_id, 500, 400)
    await driver.tick()

    plan = (await driver.rollout(rollout_id)).plan
    looks = await driver.looks(rollout_id)
    assert len(looks) >= 4
    for look in looks:
        judgement, _ = judge(plan, look.progress, look.evidence, look.sequences, look.at)
        assert judgement == look.judgement
    assert any(memory.spending.bounds for memory in looks[-1].sequences.guardrails)


async def test_a_look_is_stored_when_a_verdict_changes_and_not_again(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    for predictions in (10, 20, 200, 300, 400):
        await driver.see(rollout_id, predictions)
        await driver.tick()

    verdicts = [look.judgement.verdict for look in await driver.looks(rollout_id)]
    assert verdicts == [Verdict.INSUFFICIENT_SAMPLE, Verdict.PASS]


async def test_dry_run_never_gates_and_the_report_shows_it(driver: Driver) -> None:
    watched = Guardrail(metric="latency_mean", max=20, dry_run=True)
    rollout_id = await driver.under_way(
        stages=STAGES, guardrails=(Guardrail(metric="error_rate", max=0.1), watched)
    )
    await driver.see(rollout_id, 1_000, after=10 * MINUTE)
    await driver.tick()

    assert await driver.events(rollout_id) == ["started", "advanced"]
    look = (await driver.looks(rollout_id))[0]
    assert look.judgement.findings[1].finding.verdict is Verdict.FAIL


async def test_a_success_that_cannot_be_carried_out_waits_for_a_person(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.move("2.0.0", Lifecycle.REJECTED)
    await driver.see(rollout_id, 1_000, after=10 * MINUTE)
    await driver.tick()

    step = (await driver.steps(rollout_id))[-1]
    assert (step.to_phase, step.verdict) == (Phase.PAUSED, Verdict.ERROR)
    assert "advanced could not be carried out: version 2.0.0" in step.reason


async def test_rollback_target_gone(driver: Driver) -> None:
    """A person is told why, a guardrail ends in `failed`; the traffic stays where it is served."""
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    with pytest.raises(VersionRejected):
        await driver.say(order.roll_back, rollout_id, Order())
    assert (await driver.rollout(rollout_id)).phase is Phase.RUNNING
    await driver.see(rollout_id, 200, 150)
    await driver.tick()

    assert (await driver.rollout(rollout_id)).phase is Phase.FAILED
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}


async def test_a_rollout_that_fails_does_not_hold_up_the_others(driver: Driver) -> None:
    broken = await driver.under_way(model="broken")
    sound = await driver.under_way(model="sound")
    for rollout_id in (broken, sound):
        await driver.see(rollout_id, 200, 150)
    async with transaction(driver.sessions) as session:
        taken = (await driver.steps(broken))[0]
        session.add(
            RolloutStep(
                rollout_id=broken,
                step=2,
                event=taken.event,
                to_phase=taken.to_phase,
                stage=0,
                weight=0,
                reason="taken already",
                actor="somebody",
                at=driver.clock(),
            )
        )

    with pytest.raises(ExceptionGroup, match="could not be moved on"):
        await driver.tick()
    assert (await driver.rollout(sound)).phase is Phase.ROLLED_BACK
    assert (await driver.rollout(broken)).phase is Phase.RUNNING


async def test_sums_that_cannot_be_right_hold_their_own_rollout_only(driver: Driver) -> None:
    broken = await driver.under_way(model="broken", stages=STAGES)
    sound = await driver.under_way(model="sound", stages=STAGES)
    await driver.see(broken, 1_000)
    await driver.see(sound, 200, 150)
    model_id = (await driver.rollout(broken)).model_id
    async with transaction(driver.sessions) as session:
        await session.execute(
            update(ArmTotal).where(ArmTotal.model_id == model_id).values(units=1, n2=1)
        )
    await driver.tick()
    held = await driver.rollout(broken)
    await driver.tick(30 * MINUTE)

    assert (await driver.rollout(sound)).phase is Phase.ROLLED_BACK
    assert held.phase is Phase.RUNNING
    assert held.seen[0] is Verdict.NO_DATA
    assert (await driver.rollout(broken)).phase is Phase.PAUSED


async def test_a_clock_that_was_set_back_stops_no_rollout(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.tick()
    await driver.see(rollout_id, 200, 150)
    await driver.tick(-timedelta(hours=1))

    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK
