"""Goal tests as most tests plan them: +1 point on a tenth, 14,800 units in each arm."""

from collections.abc import Iterable
from dataclasses import replace

from tests.stats.arms import counts
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalFinding, GoalState, look

DESIGN = GoalDesign(minimum_effect=0.01, good="up", alpha=0.025, beta=0.2, units=14_800)


def rates(control: int, treatment: int, *, of: int) -> list[Stratum]:
    return [Stratum(control=counts(control, of=of), treatment=counts(treatment, of=of))]


def at(share: float, control: float, treatment: float) -> list[Stratum]:
    """The arms at a share of the plan, with these rates."""
    n = round(share * DESIGN.units)
    return rates(round(control * n), round(treatment * n), of=n)


def looks(
    strata: Iterable[list[Stratum]],
    design: GoalDesign = DESIGN,
    state: GoalState | None = None,
    *,
    proportion: bool = True,
) -> tuple[GoalState, GoalFinding]:
    """Look at one after the other, and give what the last look found."""
    finding = None
    state = state or GoalState()
    for each in strata:
        state, finding = look(design, state, each, proportion=proportion, final=False)
    assert finding is not None
    return state, finding


def at_the_end(
    strata: list[Stratum],
    design: GoalDesign = DESIGN,
    state: GoalState | None = None,
    *,
    proportion: bool = True,
) -> tuple[GoalState, GoalFinding]:
    return look(design, state or GoalState(), strata, proportion=proportion, final=True)


def raised(design: GoalDesign = DESIGN) -> GoalDesign:
    """As Holm's procedure does when the other of two treatments has won."""
    return replace(design, alpha=2 * design.alpha)
