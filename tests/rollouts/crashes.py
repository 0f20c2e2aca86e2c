"""Processes that die in the place of a commit."""

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session

from turnout.db import Sessions


class Crash(Exception):
    pass


class MortalSession(Session):
    """Dies when it is to commit and has no commit left."""

    commits_left = 0


@event.listens_for(MortalSession, "before_commit")
def die(session: Session) -> None:
    MortalSession.commits_left -= 1
    if MortalSession.commits_left < 0:
        raise Crash


def mortal_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False, sync_session_class=MortalSession)
