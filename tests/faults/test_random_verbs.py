"""Two workers and several people on the same models, at once and at random, for a while.

`TURNOUT_FAULT_SECONDS` makes it longer, `TURNOUT_FAULT_SEED` makes it another one.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from httpx2 import AsyncClient
from sqlalchemy import text

from tests.faults import invariants
from tests.faults.conftest import Start
from tests.faults.forks import end, kill, serving
from tests.faults.stops import until
from turnout.db import Sessions

SECONDS = float(os.environ.get("TURNOUT_FAULT_SECONDS", "8"))
SEED = int(os.environ.get("TURNOUT_FAULT_SEED", "4"))

MODELS = ("fraud-detection", "churn-predictor")
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
VERBS = ("approve", "pause", "resume", "promote", "promote", "skip", "abort", "rollback")
EXPERIMENT_VERBS = ("pause", "resume", "analyses", "stop", "conclude")
WANTED = {("start", 201), ("begin", 200), ("report", 202)}
"""What has been done at the end, and with which answer."""
NAMES = count(1)


@dataclass
class Person:
    """Does at random what a person may do; every refusal is a conflict, never a surprise."""

    client: AsyncClient
    random: Random
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def play(self, over: asyncio.Event) -> None:
        acts = (self.roll_out, self.say, self.say, self.report, self.experiment, self.ask)
        while not over.is_set():
            await self.random.choice(acts)(self.random.choice(MODELS))

    async def post(self, what: str, path: str, **body: Any) -> Mapping[str, Any]:
        response = await self.client.post(path, json=body)
        self.answers[what, response.status_code] += 1
        assert response.status_code < 300 or response.status_code in {404, 409}, response.text
        return dict(response.json())

    async def newest(self, path: str, model: str) -> Any:
        items = (await self.client.get(path, params={"model": model, "limit": 3})).json()["items"]
        return self.random.choice(items) if items else None

    async def roll_out(self, model: str) -> None:
        weights = sorted(self.random.sample(range(1, 100), self.random.randint(1, 3)))
        stages = [
            {
                "weight": weight,
                "bake": f"{self.random.choice((0, 0.1, 0.3))}s",
                "approval": self.random.random() < 0.2,
                "guardrails": self.random.choice(([], [{"metric": "error_rate", "max": 0.2}])),
            }
            for weight in weights
        ]
        await self.post(
            "start",
            f"models/{model}/rollouts",
            candidate=self.random.choice(VERSIONS),
            strategy="canary",
            stages=stages,
            on_conflict=self.random.choice(("reject", "reject", "queue", "supersede")),
            rollback_over=self.random.choice((None, None, "0.3s")),
            override_quarantine=True,
            reason="a test",
        )

    async def say(self, model: str) -> None:
        if (found := await self.newest("rollouts", model)) is None:
            return
        verb = self.random.choice(VERBS)
        body: dict[str, Any] = {"reason": "a test"}
        if self.random.random() < 0.5:
            body["expected_stage"] = found["stage"]["index"]
        if verb == "promote":
            body["full"] = self.random.random() < 0.2
        await self.post(verb, f"rollouts/{found['id']}/{verb}", **body)

    async def report(self, model: str) -> None:
        """Let every arm of the split in force have answered, one in five times very badly."""
        split = (await self.client.get(f"models/{model}/split")).json()
        wrong = self.random.random() < 0.2
        await self.post(
            "report",
            f"models/{model}/observations",
            predictions=[
                {
                    "prediction_id": f"p-{next(NAMES)}",
                    "version": variant["version"],
                    "split_id": split["split_id"],
                    "unit": f"user-{next(NAMES)}",
                    "error": wrong and variant["name"] != "baseline",
                }
                for variant in split["variants"]
                for _ in range(60)
            ],
        )

    async def experiment(self, model: str) -> None:
        control, treatment = self.random.sample(VERSIONS, 2)
        made = await self.post(
            "create",
            f"models/{model}/experiments",
            key=f"experiment-{next(NAMES)}",
            control=control,
            treatments=[{"version": treatment}],
            goal={"metric": "accuracy", "minimum_detectable_effect": 0.1},
            guardrails=[{"metric": "error_rate", "max": 0.2}],
            min_sample_size=100,
            target_sample_size=400,
            max_duration="2s",
            auto_conclude=True,
            promote_winner=True,
        )
        await self.post("begin", f"experiments/{made['id']}/start")

    async def ask(self, model: str) -> None:
        if (found := await self.newest("experiments", model)) is not None:
            verb = self.random.choice(EXPERIMENT_VERBS)
            await self.post(f"experiment {verb}", f"experiments/{found['id']}/{verb}")


def done(people: Sequence[Person]) -> Counter[tuple[str, int]]:
    return sum((person.answers for person in people), Counter())


async def end_in_time(people: Sequence[Person], over: asyncio.Event) -> None:
    """After a while, and not before all was done once: on a busy machine that takes longer."""

    async def everything() -> bool:
        return set(done(people)) >= WANTED

    try:
        await asyncio.sleep(SECONDS)
        await until(everything, "a rollout, an experiment and a report")
    finally:
        over.set()


async def replace_workers(
    worker: Start,
    random: Random,
    sessions: Sessions,
    people: Sequence[Person],
    over: asyncio.Event,
) -> None:
    """Keep two workers, and kill one of them again and again, once one has come to act: on a busy
    machine none would live long enough for that."""
    workers = [worker(), worker()]
    await until(partial(worker_has_acted, sessions), "a worker takes a step")
    ending = asyncio.create_task(end_in_time(people, over))
    while not over.is_set():
        await asyncio.sleep(random.uniform(0.5, 1.5))
        # In a thread: the people and `watch` have timeouts that a loop which stands still misses.
        await asyncio.to_thread(kill, workers.pop(random.randrange(2)))
        workers.append(await asyncio.to_thread(worker))
    assert [await asyncio.to_thread(end, process) for process in workers] == [0, 0]
    await ending


async def worker_has_acted(sessions: Sessions) -> bool:
    query = text("""
        SELECT 'worker' IN (SELECT actor FROM rollout_step UNION SELECT actor FROM experiment_step)
    """)
    async with sessions() as session:
        return bool(await session.scalar(query))


async def watch(sessions: Sessions, over: asyncio.Event) -> None:
    while not over.is_set():
        await invariants.check(sessions)
        await asyncio.sleep(0.5)


async def test_random_verbs_over_http_with_two_workers(
    worker: Start, sessions: Sessions, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with serving(tmp_path, environment) as url:
        async with AsyncClient(base_url=f"{url}/api/v1/", timeout=30) as client:
            for model in MODELS:
                for version in VERSIONS:
                    await client.post(f"models/{model}/versions", json={"version": version})
                body = {"candidate": "1.0.0", "strategy": "replace"}
                await client.post(f"models/{model}/rollouts", json=body)
            people = [Person(client, Random(f"{SEED}-{n}")) for n in range(3)]
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(replace_workers(worker, Random(SEED), sessions, people, over))
                tasks.create_task(watch(sessions, over))
                for person in people:
                    tasks.create_task(person.play(over))

    await invariants.check(sessions)
