"""Which models of providers may be used, and how."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen

from turnout.errors import Conflict
from turnout.quantities import STRICT
from turnout.registry.domain.fields import Label, Number, Summary
from turnout.registry.domain.runtime import OpenAIRuntime, Runtime
from turnout.registry.domain.version import Tags


class NotApproved(Conflict):
    def __init__(self, model: str, version: str, violations: "Sequence[Violation]") -> None:
        super().__init__(
            f"{model} {version} is not approved:"
            f" {'; '.join(violation.sentence for violation in violations)}",
            model=model,
            version=version,
            violations=[
                {"rule": each.rule, "scope": each.scope, "sentence": each.sentence}
                for each in violations
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedModels:
    """What holds for versions of the runtime `openai`. `models` are names with `*` and `?`, of
    which each model that is asked fits one; null allows any. With `max_temperature`, the
    temperature has to be declared."""

    __pydantic_config__ = STRICT

    models: Annotated[tuple[Label, ...], MaxLen(1000)] | None = None
    max_temperature: Annotated[Number, Ge(0), Le(2)] | None = None
    required_tags: Tags = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApprovedModels(ApprovedModels):
    __pydantic_config__ = STRICT

    reason: Summary | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    scope: str
    sentence: str


def violations(
    rules: Mapping[str, ApprovedModels], runtime: Runtime, tags: Sequence[str]
) -> list[Violation]:
    """Every rule that a version breaks, of all that hold for it: by scope, the service's first."""
    if not isinstance(runtime, OpenAIRuntime):
        return []
    return [found for scope, rule in rules.items() for found in _broken(scope, rule, runtime, tags)]


def _broken(
    scope: str, rule: ApprovedModels, runtime: OpenAIRuntime, tags: Sequence[str]
) -> Iterator[Violation]:
    for name in _asked(runtime):
        if rule.models is not None and not any(fnmatchcase(name, each) for each in rule.models):
            allowed = ", ".join(rule.models) or "none"
            yield Violation("models", scope, f"{name} is not an approved model ({allowed})")
    limit = rule.max_temperature
    if limit is not None and (runtime.temperature is None or runtime.temperature > limit):
        said = "not declared" if runtime.temperature is None else f"{runtime.temperature:g}"
        yield Violation("max_temperature", scope, f"its temperature is {said}, at most {limit:g}")
    for tag in rule.required_tags:
        if tag not in tags:
            yield Violation("required_tags", scope, f"it has no tag {tag}")


def _asked(runtime: OpenAIRuntime) -> list[str]:
    """The models that may answer, also those that a provider is told of in a parameter."""
    names = [runtime.model_name]
    if runtime.fallback_model is not None:
        names.append(runtime.fallback_model)
    for parameter, value in runtime.parameters.items():
        if "model" in parameter.casefold():
            names += _texts(value)
    return list(dict.fromkeys(names))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for part in value:
                yield from _texts(part)
        case Mapping():
            for part in value.values():
                yield from _texts(part)
