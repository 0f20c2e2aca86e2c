"""A service that runs its own model, and lets Turnout decide which version answers whom.

    .venv/bin/uvicorn --app-dir examples ticket_service:app --port 8001

A support desk's router sends tickets to teams by the words in them. A version of it is a list of
words; yours would be a file that is loaded. Latency, errors and confidence of each version are
recorded beside the answers, and what the support staff corrects is recorded as feedback, so that
an experiment or a canary of `help-desk` sees how each version does.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from turnout.client import AsyncTurnout, Conflict, Scored

MODEL = "help-desk"
WORDS: Mapping[str, Mapping[str, str]] = {
    "1.0.0": {"invoice": "billing", "crash": "support"},
    "2.0.0": {"invoice": "billing", "refund": "billing", "crash": "support", "slow": "support"},
}
OTHERS = "reception"

client = AsyncTurnout()  # TURNOUT_URL and TURNOUT_API_KEY say where and who


@asynccontextmanager
async def living(_: FastAPI) -> AsyncIterator[None]:
    """Make sure that there is something to route to, and send what is recorded to the end."""
    async with client:
        for version in WORDS:
            try:
                await client.register_version(MODEL, version)
                if version == "1.0.0":
                    await client.promote(MODEL, version)
            except Conflict:  # another replica, or an earlier run, has done it
                pass
        yield


app = FastAPI(title="Ticket router", lifespan=living)


@dataclass
class Ticket:
    user: str
    text: str


@dataclass
class Sent:
    team: str
    version: str
    variant: str
    experiment: str | None
    prediction_id: str


@dataclass
class Correction:
    prediction_id: str
    team: str


async def load(version: str) -> Mapping[str, str]:
    """Called once for each version, when its first user comes."""
    return WORDS[version]


@client.experiment("help-desk-2.0", model=MODEL, load=load, default="1.0.0")
async def team_for(words: Mapping[str, str], text: str) -> Scored[str]:
    found = [team for word, team in words.items() if word in text.lower()]
    team = found[0] if found else OTHERS
    return Scored(team, label=team, confidence=0.9 if found else 0.3)


@app.post("/tickets")
async def send_ticket(ticket: Ticket) -> Sent:
    answer = await team_for(ticket.user, ticket.text)
    return Sent(
        team=answer.value,
        version=answer.version,
        variant=answer.variant,
        experiment=answer.experiment,
        prediction_id=answer.prediction_id,
    )


@app.post("/corrections", status_code=202)
async def correct_ticket(correction: Correction) -> None:
    client.record_feedback(MODEL, prediction_id=correction.prediction_id, label=correction.team)
