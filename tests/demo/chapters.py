"""Plain functions that make what the service might have answered."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from turnout.demo.models import Quality, Release, TrainedModel
from turnout.demo.story import Chapter
from turnout.demo.views import (
    Finding,
    Guardrail,
    Judged,
    Look,
    Plan,
    PlannedStage,
    Rollout,
    Split,
    Stage,
    Step,
    Variant,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def release(quality: Quality = Quality.BROKEN, version: str = "1.2.0") -> Release:
    model = TrainedModel(
        quality=quality, description="Some trees", onnx=b"", accuracy=0.99, training_rows=800
    )
    return Release(version=version, model=model)


def judged(
    verdict: str = "fail", *, candidate: float = 0.4, labels: int = 50, reason: str = "harm shown"
) -> Judged:
    return Judged(
        guardrail=Guardrail(
            metric="accuracy", max=None, min=None, max_increase=None, max_decrease=0.03
        ),
        finding=Finding(
            verdict=verdict,
            candidate=candidate,
            baseline=0.9,
            n_candidate=labels,
            n_baseline=450,
            reason=reason,
        ),
    )


def look(number: int, *, after: float = 0, verdict: str = "fail") -> Look:
    return Look(
        id=number,
        at=NOON + timedelta(seconds=after),
        verdict=verdict,
        reason="accuracy at most 0.03 below the baseline: harm shown",
        findings=[judged(verdict)],
    )


def step(
    number: int,
    event: str,
    *,
    after: float = 0,
    weight: float = 10,
    actor: str = "worker",
    evidence: int | None = None,
) -> Step:
    return Step(
        step=number,
        at=NOON + timedelta(seconds=after),
        event=event,
        weight=weight,
        verdict=None if evidence is None else "fail",
        reason=f"because of {event}",
        actor=actor,
        evidence=evidence,
    )


def rollout(phase: str = "rolled_back") -> Rollout:
    return Rollout(
        id="0195",
        candidate="1.2.0",
        baseline="1.1.0",
        phase=phase,
        stage=Stage(index=0, of=2),
        plan=Plan(stages=[PlannedStage(weight=10), PlannedStage(weight=100)]),
        reason="because",
        waiting_for=None,
        findings=[judged()],
        finished_at=NOON,
    )


def chapter(
    quality: Quality = Quality.BROKEN,
    *,
    phase: str = "rolled_back",
    actor: str = "worker",
    serving: Sequence[Variant] = (Variant(version="1.1.0", weight=100),),
    production: str = "1.1.0",
) -> Chapter:
    steps = [
        step(1, "started", actor="developer"),
        step(2, phase, after=2.9, weight=0, actor=actor, evidence=7),
    ]
    return Chapter(
        release=release(quality),
        rollout=rollout(phase),
        steps=steps,
        looks=[look(6, verdict="no_data"), look(7, after=2.9)],
        serving=Split(variants=serving),
        production=production,
    )
