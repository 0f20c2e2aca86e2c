"""The role that the guide lets own the audit log keeps the service itself from changing it."""

import os
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.access.test_guide import GUIDE
from tests.conftest import administer
from tests.factories import NOON
from turnout import db
from turnout.access import audit_queries
from turnout.access.audit_commands import seal_entries
from turnout.access.commands import audit
from turnout.db import Sessions

SERVICE = f"turnout_{os.getpid()}"
STATEMENTS = GUIDE.partition("```sql\n")[2].partition("```")[0].split(";")[:-1]
OWN_ALL = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT oid::regclass AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', one.name); END LOOP;
END $$
"""


@pytest.fixture
async def service(server: str) -> AsyncIterator[str]:
    """The role that the service has in PostgreSQL."""
    await administer(server, f"CREATE ROLE {SERVICE}")
    yield SERVICE
    await administer(server, f"DROP ROLE {SERVICE}")
    await administer(server, f"DROP ROLE {SERVICE}_audit")


@pytest.fixture
async def parted(service: str, sessions: Sessions) -> Sessions:
    """The service's tables are its own, but for the log."""
    async with db.transaction(sessions) as session:
        await session.execute(text(OWN_ALL.format(role=service)))
        name = await session.scalar(text("SELECT current_database()"))
        for statement in STATEMENTS:
            here = statement.replace("DATABASE turnout", f"DATABASE {name}")
            here = re.sub(r"\bturnout_audit\b", f"{service}_audit", here)
            await session.execute(text(re.sub(r"\bturnout\b", service, here)))
    return sessions


async def as_service(sessions: Sessions, statement: str) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text(f"SET LOCAL ROLE {SERVICE}"))
        await session.execute(text(statement))


async def test_the_service_writes_and_seals_and_changes_nothing(parted: Sessions) -> None:
    async with db.transaction(parted) as session:
        await session.execute(text(f"SET LOCAL ROLE {SERVICE}"))
        audit(session, actor="ann", action="model.edited", subject="models/a", now=NOON)
        await session.flush()
        assert await seal_entries(session) == 1
        assert (await audit_queries.verification(session)).intact
    await as_service(parted, "CREATE TABLE another (id int)")

    for statement in (
        "ALTER TABLE audit_entry DISABLE TRIGGER USER",
        "DROP TRIGGER refuse_audit_change ON audit_entry",
        "UPDATE audit_entry SET reason = 'another'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "DROP TABLE audit_entry CASCADE",
        "DROP FUNCTION refuse_audit_change() CASCADE",
        "DROP SCHEMA public CASCADE",
    ):
        with pytest.raises(DBAPIError, match=r"must be owner|permission denied"):
            await as_service(parted, statement)
