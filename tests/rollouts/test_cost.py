"""What a tick costs where nothing changes: as many statements for many rollouts as for one."""

from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.rollouts.conftest import Driver
from turnout.rollouts.domain.plan import Stage

HOUR = timedelta(hours=1)
STAGES = (Stage(weight=500, bake=HOUR), Stage(weight=10_000, bake=HOUR))


@pytest.fixture
def statements(connection: AsyncConnection) -> list[str]:
    sent: list[str] = []
    event.listen(
        connection.sync_connection,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: sent.append(statement),
    )
    return sent


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
async def test_a_quiet_tick_costs_the_same_for_any_number_of_rollouts(
    driver: Driver, statements: list[str], grouped: bool
) -> None:
    costs = []
    for count in (2, 6):
        models = [f"{count}-{number}" for number in range(count)]
        if grouped:
            await driver.group_under_way(*models, stages=STAGES)
        else:
            for model in models:
                await driver.under_way(model=model, stages=STAGES)
        await driver.tick()
        statements.clear()
        await driver.tick()
        costs.append(len([sent for sent in statements if "SAVEPOINT" not in sent]))

    assert costs[0] == costs[1] < 12
