"""A policy that is set while a registry is taken in, and the other way round."""

import asyncio
import json
from typing import Any

import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON
from turnout.db import Sessions, transaction
from turnout.gates import commands, transfer
from turnout.gates.domain.document import WholeRegistry
from turnout.gates.domain.policy import GatePolicy
from turnout.registry import queries as registry
from turnout.registry.domain.document import ImportConflicts

BY: dict[str, Any] = {"actor": "ada", "now": NOON, "reason": "a race"}


async def document(client: AsyncClient) -> WholeRegistry:
    await client.post("models/fraud-detection/versions", json={"version": "1.0.0"})
    await client.put("models/fraud-detection/gate-policy", json={})
    exported = (await client.get("registry/export")).json()
    exported["models"].append(exported["models"][0] | {"name": "churn-predictor"})
    return TypeAdapter(WholeRegistry).validate_json(json.dumps(exported))


async def set_policy(session: AsyncSession) -> int:
    model = await registry.model(session, "fraud-detection")
    return (await commands.set_policy(session, model, GatePolicy(), **BY)).revision


async def blocked(session: AsyncSession) -> None:
    async with asyncio.timeout(60):
        while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            await asyncio.sleep(0.02)


async def test_a_policy_waits_for_an_import(live_client: AsyncClient, sessions: Sessions):
    whole = await document(live_client)
    async with transaction(sessions) as importing, sessions() as person, sessions() as other:
        await transfer.take_in(importing, whole, dry_run=False, **BY)
        changing = asyncio.create_task(set_policy(person))
        await blocked(other)
        await importing.commit()
        assert await changing == 2
        await person.commit()


async def test_an_import_waits_for_a_policy(live_client: AsyncClient, sessions: Sessions):
    whole = await document(live_client)
    async with transaction(sessions) as person, sessions() as importing, sessions() as other:
        assert await set_policy(person) == 2
        taking = asyncio.create_task(transfer.take_in(importing, whole, dry_run=False, **BY))
        await blocked(other)
        await person.commit()
        with pytest.raises(ImportConflicts, match="gate-policy: its revisions differ"):
            await taking
