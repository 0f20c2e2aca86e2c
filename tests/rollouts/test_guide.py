"""What docs/guides/rollouts.md lists is what the product has."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import turnout.api  # noqa: F401  (all routes, and with them all refusals)
from turnout.errors import Conflict
from turnout.observations.domain.guardrails import PAIRED, PROPORTIONS, Guardrail
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, OnConflict, OnDeadline, Stage, Strategy
from turnout.rollouts.domain.verbs import VerbRefused
from turnout.stats.finding import Finding
from turnout.stats.verdict import Verdict

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "rollouts.md").read_text()

UNSEEN = {Phase.DRAFT, Phase.PROMOTING}
"""No rollout is committed in these."""


def conflicts(kind: type[Conflict]) -> Iterator[type[Conflict]]:
    for leaf in kind.__subclasses__():
        yield leaf
        yield from conflicts(leaf)


def refusals() -> set[str]:
    """The refusals of rollouts, as the problem documents name them."""
    slices = ("turnout.rollouts", "turnout.traffic")
    leaves = {leaf for leaf in conflicts(Conflict) if leaf.__module__.startswith(slices)}
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "-", leaf.__name__).lower() for leaf in leaves - {VerbRefused}
    }


@pytest.mark.parametrize("word", [*Verdict, *sorted(set(Phase) - UNSEEN)])
def test_every_word_of_a_verdict_and_every_phase_is_explained(word: str) -> None:
    assert f"| `{word}` |" in GUIDE


@pytest.mark.parametrize("word", sorted(refusals()))
def test_every_refusal_is_explained(word: str) -> None:
    assert f"`{word}`" in GUIDE


@pytest.mark.parametrize(
    "word", [*Strategy, *OnConflict, *OnDeadline, *sorted(PAIRED | PROPORTIONS)]
)
def test_every_word_of_a_plan_is_explained(word: str) -> None:
    assert f"`{word}`" in GUIDE or f'"{word}"' in GUIDE


@pytest.mark.parametrize(
    "name", sorted({field.name for of in (Launch, Stage, Guardrail) for field in fields(of)})
)
def test_every_field_of_a_launch_a_stage_and_a_guardrail_is_explained(name: str) -> None:
    assert f"`{name}`" in GUIDE or f'"{name}":' in GUIDE


@pytest.mark.parametrize("name", ["effect", "bound", "n_candidate", "n_baseline"])
def test_every_figure_of_a_finding_is_explained(name: str) -> None:
    assert name in {field.name for field in fields(Finding)}
    assert f"`{name}`" in GUIDE
