"""How routes come by what runs slow gates."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from turnout import http
from turnout.gates import moves
from turnout.gates.runs import Runner
from turnout.http import Actor, Resources, Work
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionRef


async def runner(request: Request) -> Runner:
    found: Runner = request.app.state.gates
    return found


Gates = Annotated[Runner, Depends(runner)]


@dataclass(frozen=True, slots=True)
class Clearance:
    """Has slow gates run, before the transaction is opened that goes by what they found."""

    resources: Resources
    gates: Runner
    actor: str

    async def before_production(self, versions: Iterable[VersionRef], reason: str | None) -> None:
        for version in versions:
            if version.stage is not Lifecycle.PRODUCTION:
                asked = moves.Request(
                    version=version, to=Lifecycle.PRODUCTION, actor=self.actor, reason=reason
                )
                known = self.resources
                await moves.clear(known.sessions, self.gates, asked, clock=known.clock)


async def clearance(
    resources: Annotated[Resources, Depends(http.resources)], gates: Gates, actor: Actor, work: Work
) -> Clearance:
    await work.check_unanswered()
    return Clearance(resources, gates, actor)


Clearing = Annotated[Clearance, Depends(clearance)]
