"""What is validated before an update begins, and what follows from what was found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, MaxLen

from turnout.gates.domain.policy import EntryPointGate, Good, WebhookGate
from turnout.gates.domain.report import Check, Result, verdict
from turnout.quantities import STRICT
from turnout.registry.domain.fields import Label, Number


class RuleSeverity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationCheck:
    """The version can be run (it is not rejected, its file is there), and the stages fit it."""

    __pydantic_config__ = STRICT

    kind: Literal["configuration"] = "configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCheck:
    """These metrics of its evaluation are not worse than those of the version in production by
    more than `margin`."""

    __pydantic_config__ = STRICT

    kind: Literal["performance_baseline"] = "performance_baseline"
    metrics: Annotated[tuple[Label, ...], MaxLen(100)] = ("accuracy",)
    margin: Annotated[Number, Ge(0)] = 0.01
    good: Good = Good.HIGHER


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityCheck:
    """It breaks no rule of the approved models, has not been rolled back before, and has all of
    these `tags`, such as `security-reviewed`."""

    __pydantic_config__ = STRICT

    kind: Literal["security"] = "security"
    tags: Annotated[tuple[Label, ...], MaxLen(100)] = ()


KINDS: Final = (ConfigurationCheck, BaselineCheck, SecurityCheck, EntryPointGate, WebhookGate)


@dataclass(frozen=True, slots=True)
class _ByKind:
    """Have pydantic pick the class by `kind`, so that errors speak of that one alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {
            "type": "tagged-union",
            "discriminator": "kind",
            "choices": {
                kind.__dataclass_fields__["kind"].default: handler.generate_schema(kind)
                for kind in KINDS
            },
        }


BuiltIn = ConfigurationCheck | BaselineCheck | SecurityCheck
Custom = EntryPointGate | WebhookGate


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """A check before an update begins; `entry_point` and `webhook` are those that gates have.

    What it finds wrong keeps the update from beginning, unless its severity is `warning`. A check
    that could not say, because its receiver is down or takes longer than its `timeout`, does so
    where it is `required`.
    """

    __pydantic_config__ = STRICT

    check: Annotated[BuiltIn | Custom, _ByKind()]
    severity: RuleSeverity = RuleSeverity.ERROR
    required: bool = True


STANDARD: Final = (
    UpdateRule(check=ConfigurationCheck()),
    UpdateRule(check=BaselineCheck(), severity=RuleSeverity.WARNING),
    UpdateRule(check=SecurityCheck()),
)
"""What is checked where nothing else was set. The gates of the model's policy come on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """A rule as it was stated, and what was found by it."""

    rule: UpdateRule
    checks: tuple[Check, ...]

    @property
    def result(self) -> Result:
        return verdict(self.checks)

    @property
    def obstacle(self) -> bool:
        match self.result:
            case Result.FAIL:
                return self.rule.severity is RuleSeverity.ERROR
            case Result.ERROR:
                return self.rule.required
            case _:
                return False


def obstacles(findings: tuple[RuleFinding, ...]) -> list[str]:
    """What keeps an update from beginning, in words."""
    return [
        f"{check.name}: {check.reason}"
        for finding in findings
        if finding.obstacle
        for check in finding.checks
        if check.result in {Result.FAIL, Result.ERROR}
    ]
