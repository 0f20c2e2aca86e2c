"""Deletes what has had its time: versions first, then the files that no version needs any more."""

import asyncio
import math
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import Sessions, among, transaction
from turnout.registry.commands import delete_version
from turnout.registry.domain.cleanup import Aged, Kept, Retention, reason_to_keep
from turnout.registry.domain.version import StillUsed
from turnout.registry.locks import locked_model
from turnout.registry.tables import Version

LEAVING: Final = ".leaving"
SETTLED_SECONDS: Final = 3_600
"""An upload places its file first and commits the version's claim to it a moment later; a file
younger than this may be one of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    deleted: tuple[str, ...]
    kept: tuple[Kept, ...]


async def clean_up(
    session: AsyncSession, model_id: int, retention: Retention, *, actor: str, now: datetime
) -> Cleaned:
    """Delete a model's versions as the retention says, each by the rules of a single deletion.

    A dry run does the same and takes it back, so that it cannot say anything else.
    """
    await locked_model(session, model_id)
    attempt = await session.begin_nested()
    deleted, kept = [], []
    for rank, version in enumerate(await _newest_first(session, model_id), start=1):
        reason = reason_to_keep(version, rank=rank, retention=retention, now=now)
        if reason is None:
            reason = await _delete(session, version, retention, actor=actor, now=now)
        if reason is None:
            deleted.append(version.version)
        else:
            kept.append(Kept(version=version.version, reason=reason))
    await (attempt.rollback() if retention.dry_run else attempt.commit())
    return Cleaned(deleted=tuple(deleted), kept=tuple(kept))


async def _newest_first(session: AsyncSession, model_id: int) -> list[Aged]:
    query = select(Version.id, Version.version, Version.stage, Version.aliases, Version.created_at)
    query = query.where(Version.model_id == model_id)
    rows = await session.execute(query.order_by(Version.precedence.desc(), Version.id.desc()))
    return [
        Aged(id=id_, version=version, stage=stage, aliases=aliases, created_at=created_at)
        for id_, version, stage, aliases, created_at in rows
    ]


async def _delete(
    session: AsyncSession, version: Aged, retention: Retention, *, actor: str, now: datetime
) -> str | None:
    """Delete a version; why not, if something refers to it."""
    reason = retention.reason or "cleaned up"
    try:
        await delete_version(session, version.id, actor=actor, now=now, reason=reason)
    except StillUsed as used:
        return used.detail
    return None


async def remove_files(sessions: Sessions, root: Path) -> int:
    """Remove the files of the store that no version refers to; how many those were.

    A file is put aside, and the versions are asked again, before it is removed: an upload of the
    same content in between places another one. A process that is killed here leaves a file that
    is put aside, which the next cleanup brings back or removes: nothing that is needed is lost.
    """
    settled = await asyncio.to_thread(_settled, root)
    needed = await _needed(sessions, {path.name for path in settled})
    for path in settled:
        if path.name not in needed:
            await asyncio.to_thread(_put_aside, path)
    aside = await asyncio.to_thread(lambda: list(root.glob(f"??/*{LEAVING}")))
    needed = await _needed(sessions, {path.stem for path in aside})
    return await asyncio.to_thread(_finish, aside, needed)


async def _needed(sessions: Sessions, files: Collection[str]) -> frozenset[str]:
    query = select(Version.file_sha256).where(among(Version.file_sha256, files))
    async with transaction(sessions) as session:
        return frozenset(sha256 for sha256 in await session.scalars(query) if sha256)


def _settled(root: Path) -> list[Path]:
    until = time.time() - SETTLED_SECONDS
    files = [path for path in root.glob("??/*") if path.suffix != LEAVING]
    return [path for path in files if _placed(path) < until]


def _placed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _put_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}{LEAVING}")
    with suppress(FileNotFoundError):
        path.replace(aside)
        if _placed(aside) >= time.time() - SETTLED_SECONDS:  # another upload has just placed it
            _bring_back(aside)


def _finish(aside: Collection[Path], needed: Collection[str]) -> int:
    removed = 0
    for path in aside:
        if path.stem in needed:
            _bring_back(path)
        else:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _bring_back(aside: Path) -> None:
    with suppress(FileExistsError, FileNotFoundError):
        aside.with_suffix("").hardlink_to(aside)
    aside.unlink(missing_ok=True)
