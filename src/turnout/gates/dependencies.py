"""How routes come by what runs slow gates."""

from typing import Annotated

from fastapi import Depends, Request

from turnout.gates.runs import Runner


async def runner(request: Request) -> Runner:
    found: Runner = request.app.state.gates
    return found


Gates = Annotated[Runner, Depends(runner)]
