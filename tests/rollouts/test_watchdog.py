from datetime import timedelta

from sqlalchemy import text, update

from tests.factories import NOON
from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.rollouts.commands.watchdog import report_missed
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import OnDeadline, Stage
from turnout.rollouts.tables import Rollout
from turnout.telemetry import ROLLOUTS_MISSED

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def missed(driver: Driver, after: timedelta, *, interval: timedelta = 2 * SECOND) -> int:
    return await report_missed(driver.sessions, now=driver.clock.advance(after), interval=interval)


async def reports(driver: Driver) -> list[tuple[str, str]]:
    query = text("SELECT subject, reason FROM audit_entry WHERE action = 'rollout.missed'")
    async with driver.sessions() as session:
        return [(row.subject, row.reason) for row in await session.execute(query)]


async def test_a_rollout_that_nobody_looks_at_is_reported_once(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    counted = ROLLOUTS_MISSED._value.get()
    found = [await missed(driver, after) for after in (6 * SECOND, SECOND, SECOND)]

    assert found == [0, 1, 0]
    assert ROLLOUTS_MISSED._value.get() == counted + 1
    assert await reports(driver) == [
        (
            f"models/fraud-detection/rollouts/{rollout_id}",
            f"nobody has looked at it since {NOON:%Y-%m-%d %H:%M:%S} UTC",
        )
    ]


async def test_what_was_missed_is_taken_up_again_and_may_be_missed_again(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.see(rollout_id, 200, 10)
    async with transaction(driver.sessions) as session:
        lease = text("now() + interval '1 hour'")  # of a worker that does not come back
        await session.execute(update(Rollout).values(lease_until=lease))
    await driver.tick()
    untouched = await driver.looks(rollout_id)
    await missed(driver, MINUTE)
    await driver.tick()
    again = await missed(driver, MINUTE)

    assert untouched == []
    assert len(await driver.looks(rollout_id)) == 1
    assert again == 1


async def test_what_is_over_or_has_not_begun_is_not_missed(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    scheduled = await driver.start("2.0.0", starts_at=NOON + timedelta(hours=1))

    assert await missed(driver, MINUTE) == 0
    assert (await driver.rollout(scheduled)).phase is Phase.SCHEDULED


async def test_a_worker_that_works_misses_nothing(driver: Driver) -> None:
    await driver.under_way(stages=STAGES)
    for _ in range(10):
        await driver.tick()
        assert await missed(driver, timedelta(), interval=SECOND) == 0


async def test_time_in_which_nobody_looked_is_no_reason_to_give_up(driver: Driver) -> None:
    """A service that was down for an hour goes on where it stopped, and still gives up in time."""
    impatient = Stage(weight=500, bake=10 * MINUTE, on_deadline=OnDeadline.ROLLBACK)
    rollout_id = await driver.under_way(stages=(impatient, STAGES[1]))
    await driver.see(rollout_id, 50, after=MINUTE)
    await driver.tick()
    await driver.tick_after_outage(timedelta(hours=1))
    back = await driver.events(rollout_id)
    await driver.tick(28 * MINUTE)
    waiting = await driver.events(rollout_id)
    await driver.tick(MINUTE)

    assert back == waiting == ["started"]
    assert await driver.events(rollout_id) == ["started", "rolled_back"]
