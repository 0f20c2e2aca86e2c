"""A rollback rehearsed: everything but the move itself."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionRef
from turnout.rollouts import queries
from turnout.rollouts.commands.restore import CandidateUnderWay, destination
from turnout.traffic.domain.split import check_servable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Where a rollback would lead, or why it would be refused."""

    target: VersionRef | None
    leaving: VersionRef | None = None
    obstacle: str | None = None


async def rehearse(session: AsyncSession, model_name: str, to_version: str | None) -> Rehearsal:
    """Find and check what a rollback of this model would go to now; change nothing."""
    model = await registry.model(session, model_name)
    named = None
    if to_version is not None:
        named = await registry.version(session, model.id, to_version)
    target, leaving = named, None
    try:
        live = await queries.live(session, model.id)
        if live is None or live.baseline_id is None:
            target, leaving = await destination(session, model, named)
        else:
            known = await registry.versions_by_id(session, [live.candidate_id, live.baseline_id])
            leaving = known[live.candidate_id]
            target = named or known[live.baseline_id]
            if target.id == leaving.id:
                raise CandidateUnderWay(target, live)
            check_servable(target)
    except Conflict as refusal:
        return Rehearsal(target=target, leaving=leaving, obstacle=refusal.detail)
    return Rehearsal(target=target, leaving=leaving)
