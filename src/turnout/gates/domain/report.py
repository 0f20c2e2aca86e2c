"""What gates found: one check for every figure, and what follows from all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from turnout.gates.domain.policy import Gate


class Result(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """The gate itself could not say: it never passes, and never rejects a version either."""

    SKIPPED = "skipped"
    """There was nothing to check, and the reason says why; it does not stand in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    result: Result
    reason: str
    value: int | float | str | None = None
    limit: int | float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A gate as the policy states it, and what was found at it.

    `ran_at` tells when a slow gate ran: a report may go by what it found before.
    """

    gate: Gate
    checks: tuple[Check, ...]
    ran_at: datetime | None = None

    @property
    def passed(self) -> bool:
        return verdict(self.checks) is Result.PASS

    def ran_since(self, earliest: datetime) -> bool:
        return self.ran_at is not None and self.ran_at > earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All gates on the way to one stage, in the policy's order.

    `compared_with` is the version that was in production; None if there was none.
    """

    verdict: Result
    compared_with: str | None
    findings: tuple[Finding, ...]

    @property
    def obstacles(self) -> tuple[Check, ...]:
        """The checks that stand in the way."""
        return tuple(
            check
            for finding in self.findings
            for check in finding.checks
            if check.result in {Result.FAIL, Result.ERROR}
        )

    @property
    def condemns(self) -> bool:
        """Whether something is wrong with the version itself.

        A sign-off that is still to come is not, and neither is a gate that could not say.
        """
        return any(
            check.result is Result.FAIL
            for finding in self.findings
            if not finding.gate.awaits_others
            for check in finding.checks
        )


def verdict(checks: Iterable[Check]) -> Result:
    """Failure is worse than not knowing, and neither passes."""
    results = {check.result for check in checks}
    return next((worst for worst in (Result.FAIL, Result.ERROR) if worst in results), Result.PASS)


def report(findings: Iterable[Finding], *, compared_with: str | None) -> Report:
    findings = tuple(findings)
    return Report(
        verdict=verdict(check for finding in findings for check in finding.checks),
        compared_with=compared_with,
        findings=findings,
    )
