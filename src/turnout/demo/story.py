"""What is done with each version, and how it must end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from turnout.demo.models import MODEL, Pace, Quality, Release
from turnout.demo.service import DemoFailed, Service
from turnout.demo.views import (
    Arm,
    Look,
    Looks,
    Performance,
    Rollout,
    Split,
    Step,
    Steps,
    Version,
)

WORKER: Final = "worker"
POLL_SECONDS: Final = 0.3
GUARDRAILS: Final = (
    # The drop first: it is the reason that a reader understands best.
    {"metric": "accuracy", "max_decrease": 0.03},
    {"metric": "accuracy", "min": 0.80},
    {"metric": "error_rate", "max": 0.05},
    {"metric": "latency_p99", "max_increase": 100},
)
"""Those against the baseline apply below 100 %, where one runs beside the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A rollout at one moment; steps and looks in the order in which they were taken."""

    rollout: Rollout
    steps: Sequence[Step]
    looks: Sequence[Look]
    arms: Sequence[Arm]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A rollout that has ended, with all that is on record about it."""

    release: Release
    rollout: Rollout
    steps: Sequence[Step]
    looks: Sequence[Look]
    serving: Split
    production: str

    def surprises(self) -> list[str]:
        """Where it ended otherwise than the quality of the model makes right."""
        good = self.release.model.quality is not Quality.BROKEN
        version, actor = self.release.version, self.steps[-1].actor
        phase = "succeeded" if good else "rolled_back"
        serves = version if good else self.rollout.baseline
        traffic = ", ".join(
            f"{v.weight:g} % {v.version}" for v in self.serving.variants if v.weight
        )
        found = [
            (self.rollout.phase == phase, f"ended {self.rollout.phase}, not {phase}"),
            (actor == WORKER, f"was ended by {actor}, not by the {WORKER}"),
            (traffic == f"100 % {serves}", f"left the traffic at {traffic}, not 100 % {serves}"),
            (self.production == serves, f"left {self.production} in production, not {serves}"),
        ]
        return [f"{version} {trouble}" for right, trouble in found if not right]


async def publish(service: Service, release: Release, *, parent: str | None, data: str) -> None:
    """Register a version with what is known about it, then upload its file."""
    model, digest = release.model, sha256(release.model.onnx).hexdigest()
    version: dict[str, Any] = {
        "version": release.version,
        "description": model.description,
        "parent_version": parent,
        "run_id": f"demo-{digest[:12]}",
        "dataset_version": data,
        "metrics": {"accuracy": model.accuracy},
        "metadata": {"training_rows": model.training_rows},
        "signature": {
            "inputs": [{"name": "pixels", "dtype": "float32", "shape": [None, 64]}],
            "outputs": [
                {"name": "label", "dtype": "int64", "shape": [None]},
                {"name": "probabilities", "dtype": "float32", "shape": [None, 10]},
            ],
        },
        "artifact": {"sha256": digest, "size": len(model.onnx)},
        "runtime": {
            "kind": "onnx",
            "prediction_output": "label",
            "confidence_output": "probabilities",
        },
    }
    versions = f"/models/{MODEL}/versions"
    await service.send("POST", versions, version, view=Version)
    await service.send("PUT", f"{versions}/{release.version}/artifact", model.onnx, view=Version)


async def go_live(service: Service, version: str) -> Rollout:
    """Release the first version, which has nothing to be compared with."""
    launch = {"candidate": version, "strategy": "replace"}
    rollout = await service.send("POST", f"/models/{MODEL}/rollouts", launch, view=Rollout)
    if rollout.phase != "succeeded":
        raise DemoFailed(f"{version} should be live at once, but its rollout is {rollout.phase}")
    return rollout


async def roll_out(
    service: Service, release: Release, pace: Pace, watch: Callable[[Sight], None]
) -> Chapter:
    """Start a canary and watch the worker until it has ended; touch nothing meanwhile."""
    rollout = await _start(service, release.version, pace)
    deadline = asyncio.get_running_loop().time() + pace.limit
    while not (sight := await _sight(service, rollout.id)).rollout.finished_at:
        watch(sight)
        if asyncio.get_running_loop().time() > deadline:
            raise DemoFailed(
                f"{release.version} is still {sight.rollout.phase} after {pace.limit:g} s:"
                f" {sight.rollout.waiting_for}"
            )
        await asyncio.sleep(POLL_SECONDS)
    watch(sight)
    return Chapter(
        release=release,
        rollout=sight.rollout,
        steps=sight.steps,
        looks=sight.looks,
        serving=await service.read(f"/models/{MODEL}/split", Split),
        production=(await service.read(f"/models/{MODEL}/versions/current", Version)).version,
    )


async def _start(service: Service, version: str, pace: Pace) -> Rollout:
    launch = {
        "candidate": version,
        "strategy": "canary",
        "stages": [{"weight": weight, "bake": bake} for weight, bake in pace.stages],
        "guardrails": GUARDRAILS,
    }
    return await service.send("POST", f"/models/{MODEL}/rollouts", launch, view=Rollout)


async def _sight(service: Service, rollout_id: str) -> Sight:
    """The rollout first: once it has ended, all that is on record about it is there."""
    place = f"/rollouts/{rollout_id}"
    rollout = await service.read(place, Rollout)
    looks = await service.read(f"{place}/evidence?limit=500", Looks)
    steps = await service.read(f"{place}/history?limit=500", Steps)
    performance = await service.read(f"/models/{MODEL}/performance?window=1h", Performance)
    return Sight(
        rollout=rollout,
        steps=steps.items,
        looks=looks.items[::-1],
        arms=performance.versions,
    )
