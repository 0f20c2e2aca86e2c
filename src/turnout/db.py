"""The engine, the declarative base with its constraint names, and typed JSON columns."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, final

import asyncpg
from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, DateTime, Dialect, MetaData, any_, event, literal
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

Sessions = async_sessionmaker[AsyncSession]

LOST_CONNECTION: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)

IDLE_IN_TRANSACTION_SECONDS: Final = 30
"""A process stopped in the middle of a transaction loses it, and its row locks, after this long."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012


@final
class Json(TypeDecorator[Any]):
    """JSONB that holds one value type: validated by the same adapter as the request body."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__(none_as_null=True)
        self.kind = kind
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.validate_python(value)


def among(column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """`IN` for any number of values: one array, where PostgreSQL takes 32,767 parameters."""
    comparison: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(column.type)))
    return comparison


def database_url(text: str) -> URL:
    """Accept what people paste: `postgres://`, `postgresql://` or the asyncpg form."""
    url = make_url(text)
    if url.get_backend_name() not in {"postgres", "postgresql"}:
        raise ValueError(
            f"a PostgreSQL address is wanted, such as postgresql://user:password@host:5432/turnout,"
            f" not {url.drivername}://"
        )
    return url.set(drivername="postgresql+asyncpg")


def create_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    engine = create_async_engine(
        database_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={
            "timeout": 10,
            "server_settings": {
                "application_name": "turnout",
                "jit": "off",
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _discard_if_lost)
    return engine


def _discard_if_lost(connection: Any, *_: object) -> None:
    """Have the pool connect anew for a connection that the server has closed.

    The driver notices that by itself. SQLAlchemy's `pool_pre_ping` asks the server instead, in
    three round trips before every transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def transaction(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """One unit of work outside a request: committed at the end, rolled back on any error."""
    async with sessions() as session, session.begin():
        yield session


def lost_connection(error: BaseException) -> bool:
    """Tell a database that is away or shutting down from a statement that is wrong."""
    if isinstance(error, DBAPIError):
        causes = [error.orig, getattr(error.orig, "__cause__", None)]
        return error.connection_invalidated or any(map(lost_connection, filter(None, causes)))
    # asyncpg calls a value that it cannot encode an InterfaceError, too, but also a ValueError.
    return isinstance(error, LOST_CONNECTION) and not isinstance(error, ValueError)
