"""Has one treatment moved the goal metric? A group sequential test, looked at when one likes.

Two one-sided tests, for win and for harm, spend their error by the fraction of the planned
units that have come in (Hwang, Shih & DeCani 1990, γ = -3); futility spends the type II
error (γ = -8) and does not bind. Whatever the schedule of looks, an innocent treatment wins with
a chance of at most alpha, and does harm with a chance of at most alpha.

A test is two values: the design, which is part of a locked plan, and the state, which each look
hands to the next one. Both are JSON-safe. Nothing here needs numpy until the first look.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from turnout.stats.arguments import require_between, require_positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turnout.stats.effect import Stratum

#: An interval whose open end is None.
Interval = tuple[float | None, float | None]

#: `anytime`: may be read at every look, and is the least so far. `stage-wise`: of a test that has
#: stopped, with an earlier stop counting as more extreme. Both are two-sided.
PValueKind = Literal["anytime", "stage-wise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalDesign:
    """What is planned. With several treatments each has its share of alpha.

    `minimum_effect` is absolute. `alpha` is the level of one side: (1 - confidence)/2 over the
    treatments. It may be raised between looks when Holm's procedure frees the share of another
    treatment that has won; everything else is locked. `beta` is the chance of missing the minimum
    effect; more of it is spent where the units are too few for that power. `units` is the most
    that the treatment will have, `ratio` the control's units for each of them. Without
    `early_stopping` there is one look, at the end. `futility` is the conditional power under
    which the search is futile, beside the spending of beta; None: never futile.
    """

    minimum_effect: float
    good: Literal["up", "down"]
    alpha: float
    beta: float
    units: int
    ratio: float = 1.0
    early_stopping: bool = True
    futility: float | None = 0.01

    def __post_init__(self) -> None:
        require_positive(minimum_effect=self.minimum_effect, units=self.units, ratio=self.ratio)
        require_between(0, 0.5, alpha=self.alpha)
        require_between(0, 1, beta=self.beta)
        if self.futility is not None:
            require_between(0, 1, futility=self.futility)

    @property
    def size(self) -> float:
        """n₁n₂/(n₁ + n₂) of the planned units."""
        return self.units * self.ratio / (1 + self.ratio)


class GoalStatus(StrEnum):
    """FUTILE does not bind: who goes on may still see a win. NOT_SHOWN is an end."""

    WIN = "win"
    HARM = "harm"
    FUTILE = "futile"
    CONTINUE = "continue"
    NOT_SHOWN = "not_shown"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalLook:
    """A look that counted. z is of treatment minus control; bounds are of z in the good direction.

    `fraction` is the share of the planned units, by which errors are spent; `information` is
    relative to the state's maximum, and the looks' correlations go by it. Without a bound nothing
    could stop there.
    """

    fraction: float
    information: float
    bound: float | None
    futility_bound: float | None
    spent: float
    z: float
    effect: float
    status: GoalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalClaim:
    """What may be claimed of a test that stopped at its last look, though it chose its moment."""

    p_value: float
    estimate: float
    estimate_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalState:
    """All that the next look needs to know of the earlier ones; empty before the first.

    `max_information` is what the planned units bring by the variance at the first look, pooled
    over the arms; from then on it is the unit of information. `drift` is the z that the minimum
    effect leads to by then. `beta` is what futility spends, set when it is first due. `alpha` is
    the level at which the last look was judged. Once `ended`, what was found stands, whatever
    data come later.
    """

    max_information: float | None = None
    drift: float | None = None
    alpha: float | None = None
    beta: float | None = None
    looks: tuple[GoalLook, ...] = ()
    p_value: float | None = None
    futile: bool = False
    claim: GoalClaim | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalFinding:
    """What one look, or a refresh between two, has to say.

    `interval` is the repeated confidence interval: it excludes 0 exactly when a look that
    `counted` finds win or harm. `estimate` is median-unbiased, and known only where the test
    stops; `effect` overstates what an early winner is worth. `conditional_power` is under the
    minimum effect, `predictive_power` under what was seen: of winning at one last look at all the
    information. `bound` and `futility_bound` are of z in the good direction.
    """

    status: GoalStatus
    effect: float | None = None
    control: float | None = None
    treatment: float | None = None
    standard_error: float | None = None
    z: float | None = None
    interval: Interval = (None, None)
    relative_effect: float | None = None
    relative_interval: Interval = (None, None)
    p_value: float | None = None
    p_kind: PValueKind | None = None
    estimate: float | None = None
    estimate_interval: Interval = (None, None)
    fraction: float | None = None
    bound: float | None = None
    futility_bound: float | None = None
    spent: float = 0.0
    looks: int = 0
    conditional_power: float | None = None
    predictive_power: float | None = None
    counted: bool = False
    reason: str


def look(
    design: GoalDesign,
    state: GoalState,
    strata: Sequence[Stratum],
    *,
    proportion: bool,
    final: bool,
) -> tuple[GoalState, GoalFinding]:
    """Look at all the data so far, and say what is known.

    A look counts when it brings at least half a percent of the planned units; any other call is
    a refresh, which changes no state and decides nothing. A `final` look always counts
    and spends what is left of alpha, as one does at all the planned units. The caller sees
    to a minimum of units first; looks on too few events to trust the normal curve do not count.
    """
    # Serving requests must not wait for numpy and scipy to load.
    from turnout.stats.goal_looks import take  # noqa: PLC0415

    return take(design, state, strata, proportion=proportion, final=final)


def refresh(
    design: GoalDesign, state: GoalState, strata: Sequence[Stratum], *, proportion: bool
) -> GoalFinding:
    """What the data are now by the bound of the last look; no look, however much is new."""
    from turnout.stats.goal_looks import describe  # noqa: PLC0415

    return describe(design, state, strata, proportion=proportion)
