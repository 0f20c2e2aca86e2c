"""Gates that take their time: what was measured or answered, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Final

from turnout.gates.domain.policy import EntryPointGate, LatencyGate, WebhookGate
from turnout.gates.domain.report import Check, Result
from turnout.quantities import as_told

LONGEST: Final = 2_000
"""Of what a gate, or the version itself, says of its trouble, so many characters are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How long each call took, in milliseconds, and on what inputs."""

    latencies: Sequence[float]
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasurable:
    """The version cannot be run from here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The version was run, and did not answer."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a custom gate says of a version."""

    passed: bool
    reason: str
    value: int | float | str | None = None
    limit: int | float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A custom gate did not say anything that can be understood."""

    reason: str


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest rank: of fewer than a hundred values, p99 is the largest."""
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


def latency(gate: LatencyGate, measured: Timed | Unmeasurable | NoAnswer | Broken) -> Check:
    name = f"p99 latency at most {gate.p99_ms:g} ms"
    if not isinstance(measured, Timed):
        result = _without(gate, measured)
        return Check(name=name, result=result, limit=gate.p99_ms, reason=_told(measured.reason))
    p99 = quantile(measured.latencies, 0.99)
    p50 = quantile(measured.latencies, 0.5)
    return Check(
        name=name,
        result=Result.PASS if p99 <= gate.p99_ms else Result.FAIL,
        value=round(p99, 3),
        limit=gate.p99_ms,
        reason=f"{len(measured.latencies)} runs on {measured.inputs}:"
        f" half within {p50:.3g} ms, 99 % within {p99:.3g} ms",
    )


def _without(gate: LatencyGate, measured: Unmeasurable | NoAnswer | Broken) -> Result:
    match measured:
        case Unmeasurable():
            return Result.SKIPPED if gate.unmeasurable == "skip" else Result.FAIL
        case NoAnswer():
            return Result.FAIL
        case Broken():
            return Result.ERROR


def custom(gate: EntryPointGate | WebhookGate, answer: Said | Broken) -> Check:
    match answer:
        case Broken():
            return Check(name=gate.name, result=Result.ERROR, reason=_told(answer.reason))
        case Said():
            strange = [
                value
                for value in (answer.value, answer.limit)
                if isinstance(value, float) and not isfinite(value)
            ]
            if strange:
                reason = f"it answered {strange[0]}, which is no number"
                return Check(name=gate.name, result=Result.ERROR, reason=reason)
            return Check(
                name=gate.name,
                result=Result.PASS if answer.passed else Result.FAIL,
                reason=_told(answer.reason) or ("passed" if answer.passed else "not passed"),
                value=_figure(answer.value),
                limit=_figure(answer.limit),
            )


def _told(text: str) -> str:
    return as_told(text, most=LONGEST)


def _figure(said: int | float | str | None) -> int | float | str | None:
    return _told(said) if isinstance(said, str) else said
