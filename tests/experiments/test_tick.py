from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from tests.experiments.conftest import HOUR, MODEL, SECOND, Driver
from turnout.alerts import queries as alerts
from turnout.alerts.domain import Kind
from turnout.db import transaction
from turnout.experiments.domain.analyse import analyse
from turnout.experiments.domain.state import Conclusion, Status
from turnout.experiments.tables import Experiment, ExperimentStep
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Metric
from turnout.observations.tables import ArmTotal
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.traffic import commands as traffic
from turnout.traffic import queries as traffic_queries
from turnout.traffic.domain.overrides import Pin

BY_ITSELF: dict[str, Any] = {"auto_conclude": True, "promote_winner": True}
LIMIT = Guardrail(metric="error_rate", max=0.1)


async def test_a_winner_is_concluded_and_promoted_by_itself(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    during = await driver.shares()
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR)
    await driver.tick()

    experiment = await driver.experiment(experiment_id)
    step = (await driver.steps(experiment_id))[-1]
    assert during == {"1.0.0": 50, "2.0.0": 50}
    assert experiment.status is Status.CONCLUDED
    assert (step.conclusion, step.winner, step.serves) == (Conclusion.SHIP, "2.0.0", "2.0.0")
    assert step.actor == "worker"
    assert await driver.shares() == {"2.0.0": 100}
    assert (await driver.stages_of_life())["2.0.0"] == "production"
    assert not (await driver.split()).owned
    assert await driver.actions() == [
        "experiment.created",
        "experiment.started",
        "experiment.concluded",
    ]


async def test_without_promotion_the_control_stays(driver: Driver) -> None:
    experiment_id = await driver.under_way(auto_conclude=True)
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR)
    await driver.tick()

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.winner, step.serves) == (Conclusion.SHIP, "2.0.0", "1.0.0")
    assert await driver.shares() == {"1.0.0": 100}
    assert (await driver.stages_of_life())["2.0.0"] == "development"


async def test_a_loser_leaves_the_control(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_350), "2.0.0": (1_500, 1_050)}, after=HOUR)
    await driver.tick()

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.winner) == (Conclusion.KEEP_CONTROL, None)
    assert await driver.shares() == {"1.0.0": 100}


async def test_what_cannot_win_any_more_is_futile(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    for n in (600, 1_000, 1_400, 1_800):
        await driver.see(
            experiment_id, {"1.0.0": (n, n * 7 // 10), "2.0.0": (n, n * 7 // 10)}, after=HOUR
        )
        await driver.tick()

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.winner) == (Conclusion.FUTILE, None)
    assert await driver.shares() == {"1.0.0": 100}


async def test_without_auto_conclude_it_waits_for_a_person(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR)
    await driver.tick()

    newest = (await driver.analyses(experiment_id))[-1].analysis
    assert newest.conclusion is Conclusion.SHIP
    assert await driver.events(experiment_id) == ["created", "started"]
    assert await driver.shares() == {"1.0.0": 50, "2.0.0": 50}


@pytest.mark.parametrize("auto_conclude", [True, False])
@pytest.mark.parametrize("paused", [True, False], ids=["paused", "running"])
async def test_a_guardrail_that_fails_takes_the_treatments_off_the_road(
    driver: Driver, *, auto_conclude: bool, paused: bool
) -> None:
    experiment_id = await driver.under_way(guardrails=(LIMIT,), auto_conclude=auto_conclude)
    async with transaction(driver.sessions) as session:
        model = await registry.model(session, MODEL)
        pins = [Pin(unit="tester", version="2.0.0")]
        await traffic.set_overrides(session, model, pins=pins, rules=[], **driver.by)
    await driver.see(experiment_id, {"1.0.0": (200, 150), "2.0.0": (200, 150)}, errors=150)
    if paused:
        await driver.pause(experiment_id)
    await driver.tick()

    step = (await driver.steps(experiment_id))[-1]
    assert step.conclusion is Conclusion.KEEP_CONTROL
    assert "error_rate" in step.reason
    assert await driver.shares() == {"1.0.0": 100}
    async with driver.sessions() as session:
        overrides = await traffic_queries.overrides(session, model.id)
    assert overrides.empty


async def test_a_broken_split_pauses_what_would_conclude_by_itself(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    await driver.see(experiment_id, {"1.0.0": (2_000, 1_400), "2.0.0": (1_400, 1_260)}, after=HOUR)
    await driver.tick()

    experiment = await driver.experiment(experiment_id)
    newest = (await driver.analyses(experiment_id))[-1].analysis
    assert experiment.status is Status.PAUSED
    assert newest.conclusion is Conclusion.INVALID
    assert newest.sample_ratio.mismatch
    assert await driver.shares() == {"1.0.0": 100, "2.0.0": 0}
    assert await open_alerts(driver) == [Kind.SAMPLE_RATIO]
    await driver.stop(experiment_id)
    assert await driver.shares() == {"1.0.0": 100}
    assert await open_alerts(driver) == []


async def test_the_goal_is_looked_at_by_schedule_and_the_rest_at_every_tick(
    driver: Driver,
) -> None:
    """A two-hundredth of ten hours is three minutes."""
    experiment_id = await driver.under_way(guardrails=(LIMIT,))
    minute = timedelta(minutes=1)
    for n in range(1, 8):
        await driver.see(
            experiment_id, {"1.0.0": (150 * n, 105 * n), "2.0.0": (150 * n, 105 * n)}, after=minute
        )
        await driver.tick(timedelta())

    analyses = await driver.analyses(experiment_id)
    assert [(found.trigger.value, found.at_goal) for found in analyses] == [
        ("tick", False),
        ("schedule", True),
        ("schedule", True),
    ]
    assert [found.number for found in analyses] == [1, 2, 3]
    assert [found.at - analyses[0].at for found in analyses[1:]] == [2 * minute, 5 * minute]


async def test_after_the_last_look_there_are_no_more(driver: Driver) -> None:
    experiment_id = await driver.under_way(max_duration=HOUR)
    await driver.see(experiment_id, {"1.0.0": (900, 630), "2.0.0": (900, 640)}, after=HOUR)
    await driver.tick()
    before = len(await driver.analyses(experiment_id))
    for _ in range(3):
        await driver.see(experiment_id, {"1.0.0": (900, 630), "2.0.0": (900, 640)})
        await driver.tick(HOUR / 100)
    newest = (await driver.analyses(experiment_id))[-1]

    assert len(await driver.analyses(experiment_id)) == before
    assert newest.analysis.conclusion is not Conclusion.KEEP_RUNNING


async def test_every_stored_analysis_is_made_again_from_what_is_stored_with_it(
    driver: Driver,
) -> None:
    latency = Metric(metric="latency_mean")
    experiment_id = await driver.under_way(guardrails=(LIMIT,), secondary=(latency,), **BY_ITSELF)
    for n, better in ((120, 0), (300, 10), (500, 25), (1_500, 300)):
        await driver.see(
            experiment_id,
            {"1.0.0": (n, n * 7 // 10), "2.0.0": (n, n * 7 // 10 + better)},
            after=HOUR / 4,
        )
        await driver.tick()
    plan = (await driver.experiment(experiment_id)).plan
    analyses = await driver.analyses(experiment_id)

    assert len(analyses) >= 4
    for found in analyses:
        again, _ = analyse(
            plan,
            found.progress,
            found.evidence,
            found.sequences,
            now=found.at,
            look=found.at_goal,
        )
        assert again == found.analysis


async def test_a_winner_that_may_not_take_the_traffic_leaves_the_control(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR)
    await driver.move("2.0.0", Lifecycle.REJECTED)
    await driver.tick()

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.winner, step.serves) == (Conclusion.SHIP, "2.0.0", "1.0.0")
    assert "2.0.0 was not promoted: version 2.0.0 of fraud-detection is rejected" in step.reason
    assert await driver.shares() == {"1.0.0": 100}


async def test_a_control_that_cannot_answer_calls_somebody(driver: Driver) -> None:
    experiment_id = await driver.under_way(guardrails=(LIMIT,))
    await driver.see(experiment_id, {"1.0.0": (200, 150), "2.0.0": (200, 150)}, errors=150)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.tick()
    stands = (await driver.experiment(experiment_id)).status, await open_alerts(driver)
    await driver.move("1.0.0", Lifecycle.DEVELOPMENT)
    await forget_leases(driver)
    await driver.tick()

    assert stands == (Status.RUNNING, [Kind.ACTION_FAILED])
    assert await driver.shares() == {"1.0.0": 100}
    assert await open_alerts(driver) == []


async def forget_leases(driver: Driver) -> None:
    async with transaction(driver.sessions) as session:
        await session.execute(update(Experiment).values(lease_until=None))


async def open_alerts(driver: Driver) -> list[Kind]:
    async with driver.sessions() as session:
        found = await alerts.newest_open(session, models=None, limit=10)
        return [alert.kind for alert in found]


async def test_an_experiment_that_fails_does_not_hold_up_the_others(driver: Driver) -> None:
    broken = await driver.under_way(model="broken", **BY_ITSELF)
    sound = await driver.under_way(model="sound", **BY_ITSELF)
    for experiment_id in (broken, sound):
        await driver.see(
            experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR
        )
    async with transaction(driver.sessions) as session:
        taken = (await driver.steps(broken))[0]
        session.add(
            ExperimentStep(
                experiment_id=broken,
                step=3,
                event=taken.event,
                to_status=taken.to_status,
                reason="taken already",
                actor="somebody",
                at=driver.clock(),
            )
        )

    with pytest.raises(ExceptionGroup, match="could not be moved on"):
        await driver.tick()
    assert (await driver.experiment(sound)).status is Status.CONCLUDED
    assert (await driver.experiment(broken)).status is Status.RUNNING
    assert await driver.analyses(broken) == []


async def test_sums_that_cannot_be_right_conclude_nothing(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}, after=HOUR)
    async with transaction(driver.sessions) as session:
        broken = update(ArmTotal).where(ArmTotal.metric == "accuracy")
        await session.execute(broken.values(x=2_000, x2=3_000, xn=2_000))
    await driver.tick()

    (newest,) = await driver.analyses(experiment_id)
    assert newest.analysis.conclusion is Conclusion.INVALID


async def test_a_clock_that_was_set_back_stops_no_experiment(driver: Driver) -> None:
    experiment_id = await driver.under_way(**BY_ITSELF)
    await driver.tick(HOUR)
    await driver.see(experiment_id, {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)})
    await driver.tick(-HOUR / 2)

    assert (await driver.experiment(experiment_id)).status is Status.CONCLUDED


@pytest.mark.parametrize("models", [1, 4])
async def test_a_beat_reads_stored_totals_in_so_many_statements(
    driver: Driver, models: int
) -> None:
    """However many experiments there are: claim, arms, totals, and one update of all."""
    for number in range(models):
        experiment_id = await driver.under_way(model=f"model-{number}")
        await driver.see(experiment_id, {"1.0.0": (500, 350), "2.0.0": (500, 350)})
    await driver.tick()
    statements: list[str] = []
    async with driver.sessions() as session:
        connection = (await session.connection()).sync_connection
    assert connection is not None

    def note(_: object, __: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    await driver.tick(SECOND)
    event.remove(connection, "before_cursor_execute", note)

    read = [text for text in statements if not text.startswith(("SAVEPOINT", "RELEASE"))]
    assert len(read) == 4 + 1
    assert not [text for text in read if " prediction " in text or " outcome " in text]
