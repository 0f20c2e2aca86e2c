"""MLflow's four stages, and by which steps a version of Turnout gets into one."""

from enum import StrEnum
from typing import Final

from turnout.errors import Unprocessable
from turnout.registry.domain.lifecycle import TRANSITIONS, InvalidTransition, Lifecycle


class Stage(StrEnum):
    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class UnknownStage(Unprocessable):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"Invalid Model Version stage: {text}. Value must be one of {', '.join(Stage)}.",
            field="stage",
        )


SHOWN: Final = {
    Lifecycle.DEVELOPMENT: Stage.NONE,
    Lifecycle.STAGING: Stage.STAGING,
    Lifecycle.PRODUCTION: Stage.PRODUCTION,
    Lifecycle.ARCHIVED: Stage.ARCHIVED,
    Lifecycle.REJECTED: Stage.ARCHIVED,
}
_MEANT: Final = {SHOWN[stage]: stage for stage in reversed(Lifecycle)}
_BETWEEN: Final = frozenset({Lifecycle.DEVELOPMENT, Lifecycle.STAGING, Lifecycle.ARCHIVED})


def read_stage(text: str) -> Stage:
    """Read the name of a stage, whatever its case."""
    found = {stage.casefold(): stage for stage in Stage}.get(text.casefold())
    if found is None:
        raise UnknownStage(text)
    return found


def steps(at: Lifecycle, to: Stage) -> tuple[Lifecycle, ...]:
    """The fewest moves that lead a version to a stage: none if it shows that one.

    MLflow's clients jump, and here every stage is entered by its gates, so the way leads through
    the stages between. It never leads through production; and a version that was rejected first
    has to be taken back to None, which says that somebody meant it.
    """
    if SHOWN[at] is to:
        return ()
    goal = _MEANT[to]
    ways: list[tuple[Lifecycle, ...]] = [()]
    seen = {at}
    for way in ways:
        last = way[-1] if way else at
        for following in TRANSITIONS[last]:
            if following is goal:
                return (*way, goal)
            if following in _BETWEEN and following not in seen and at is not Lifecycle.REJECTED:
                seen.add(following)
                ways.append((*way, following))
    raise InvalidTransition(at, goal)
