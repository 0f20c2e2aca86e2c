"""Sends what is due, many receivers at once, and never waits for one to serve another."""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from standardwebhooks import Webhook as Signer

from turnout import telemetry
from turnout.db import Sessions, lost_connection, transaction
from turnout.delivery.claims import Claim, claim, settle
from turnout.delivery.domain.attempts import Attempt, Fate, State, fate
from turnout.delivery.domain.formats import Message, message, sends
from turnout.delivery.outbox import hand_out
from turnout.delivery.queries import oldest_waiting
from turnout.outgoing import CallFailed, Calls
from turnout.quantities import Clock
from turnout.tracing import TRACES

AT_ONCE: Final = 64
DEADLINE: Final = timedelta(seconds=15)
LARGEST_ANSWER: Final = 1_000_000
KEPT_OF_ANSWER: Final = 500


class Courier:
    """`beat` starts what is due and returns; `rest` waits for what is under way.

    An attempt is sent between two transactions. A worker that is killed there has sent something
    that nobody wrote down: it is sent again, under the same id, once the lease is over.
    """

    def __init__(
        self,
        sessions: Sessions,
        calls: Calls,
        *,
        clock: Clock,
        delays: Sequence[timedelta],
        public_url: str | None,
    ) -> None:
        self._sessions = sessions
        self._calls = calls
        self._clock = clock
        self._delays = delays
        self._public_url = public_url
        self._under_way: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._resting = False

    async def beat(self) -> None:
        await hand_out(self._sessions, now=self._clock())
        await self._start_due()
        async with self._sessions() as session:
            since = await oldest_waiting(session)
        age = 0.0 if since is None else (self._clock() - since).total_seconds()
        telemetry.OUTBOX_AGE.set(max(0.0, age))

    async def rest(self) -> None:
        """Let what is under way finish, and start nothing more."""
        self._resting = True
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def settled(self) -> None:
        """Wait until nothing more is due."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _start_due(self) -> None:
        async with self._claiming:  # two at once would both take the room that there is
            room = AT_ONCE - len(self._under_way)
            if room <= 0 or self._resting:
                return
            async with transaction(self._sessions) as session:
                claims = await claim(session, now=self._clock(), limit=room)
            for each in claims:
                task = asyncio.create_task(self._carry(each))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _carry(self, claim: Claim) -> None:
        try:
            with TRACES.apart(f"deliver {claim.event.type}", _traced(claim)):
                attempt, decided = await self._outcome(claim)
                async with transaction(self._sessions) as session:
                    await settle(session, claim, attempt, decided, clock=self._clock)
            outcome = "retried" if decided.state is State.PENDING else decided.state.value
            telemetry.DELIVERIES.labels(outcome).inc()
            await self._start_due()  # what waited for this one goes out at once
        except Exception as error:  # noqa: BLE001  (the lease brings it back)
            telemetry.log.warning(
                "a delivery's attempt was not written down",
                delivery=str(claim.delivery_id),
                error=repr(error),
                exc_info=None if lost_connection(error) else error,
            )

    async def _outcome(self, claim: Claim) -> tuple[Attempt, Fate]:
        kind = claim.event.type
        if not sends(claim.format, kind):  # it was handed out for the format before
            at, why = self._clock(), f"the format {claim.format} has nothing to say of {kind}"
            attempt = Attempt(at=at, duration_ms=0, error=why)
            return attempt, Fate(state=State.CANCELLED, due_at=at)
        attempt, retry_after = await self._attempt(claim)
        return attempt, fate(
            attempt,
            claim.number,
            delays=self._delays,
            draw=random.random(),  # noqa: S311  (it spreads load and guards nothing)
            retry_after=retry_after,
        )

    async def _attempt(self, claim: Claim) -> tuple[Attempt, str | None]:
        at, began = self._clock(), time.perf_counter()
        sent = message(
            claim.event, claim.format, secret=claim.secrets[0], public_url=self._public_url
        )
        try:
            answer = await self._calls.send(
                "POST",
                claim.url,
                body=sent.body.encode(),
                headers=self._headers(claim, sent),
                deadline=DEADLINE,
                limit=LARGEST_ANSWER,
            )
        except CallFailed as error:
            took = (time.perf_counter() - began) * 1000
            return Attempt(at=at, duration_ms=took, error=error.detail), None
        attempt = Attempt(
            at=at,
            duration_ms=(time.perf_counter() - began) * 1000,
            status=answer.status,
            answer=_beginning(answer.body),
        )
        return attempt, answer.headers.get("Retry-After")

    def _headers(self, claim: Claim, sent: Message) -> dict[str, str]:
        headers = {"Content-Type": sent.content_type}
        if not claim.format.signed:
            return headers
        identity, now = f"msg_{claim.delivery_id.hex}", self._clock()
        signatures = (Signer(secret).sign(identity, now, sent.body) for secret in claim.secrets)
        return headers | {
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def _traced(claim: Claim) -> dict[str, str | int]:
    return {
        "turnout.webhook": str(claim.webhook_id),
        "turnout.delivery": str(claim.delivery_id),
        "turnout.attempt": claim.number,
    }


def _beginning(body: bytes) -> str:
    """What of an answer is kept: text that PostgreSQL can hold."""
    return body[:KEPT_OF_ANSWER].decode(errors="replace").replace("\x00", "�")
