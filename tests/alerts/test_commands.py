import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON
from turnout.access.tables import AuditEntry
from turnout.alerts import commands, queries
from turnout.alerts.domain import (
    AcknowledgedAlready,
    AlertOver,
    Hush,
    Kind,
    Quiet,
    Remark,
    Severity,
    Silence,
    State,
)
from turnout.alerts.tables import Alert
from turnout.db import Sessions, transaction
from turnout.events.tables import EventRow

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CAUSE = "thresholds/fraud-detection/1.0.0/error_rate"


async def fire(session: AsyncSession, *, after: timedelta = timedelta(), **other: Any) -> bool:
    fields: dict[str, Any] = {
        "cause": CAUSE,
        "kind": Kind.THRESHOLD,
        "severity": Severity.CRITICAL,
        "subject": "models/fraud-detection/versions/1.0.0",
        "model": "fraud-detection",
        "summary": "1.0.0 fails 7 % of the time",
        "data": {"value": 0.07},
    }
    return await commands.fire(session, **(fields | other), now=NOON + after)


async def told(session: AsyncSession) -> list[str]:
    await session.flush()
    return list(await session.scalars(select(EventRow.type).order_by(EventRow.id)))


async def all_alerts(session: AsyncSession) -> Sequence[Alert]:
    return (await session.scalars(select(Alert).order_by(Alert.id))).all()


async def test_one_cause_has_one_open_alert_with_the_newest_figures(session: AsyncSession):
    assert await fire(session)
    assert not await fire(session, after=MINUTE, summary="now 9 %", data={"value": 0.09})

    (alert,) = await all_alerts(session)
    assert (alert.state, alert.summary, alert.data) == (State.FIRING, "now 9 %", {"value": 0.09})
    assert (alert.fired_at, alert.seen_at) == (NOON, NOON + MINUTE)
    assert await told(session) == ["alert.firing"]


async def test_a_cause_that_comes_back_after_it_was_resolved_is_a_new_alert(session: AsyncSession):
    await fire(session)
    assert await commands.resolve(session, cause=CAUSE, reason="back to 1 %", now=NOON + MINUTE)
    assert not await commands.resolve(session, cause=CAUSE, reason="again", now=NOON + MINUTE)
    assert await fire(session, after=HOUR)

    assert [alert.state for alert in await all_alerts(session)] == [State.RESOLVED, State.FIRING]
    assert await told(session) == ["alert.firing", "alert.resolved", "alert.firing"]


async def test_every_change_is_audited_and_kept(session: AsyncSession):
    await fire(session)
    (alert,) = await all_alerts(session)
    await commands.acknowledge(
        session, alert.id, Remark(reason="on it"), actor="ada", now=NOON + MINUTE
    )
    await commands.resolve(session, cause=CAUSE, reason="back to 1 %", now=NOON + HOUR)
    await session.flush()

    history = await queries.history(session, alert.id)
    assert [(change.state, change.actor, change.reason) for change in history] == [
        ("firing", "worker", "1.0.0 fails 7 % of the time"),
        ("acknowledged", "ada", "on it"),
        ("resolved", "worker", "back to 1 %"),
    ]
    audited = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert [(entry.action, entry.subject) for entry in audited] == [
        (f"alert.{state}", f"alerts/{alert.id}") for state in ("firing", "acknowledged", "resolved")
    ]
    assert await told(session) == ["alert.firing", "alert.acknowledged", "alert.resolved"]


async def test_an_alert_is_acknowledged_once_and_not_when_it_is_over(session: AsyncSession):
    await fire(session)
    (alert,) = await all_alerts(session)
    await commands.acknowledge(session, alert.id, Remark(), actor="ada", now=NOON)

    with pytest.raises(AcknowledgedAlready, match="ada acknowledged"):
        await commands.acknowledge(session, alert.id, Remark(), actor="bob", now=NOON)
    await commands.resolve_by_hand(session, alert.id, Remark(), actor="bob", now=NOON)
    for verb in (commands.acknowledge, commands.resolve_by_hand):
        with pytest.raises(AlertOver):
            await verb(session, alert.id, Remark(), actor="bob", now=NOON)


async def test_what_fires_in_a_silence_is_told_when_it_is_over(session: AsyncSession):
    wish = Hush(model="fraud-detection", duration=HOUR, reason="the feature store moves")
    await commands.hush(session, wish, actor="ada", now=NOON)
    assert await fire(session, after=MINUTE)

    during = await commands.tell_untold(session, now=NOON + HOUR - MINUTE)
    silent = await told(session)
    after = await commands.tell_untold(session, now=NOON + HOUR)

    assert (during, silent, after) == (0, [], 1)
    assert await told(session) == ["alert.firing"]
    assert await commands.tell_untold(session, now=NOON + 2 * HOUR) == 0


async def test_what_is_over_before_its_silence_is_was_never_told(session: AsyncSession):
    wish = Hush(kind=Kind.THRESHOLD, duration=HOUR, reason="known")
    await commands.hush(session, wish, actor="ada", now=NOON)
    await fire(session, after=MINUTE)
    await commands.resolve(session, cause=CAUSE, reason="over", now=NOON + 2 * MINUTE)

    assert await commands.tell_untold(session, now=NOON + 2 * HOUR) == 0
    assert await told(session) == []


@pytest.mark.parametrize("ended_early", [False, True], ids=["runs out", "is lifted"])
async def test_a_silenced_alert_that_fires_on_is_told_again(
    session: AsyncSession, ended_early: bool
):
    await fire(session)
    (alert,) = await all_alerts(session)
    quiet = Quiet(duration=HOUR, reason="the fix is on its way")
    await commands.silence(session, alert.id, quiet, actor="ada", now=NOON)
    at = NOON + HOUR
    assert await commands.tell_untold(session, now=NOON + MINUTE) == 0
    if ended_early:
        at = NOON + 2 * MINUTE
        (silence,) = await queries.silences(session, now=at)
        await commands.lift(session, silence.id, actor="ada", now=at, reason=None)

    assert await commands.tell_untold(session, now=at) == 1
    assert await told(session) == ["alert.firing", "alert.firing"]


async def test_a_silenced_alert_that_is_acknowledged_is_not_told_again(session: AsyncSession):
    await fire(session)
    (alert,) = await all_alerts(session)
    quiet = Quiet(duration=HOUR, reason="the fix is on its way")
    await commands.silence(session, alert.id, quiet, actor="ada", now=NOON)
    await commands.acknowledge(session, alert.id, Remark(), actor="ada", now=NOON)

    assert await commands.tell_untold(session, now=NOON + 2 * HOUR) == 0


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        pytest.param({"alert": 1}, True, id="this alert"),
        pytest.param({"alert": 2}, False, id="another alert"),
        pytest.param({"model": "fraud-detection"}, True, id="its model"),
        pytest.param({"model": "churn-predictor"}, False, id="another model"),
        pytest.param({"kind": Kind.THRESHOLD}, True, id="its kind"),
        pytest.param({"model": "fraud-detection", "kind": Kind.BASELINE}, False, id="another kind"),
    ],
)
def test_a_silence_covers_what_it_names(scope: dict[str, Any], covered: bool):
    nothing = {"alert": None, "model": None, "kind": None}
    silence = Silence(
        id=1, until=NOON, reason="", created_by="ada", created_at=NOON, **(nothing | scope)
    )

    assert silence.covers(1, "fraud-detection", Kind.THRESHOLD) is covered


async def test_two_workers_that_find_one_cause_at_once_fire_one_alert(sessions: Sessions):
    async def worker() -> bool:
        async with transaction(sessions) as session:
            return await fire(session)

    found = await asyncio.gather(*(worker() for _ in range(8)))

    async with sessions() as session:
        assert sorted(found) == [False] * 7 + [True]
        assert len(await all_alerts(session)) == 1
        assert await told(session) == ["alert.firing"]


async def test_of_two_people_who_acknowledge_at_once_one_is_refused(sessions: Sessions):
    async with transaction(sessions) as session:
        await fire(session)
        (alert,) = await all_alerts(session)

    async def person(name: str) -> None:
        async with transaction(sessions) as session:
            await commands.acknowledge(session, alert.id, Remark(), actor=name, now=NOON)

    outcomes = await asyncio.gather(person("ada"), person("bob"), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {AcknowledgedAlready, type(None)}
    async with sessions() as session:
        assert await told(session) == ["alert.firing", "alert.acknowledged"]


async def test_a_silence_waits_for_nobody_who_is_at_an_alert(sessions: Sessions):
    """They take alerts in whatever order, and would wait for one that the silence holds."""
    async with transaction(sessions) as session:
        for cause in ("a", "b"):
            await fire(session, cause=cause)

    async def beat(after: timedelta) -> int:
        async with transaction(sessions) as session:
            return await commands.tell_untold(session, now=NOON + after)

    async with transaction(sessions) as holding, transaction(sessions) as silencing:
        await fire(holding, cause="b")
        hush = Hush(model="fraud-detection", duration=HOUR, reason="planned work")
        await commands.hush(silencing, hush, actor="ada", now=NOON)
        await silencing.commit()
        await fire(holding, cause="a")

    assert [await beat(after) for after in (MINUTE, HOUR + MINUTE, HOUR + MINUTE)] == [0, 2, 0]
