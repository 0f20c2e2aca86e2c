from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests import factories
from tests.experiments.conftest import HOUR, MODEL, Driver
from turnout.db import transaction
from turnout.experiments.commands.create import KeyTaken, NotDeletable, delete_draft
from turnout.experiments.commands.start import (
    CannotConclude,
    ControlDoesNotAnswer,
    ExperimentUnderWay,
    NothingToPlanBy,
)
from turnout.experiments.domain.machine import NotADraft, NotMended, NotStarted, NoWinner
from turnout.experiments.domain.plan import Treatment, plan_hash
from turnout.experiments.domain.state import Conclusion, Status
from turnout.observations.domain.metric import Goal
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelNotFound, StillUsed, VersionNotFound
from turnout.traffic.domain.split import SplitOwned, VersionRejected

BETTER = {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}
DAY = timedelta(days=1)


async def test_a_draft_moves_no_traffic_and_its_history_begins(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.split_by_hand({"1.0.0": 10_000})
    experiment_id = await driver.create()

    experiment = await driver.experiment(experiment_id)
    assert (experiment.status, experiment.plan_hash) == (Status.DRAFT, None)
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.events(experiment_id) == ["created"]
    assert await driver.actions() == ["experiment.created"]


async def test_a_key_is_taken_once_per_model(driver: Driver) -> None:
    for model in (MODEL, "churn"):
        await driver.register("1.0.0", "2.0.0", model=model)
    first = await driver.create(key="colour")
    await driver.create(key="colour", model="churn")
    with pytest.raises(KeyTaken, match="has an experiment 'colour' already") as refused:
        await driver.create(key="colour")

    assert refused.value.facts["experiment"] == str(first)


@pytest.mark.parametrize(
    ("model", "fields", "refusal"),
    [
        pytest.param(MODEL, {"control": "9.0.0"}, VersionNotFound, id="unknown control"),
        pytest.param(
            MODEL,
            {"treatments": (Treatment(version="9.0.0"),)},
            VersionNotFound,
            id="unknown treatment",
        ),
        pytest.param("churn", {}, ModelNotFound, id="unknown model"),
    ],
)
async def test_what_is_not_there_cannot_be_compared(
    driver: Driver, model: str, fields: dict[str, Any], refusal: type[Exception]
) -> None:
    await driver.register("1.0.0", "2.0.0")

    with pytest.raises(refusal):
        await driver.create(model=model, **fields)


async def test_a_version_in_an_experiment_is_not_deleted(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.create()

    with pytest.raises(StillUsed):
        await driver.delete("2.0.0")


async def test_a_deleted_draft_frees_its_key_and_its_versions(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    experiment_id = await driver.create()
    async with transaction(driver.sessions) as session:
        await delete_draft(session, experiment_id, reason="wrong goal", **driver.by)

    again = await driver.create()
    assert again != experiment_id
    assert await driver.actions() == [
        "experiment.created",
        "experiment.deleted",
        "experiment.created",
    ]


async def test_what_was_started_is_kept(driver: Driver) -> None:
    experiment_id = await driver.under_way()

    with pytest.raises(NotDeletable):
        async with transaction(driver.sessions) as session:
            await delete_draft(session, experiment_id, reason=None, **driver.by)


async def test_the_start_locks_the_plan_and_splits_the_traffic(driver: Driver) -> None:
    treatments = (Treatment(version="2.0.0", weight=1_000), Treatment(version="3.0.0", weight=500))
    experiment_id = await driver.under_way("1.0.0", "2.0.0", "3.0.0", treatments=treatments)

    experiment = await driver.experiment(experiment_id)
    split = await driver.split()
    assert await driver.shares() == {"1.0.0": 85, "2.0.0": 10, "3.0.0": 5}
    assert [variant.name for variant in split.variants] == ["control", "2.0.0", "3.0.0"]
    assert (split.owner.kind, split.owner.id) == ("experiment", str(experiment_id))
    assert (split.owned, split.salt) == (True, str(experiment_id))
    assert experiment.progress.split_id == split.id
    assert experiment.started_at == driver.clock()
    assert experiment.plan_hash == plan_hash(experiment.plan)


async def test_a_size_left_open_is_worked_out_from_what_the_control_did(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.split_by_hand({"1.0.0": 10_000})
    await history(driver, units=5_000, right=3_500)
    experiment_id = await driver.create(target_sample_size=None, max_duration=30 * DAY)
    await driver.start(experiment_id)

    experiment = await driver.experiment(experiment_id)
    target = experiment.progress.target_sample_size
    assert target is not None
    assert 1_200 < target < 1_600  # one look at 70 % and five points: 1,251 per variant
    assert experiment.plan.target_sample_size == target


async def test_a_plan_that_could_not_be_concluded_is_refused_with_figures(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.split_by_hand({"1.0.0": 10_000})
    await history(driver, units=200, right=140)
    driver.clock.advance(2 * DAY)
    goal = Goal(metric="accuracy", minimum_detectable_effect=0.01)
    experiment_id = await driver.create(goal=goal, target_sample_size=None, max_duration=3 * DAY)

    with pytest.raises(CannotConclude, match=r"units in all are needed.*target_sample_size"):
        await driver.start(experiment_id)
    assert (await driver.experiment(experiment_id)).status is Status.DRAFT
    assert await driver.shares() == {"1.0.0": 100}


async def test_a_size_cannot_be_worked_out_from_nothing(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    goal = Goal(metric="revenue", direction="increase", minimum_detectable_effect=1.0)
    experiment_id = await driver.create(goal=goal, target_sample_size=None)

    with pytest.raises(NothingToPlanBy, match=r"give target_sample_size, or let 1\.0\.0 run"):
        await driver.start(experiment_id)


async def history(driver: Driver, *, units: int, right: int) -> None:
    """Let the version that answers have been asked by so many units since the split was set."""
    driver.clock.advance(DAY)
    split = await driver.split()
    arm = factories.arm_evidence(
        units,
        last_at=driver.clock(),
        version_id=split.variants[0].version_id,
        outcomes={"accuracy": factories.counted(units, right)},
    )
    async with transaction(driver.sessions) as session:
        await factories.add_evidence(session, split.model_id, split.id, arm)
        await factories.add_minute(
            session, split.model_id, arm.version_id, predictions=units, minute=split.created_at
        )


async def test_a_model_has_one_experiment_at_a_time(driver: Driver) -> None:
    running = await driver.under_way(key="first")
    waiting = await driver.create(key="second")
    with pytest.raises(ExperimentUnderWay, match="'first' of this model is running") as refused:
        await driver.start(waiting)
    await driver.stop(running)
    await driver.start(waiting)

    assert refused.value.facts["experiment"] == str(running)
    assert (await driver.experiment(waiting)).status is Status.RUNNING


async def test_the_database_itself_holds_a_model_to_one_experiment(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    copy = text(
        "INSERT INTO experiment (id, model_id, key, plan, plan_hash, progress, sequences, seen,"
        " analyses, step, fence, due_at, created_by, created_at, started_at)"
        " SELECT gen_random_uuid(), model_id, 'other', plan, plan_hash, progress, sequences, seen,"
        " analyses, step, fence, due_at, created_by, created_at, started_at FROM experiment"
        " WHERE id = :id"
    )
    with pytest.raises(IntegrityError, match="uq_experiment_live"):
        async with transaction(driver.sessions) as session:
            await session.execute(copy, {"id": experiment_id})


async def test_an_experiment_is_started_once(driver: Driver) -> None:
    experiment_id = await driver.under_way()

    with pytest.raises(NotADraft):
        await driver.start(experiment_id)


async def test_a_version_that_is_rejected_is_not_tried(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    experiment_id = await driver.create()
    await driver.move("2.0.0", Lifecycle.REJECTED)

    with pytest.raises(VersionRejected):
        await driver.start(experiment_id)
    assert (await driver.experiment(experiment_id)).status is Status.DRAFT


async def test_while_an_experiment_runs_nobody_else_moves_the_traffic(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    sentence = (
        f"experiment {experiment_id} decides where this model's traffic goes:"
        f" stop or conclude it first"
    )
    with pytest.raises(SplitOwned, match=sentence):
        await driver.split_by_hand({"1.0.0": 10_000})
    with pytest.raises(SplitOwned, match=sentence):
        await driver.roll_out("2.0.0", baseline="1.0.0")
    with pytest.raises(SplitOwned, match=sentence):
        await driver.restore("1.0.0")

    assert await driver.shares() == {"1.0.0": 50, "2.0.0": 50}


async def test_while_a_rollout_runs_no_experiment_starts(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.split_by_hand({"1.0.0": 10_000})
    rollout_id = await driver.roll_out("2.0.0")
    experiment_id = await driver.create()

    with pytest.raises(SplitOwned, match=f"rollout {rollout_id} decides .* finish it first"):
        await driver.start(experiment_id)


async def test_a_control_that_does_not_answer_is_refused(driver: Driver) -> None:
    """All traffic of what answers would go to it, and stay there."""
    await driver.register("1.0.0", "2.0.0", "3.0.0")
    await driver.split_by_hand({"3.0.0": 10_000})
    experiment_id = await driver.create()

    with pytest.raises(ControlDoesNotAnswer, match=r"not answer now, 3\.0\.0 would"):
        await driver.start(experiment_id)
    assert await driver.shares() == {"3.0.0": 100}


async def test_a_rollout_that_names_no_baseline_is_told_of_the_experiment(driver: Driver) -> None:
    await driver.under_way()
    await driver.register("3.0.0")

    with pytest.raises(SplitOwned, match="stop or conclude it first"):
        await driver.roll_out("3.0.0")


async def test_a_resumed_experiment_goes_on_with_the_same_units(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    before = await driver.split()
    driver.clock.advance(HOUR)
    await driver.pause(experiment_id)
    paused = await driver.shares()
    driver.clock.advance(5 * HOUR)
    await driver.resume(experiment_id)
    after = await driver.split()
    driver.clock.advance(HOUR)

    assert paused == {"1.0.0": 100, "2.0.0": 0}
    assert (after.id, after.salt, after.owned) == (before.id, before.salt, True)
    progress = (await driver.experiment(experiment_id)).progress
    assert progress.split_id == before.id
    assert progress.elapsed(driver.clock()) == 2 * HOUR
    assert await driver.events(experiment_id) == ["created", "started", "paused", "resumed"]


async def test_stopped_it_concludes_nothing_and_keeps_what_it_showed(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    await driver.see(experiment_id, BETTER, after=HOUR)
    await driver.stop(experiment_id)

    step = (await driver.steps(experiment_id))[-1]
    (kept,) = await driver.analyses(experiment_id)
    assert (step.conclusion, step.winner, step.serves) == (None, None, "1.0.0")
    assert (step.analysis, kept.trigger) == (1, "end")
    assert await driver.shares() == {"1.0.0": 100}
    assert not (await driver.split()).owned


@pytest.mark.parametrize(
    ("planned", "asked", "serves"),
    [
        pytest.param(False, None, "1.0.0", id="as planned: not"),
        pytest.param(True, None, "2.0.0", id="as planned: yes"),
        pytest.param(False, True, "2.0.0", id="though it was not planned"),
        pytest.param(True, False, "1.0.0", id="not, though it was planned"),
    ],
)
async def test_a_person_concludes(
    driver: Driver, *, planned: bool, asked: bool | None, serves: str
) -> None:
    experiment_id = await driver.under_way(promote_winner=planned)
    await driver.see(experiment_id, BETTER, after=HOUR)
    await driver.conclude(experiment_id, promote_winner=asked)

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.winner, step.serves) == (Conclusion.SHIP, "2.0.0", serves)
    assert await driver.shares() == {serves: 100}


async def test_no_winner_no_promotion(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    with pytest.raises(NoWinner):
        await driver.conclude(experiment_id, promote_winner=True)
    assert await driver.analyses(experiment_id) == []
    await driver.conclude(experiment_id)

    step = (await driver.steps(experiment_id))[-1]
    assert (step.conclusion, step.serves) == (Conclusion.KEEP_CONTROL, "1.0.0")


async def test_a_look_by_hand_is_stored_and_moves_no_traffic(driver: Driver) -> None:
    experiment_id = await driver.under_way(auto_conclude=True, promote_winner=True)
    await driver.see(experiment_id, BETTER, after=HOUR)
    before = await driver.experiment(experiment_id)
    await driver.analyse(experiment_id)
    after = await driver.experiment(experiment_id)
    (stored,) = await driver.analyses(experiment_id)
    during = await driver.shares()
    await driver.tick()

    assert (stored.trigger, stored.at_goal, stored.plan_hash) == ("person", True, after.plan_hash)
    assert stored.analysis.winner == "2.0.0"
    assert after.sequences != before.sequences
    assert during == {"1.0.0": 50, "2.0.0": 50}
    assert await driver.shares() == {"2.0.0": 100}


async def test_the_database_itself_keeps_an_analysis_as_it_was(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    await driver.analyse(experiment_id)
    with pytest.raises(DBAPIError, match="a row of experiment_analysis is never changed"):
        async with transaction(driver.sessions) as session:
            await session.execute(text("UPDATE experiment_analysis SET number = 2"))


async def test_a_draft_is_not_analysed(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    experiment_id = await driver.create()

    with pytest.raises(NotStarted):
        await driver.analyse(experiment_id)


async def test_what_cannot_be_believed_is_not_resumed(driver: Driver) -> None:
    experiment_id = await driver.under_way(auto_conclude=True)
    await driver.see(experiment_id, {"1.0.0": (2_000, 1_400), "2.0.0": (1_400, 1_260)})
    await driver.tick()

    with pytest.raises(NotMended):
        await driver.resume(experiment_id)
    await driver.conclude(experiment_id)
    assert (await driver.steps(experiment_id))[-1].conclusion is Conclusion.INVALID


async def test_what_is_refused_changes_nothing(driver: Driver) -> None:
    experiment_id = await driver.under_way()
    await driver.see(experiment_id, BETTER, after=HOUR)
    before = await driver.experiment(experiment_id)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    with pytest.raises(VersionRejected):
        await driver.stop(experiment_id)
    after = await driver.experiment(experiment_id)

    assert replace(after.progress) == before.progress
    assert (after.step, after.fence, after.analyses) == (before.step, before.fence, 0)
    assert await driver.analyses(experiment_id) == []
