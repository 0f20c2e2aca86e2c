"""Digits and seconds: bounds against 45-digit integration, moments against NIST's."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.decisions.scenario import ALPHA
from turnout.stats.moments import Moments
from turnout.stats.sequential import SequentialTest, boundaries
from turnout.stats.spending import (
    HwangShihDeCani,
    KimDeMets,
    LanDeMetsOBrienFleming,
    Spending,
)

_OBF, _LINEAR = LanDeMetsOBrienFleming(), KimDeMets(1)

REFERENCE: Sequence[tuple[tuple[float, ...], float, Spending, tuple[float, ...]]] = (
    ((0.01, 0.02), 0.025, _OBF, (22.3831425680701901, 15.8054890484165307)),
    ((0.5, 0.501), 0.025, _OBF, (2.96258804272756679, 3.00799825886423815)),
    ((0.5, 0.501), 0.025, HwangShihDeCani(-3), (2.60747488352965288, 2.67258281802625347)),
    ((0.05, 0.0505), 0.025, _OBF, (9.95514557745584309, 9.92443725511957314)),
    ((0.999, 1.0), 0.05, _LINEAR, (1.64533861883154862, 1.70077100129024319)),
    ((0.1, 1.0), 0.001, HwangShihDeCani(-8), (4.92994628680517774, 3.09034704457844369)),
)
"""Fractions, level and bounds, integrated adaptively with 45 digits."""


def worst_bound_error() -> float:
    return max(
        abs(found - exact)
        for fractions, alpha, spending, bounds in REFERENCE
        for found, exact in zip(
            boundaries(fractions, alpha=alpha, spending=spending), bounds, strict=True
        )
    )


def equal(looks: int) -> tuple[float, ...]:
    return tuple(look / looks for look in range(1, looks + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of one core: others may be busy on the machine."""

    hundred: float
    four_hundred: float
    one_more: float


def timing() -> Timing:
    """Of all bounds of a schedule from nothing, and of the hundredth look after ninety-nine."""
    test = SequentialTest(alpha=ALPHA, spending=HwangShihDeCani(-3))
    for fraction in equal(100)[:-1]:
        test = test.look(fraction)
    begun = time.process_time()
    test.look(1.0)
    one_more = time.process_time() - begun
    return Timing(hundred=_seconds(100), four_hundred=_seconds(400), one_more=one_more)


def _seconds(looks: int) -> float:
    begun = time.process_time()
    boundaries(equal(looks), alpha=ALPHA, spending=HwangShihDeCani(-3))
    return time.process_time() - begun


def _swinging(centre: float) -> list[float]:
    """NIST's: 1001 values, one at the centre and the others a tenth above and below by turns."""
    low, high = round(centre - 0.1, 1), round(centre + 0.1, 1)
    return [centre, *[low, high] * 500]


NUMACC = {
    "NumAcc1": ([10_000_001.0, 10_000_003.0, 10_000_002.0], 10_000_002.0, 1.0),
    "NumAcc2": (_swinging(1.2), 1.2, 0.1),
    "NumAcc3": (_swinging(1_000_000.2), 1_000_000.2, 0.1),
    "NumAcc4": (_swinging(10_000_000.2), 10_000_000.2, 0.1),
}
"""Values, certified mean and standard deviation (NIST StRD, univariate summary statistics)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The worst relative errors over the four data sets, in chunks of any size."""

    mean: float
    deviation: float


def moments_accuracy() -> Accuracy:
    means, deviations = [], []
    for values, mean, deviation in NUMACC.values():
        for size in (1, 2, 7, 100, len(values)):
            chunks = (values[at : at + size] for at in range(0, len(values), size))
            merged = sum((Moments.of(chunk) for chunk in chunks), start=Moments())
            means.append(abs(merged.mean / mean - 1))
            deviations.append(abs(math.sqrt(merged.variance) / deviation - 1))
    return Accuracy(mean=max(means), deviation=max(deviations))


def raw_sums() -> list[tuple[int, float, float]]:
    """n, Σx and Σx² in binary64, in the order of `NUMACC`."""
    return [
        (len(values), sum(values), sum(value * value for value in values))
        for values, _, _ in NUMACC.values()
    ]
