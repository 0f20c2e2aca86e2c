"""Users who ask the model, and the truth about their digits, which is known a while later."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import msgspec

from turnout.demo.models import MODEL, HeldOut, Pace
from turnout.demo.service import UNANSWERED, DemoFailed, Service

CALLERS: Final = 20
USERS: Final = 2_000
LABELS_EVERY: Final = 0.25
"""Seconds between two batches of labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    prediction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    rejected: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    at: float
    prediction_id: str
    label: str


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Draws users and held-out rows at random, with replacement, at a steady rate.

    There are fewer rows than requests, so rows come again; each request is still an independent
    draw, which is what the judgement of the versions assumes.
    """

    service: Service
    held_out: HeldOut
    pace: Pace
    answered: int = 0
    failed: int = 0
    first_failure: str = ""
    _due: deque[_Due] = field(default_factory=deque)
    _random: random.Random = field(default_factory=random.Random)

    @property
    def sent(self) -> int:
        return self.answered + self.failed

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for place in range(CALLERS):
                tasks.create_task(self._call(first=place / self.pace.requests_per_second))
            tasks.create_task(self._tell_the_truth())

    async def _call(self, *, first: float) -> None:
        clock = asyncio.get_running_loop().time
        pause = CALLERS / self.pace.requests_per_second
        due = clock() + first
        while True:
            await asyncio.sleep(max(0.0, due - clock()))
            # A service that is slow gets fewer requests, not a burst of overdue ones.
            due = max(due + pause, clock())
            await self._predict()

    async def _predict(self) -> None:
        row = self._random.randrange(len(self.held_out))
        body = {
            "unit": f"user-{self._random.randrange(USERS):04}",
            "inputs": self.held_out.pixels[row],
        }
        try:
            reply = await self.service.ask("POST", f"/models/{MODEL}/predict", body)
        except UNANSWERED as error:
            self._fail(repr(error))
            return
        if not reply.good:
            self._fail(str(reply))
            return
        answer = msgspec.json.decode(reply.content, type=_Answer)
        self.answered += 1
        self._due.append(
            _Due(
                at=asyncio.get_running_loop().time() + self.pace.label_delay,
                prediction_id=answer.prediction_id,
                label=self.held_out.labels[row],
            )
        )

    def _fail(self, why: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or why

    async def _tell_the_truth(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LABELS_EVERY)
            outcomes = []
            while self._due and self._due[0].at <= clock():
                due = self._due.popleft()
                outcomes.append({"prediction_id": due.prediction_id, "label": due.label})
            if not outcomes:
                continue
            batch = {"batch_id": str(uuid4()), "outcomes": outcomes}
            report = await self.service.send(
                "POST", f"/models/{MODEL}/observations", batch, view=_Report
            )
            if report.rejected:
                raise DemoFailed(f"labels were rejected: {report.rejected[:3]}")
