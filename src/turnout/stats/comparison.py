"""Treatment against control, once: estimate, test and interval from one object.

A comparison decides by its interval and its p-value alike, because the one is the other inverted
(a pooled p beside a Wald interval contradicts itself near the threshold). It is valid for one
look at a sample size set beforehand; looks in between are the business of `sequential` and
`anytime`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, assert_never

from turnout.stats import newcombe, restricted
from turnout.stats.arguments import BadArgument, require_between, require_finite
from turnout.stats.estimates import adjusted, estimate, fieller, welch_df
from turnout.stats.moments import Moments, Proportion, RatioMoments
from turnout.stats.tails import critical_value, normal_score, tail

if TYPE_CHECKING:
    from turnout.stats.anytime import Alternative
    from turnout.stats.estimates import Arm
    from turnout.stats.moments import AdjustedMoments

Interval = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The effect is treatment minus control; a lift is that divided by |control|.

    `statistic` is the distance of the effect to the null hypothesis in standard errors: a z, or a
    t where there are `degrees_of_freedom`. An open end of the interval is None. Where nothing can
    be decided, p-value and interval are None, and `reason` says why.
    """

    effect: float | None
    standard_error: float | None
    statistic: float | None
    p_value: float | None
    interval: Interval | None
    alternative: Alternative
    confidence: float
    degrees_of_freedom: float | None
    log10_p: float | None
    reason: str | None

    @property
    def z(self) -> float | None:
        """The statistic on the normal scale, which is what sequential bounds are for."""
        if self.statistic is None:
            return None
        return normal_score(self.statistic, self.degrees_of_freedom)


def compare_proportions(
    control: Proportion,
    treatment: Proportion,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    method: Literal["score", "newcombe", "wald"] = "score",
) -> Comparison:
    """Compare two rates.

    `score` takes the variance of the hypothesis and inverts the test into an interval; at margin
    0 it is the pooled z-test. `newcombe` bounds the effect also where there were no events, and
    its p-value is the level at which the bound touches the null. `wald` takes the variance of the
    estimate, for comparison with other tools.
    """
    question = _Question(confidence, alternative, margin)
    _require_units(1, control, treatment)
    if abs(margin) >= 1:
        raise BadArgument("margin", f"must be below 1 for a difference of rates, not {margin}")
    match method:
        case "score":
            return _by_score(control, treatment, question)
        case "newcombe":
            return _by_newcombe(control, treatment, question)
        case "wald":
            return _by_estimates(control, treatment, question)
        case _:
            assert_never(method)


def compare_means(
    control: Moments,
    treatment: Moments,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Welch's t-test: neither normal values nor equal variances, only enough units."""
    question = _Question(confidence, alternative, margin)
    _require_units(2, control, treatment)
    return _by_estimates(control, treatment, question)


def compare_ratios(
    control: RatioMoments,
    treatment: RatioMoments,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Compare Σy/Σx by the delta method, with events of one unit taken as dependent."""
    question = _Question(confidence, alternative, margin)
    _require_units(2, control, treatment)
    return _by_estimates(control, treatment, question)


def compare_adjusted(
    control: AdjustedMoments,
    treatment: AdjustedMoments,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Compare means, free of what the units' own past explains (CUPED; Deng et al. 2013)."""
    question = _Question(confidence, alternative, margin)
    _require_units(2, control.post, treatment.post)
    return _by_estimates(*adjusted(control, treatment), question)


def lift(
    control: Arm,
    treatment: Arm,
    *,
    confidence: float = 0.95,
    method: Literal["fieller", "delta"] = "fieller",
) -> Comparison:
    """The effect relative to |control|, two-sided.

    `fieller` puts every hypothetical ratio to the test of the absolute effect, so its interval
    excludes 0 exactly when that test does, and its p-value is that test's. For rates the test is
    the score test (Koopman 1984). A bound beyond a relative margin decides that margin, with the
    control's own variance in it. The symmetrical interval of `delta` misses on one side more
    than on the other; it is for display.
    """
    question = _Question(confidence, "two-sided", 0.0)
    if type(control) is not type(treatment):
        raise BadArgument("treatment", f"must be {type(control).__name__}, as the control is")
    _require_units(1 if isinstance(control, Proportion) else 2, control, treatment)
    base, value = estimate(control), estimate(treatment)
    if base is None or value is None or base.value == 0:
        return question.undecided(None, "nothing is relative to a control of 0")
    effect = (value.value - base.value) / abs(base.value)
    if method == "delta":
        spread = value.variance + (value.value / base.value) ** 2 * base.variance
        return question.answer(effect, math.sqrt(spread) / abs(base.value))
    test = _by_test(control, treatment, question)
    if test.statistic is None:
        return question.undecided(effect, test.reason)
    critical = question.critical(test.degrees_of_freedom)
    ratios = (
        restricted.ratio_interval(control, treatment, critical)
        if isinstance(control, Proportion) and isinstance(treatment, Proportion)
        else fieller(base, value, critical)
    )
    if ratios is None:
        return question.undecided(effect, "the control may be 0, so its multiples have no bounds")
    low, high = sorted(math.copysign(1.0, base.value) * (ratio - 1) for ratio in ratios)
    return question.decided(effect, None, test.statistic, (low, high), test.degrees_of_freedom)


@dataclass(frozen=True, slots=True)
class _Question:
    confidence: float
    alternative: Alternative
    margin: float

    def __post_init__(self) -> None:
        require_between(0, 1, confidence=self.confidence)
        require_finite(margin=self.margin)
        if self.alternative == "two-sided" and self.margin != 0:
            raise BadArgument("margin", "needs a one-sided alternative")

    @property
    def null(self) -> float:
        """H0: an effect of at most -margin for `greater`, of at least +margin for `less`."""
        return self.margin if self.alternative == "less" else 0.0 - self.margin

    def critical(self, df: float | None = None) -> float:
        return critical_value(self.confidence, self.alternative, df)

    def answer(self, effect: float, error: float, df: float | None = None) -> Comparison:
        """From an error that does not depend on the hypothesis."""
        if error == 0:
            return self.undecided(effect, "nothing varies in either arm")
        statistic, reach = (effect - self.null) / error, self.critical(df) * error
        return self.decided(effect, error, statistic, (effect - reach, effect + reach), df)

    def decided(
        self,
        effect: float,
        error: float | None,
        statistic: float,
        interval: tuple[float, float],
        df: float | None = None,
    ) -> Comparison:
        p_value, log10_p = tail(statistic, self.alternative, df)
        low, high = interval
        return Comparison(
            effect=effect,
            standard_error=error,
            statistic=statistic,
            p_value=p_value,
            interval=(
                None if self.alternative == "less" else low,
                None if self.alternative == "greater" else high,
            ),
            alternative=self.alternative,
            confidence=self.confidence,
            degrees_of_freedom=df,
            log10_p=log10_p,
            reason=None,
        )

    def undecided(self, effect: float | None, reason: str | None) -> Comparison:
        return Comparison(
            effect=effect,
            standard_error=None,
            statistic=None,
            p_value=None,
            interval=None,
            alternative=self.alternative,
            confidence=self.confidence,
            degrees_of_freedom=None,
            log10_p=None,
            reason=reason,
        )


def _by_test(control: Arm, treatment: Arm, question: _Question) -> Comparison:
    if isinstance(control, Proportion) and isinstance(treatment, Proportion):
        return _by_score(control, treatment, question)
    return _by_estimates(control, treatment, question)


def _by_score(control: Proportion, treatment: Proportion, question: _Question) -> Comparison:
    effect = treatment.rate - control.rate
    error = restricted.difference_error(control, treatment, question.null)
    if error == 0:
        return question.undecided(effect, _ALL_ALIKE)
    interval = restricted.difference_interval(control, treatment, question.critical())
    return question.decided(effect, error, (effect - question.null) / error, interval)


def _by_newcombe(control: Proportion, treatment: Proportion, question: _Question) -> Comparison:
    effect = treatment.rate - control.rate
    interval = newcombe.interval(control, treatment, question.critical())
    statistic = newcombe.statistic(control, treatment, question.null)
    error = (effect - question.null) / statistic if statistic else None
    answer = question.decided(effect, error, statistic, interval)
    if control.rate == treatment.rate in {0.0, 1.0} and question.null == 0:
        return replace(answer, statistic=None, p_value=None, log10_p=None, reason=_ALL_ALIKE)
    return answer


def _by_estimates(control: Arm, treatment: Arm, question: _Question) -> Comparison:
    base, value = estimate(control), estimate(treatment)
    if base is None or value is None:
        return question.undecided(None, "a ratio whose denominator sums to 0 has no value")
    df = None
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        df = welch_df(control, treatment)
    error = math.sqrt(base.variance + value.variance)
    return question.answer(value.value - base.value, error, df)


_ALL_ALIKE = "no unit differs from any other, in either arm"


def _require_units(fewest: int, control: Arm, treatment: Arm) -> None:
    for argument, arm in (("control", control), ("treatment", treatment)):
        n = arm.numerator.n if isinstance(arm, RatioMoments) else arm.n
        if n < fewest:
            raise BadArgument(argument, f"needs at least {fewest} units, but has {n}")
