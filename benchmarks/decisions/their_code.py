"""The peers' own packages, asked in an environment of their own: they need an older numpy.

Run by that environment's interpreter, with a question in JSON on standard input and the answer on
standard output; nothing of this repository is imported.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
from gbstats.bayesian.tests import EffectBayesianABTest
from gbstats.frequentist.tests import (
    FrequentistConfig,
    OneSidedTreatmentLesserTTest,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds


def spotify_bounds(fractions: list[float], alpha: float) -> dict[str, Any]:
    """As their z-test asks for them: α·t² of each side, at most 1,000 grid points, |z| up to 8."""
    begun = time.process_time()
    found = bounds(np.array(fractions), 2 * alpha, rho=2, ztrun=8, sides=2, max_nints=1000)
    seconds = time.process_time() - begun
    return {"bounds": found.bounds.tolist(), "seconds": seconds}


def growthbook(counts: list[float]) -> dict[str, float]:
    """p of the default sequential test, and the chance to win of the default Bayesian engine."""
    n, control, treatment = counts
    arms = ProportionStatistic(int(n), control), ProportionStatistic(int(n), treatment)
    sequential = SequentialTwoSidedTTest(*arms, SequentialConfig()).compute_result()
    bayesian = EffectBayesianABTest(*arms).compute_result()
    return {"p_value": float(sequential.p_value), "chance": float(bayesian.chance_to_win)}


def growthbook_means(arms: list[list[float]]) -> dict[str, Any]:
    """p and interval of (n, Σx, Σx²) of both arms: two-sided, and for `treatment is less`."""
    control, treatment = (SampleMeanStatistic(int(n), x, x2) for n, x, x2 in arms)
    config = FrequentistConfig(difference_type="absolute")
    answer = {}
    for name, test in {"two-sided": TwoSidedTTest, "less": OneSidedTreatmentLesserTTest}.items():
        result = test(control, treatment, config).compute_result()
        answer[name] = {"p_value": float(result.p_value), "interval": [*map(float, result.ci)]}
    return answer


def growthbook_deviation(sums: list[float]) -> float:
    n, x, x2 = sums
    return float(SampleMeanStatistic(int(n), x, x2).stddev)


def main() -> None:
    question = json.load(sys.stdin)
    answer = {
        "versions": {name: version(name) for name in ("gbstats", "spotify-confidence")},
        "spotify": [spotify_bounds(*asked) for asked in question["schedules"]],
        "growthbook": [growthbook(counts) for counts in question["counts"]],
        "means": [growthbook_means(arms) for arms in question["means"]],
        "deviations": [growthbook_deviation(sums) for sums in question["sums"]],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
