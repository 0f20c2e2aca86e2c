"""A guardrail through a whole stage: innocent candidates, small harm, and failure after health."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.factories import arm_evidence, counted
from tests.stats.arms import measured
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.watch import NOTHING, Memory, Moment, watch
from turnout.stats.finding import Finding
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict
from turnout.stats.waves import Past, Waves

LIMIT = Guardrail(metric="error_rate", max=0.10)
COMPARED = Guardrail(metric="error_rate", max_increase=0.0)
SLOWER = Guardrail(metric="latency_mean", max_increase=0.0)


@dataclass(frozen=True)
class Stage:
    """Looks at equal distances, `planned` of them within the bake time."""

    guardrail: Guardrail
    planned: int = 60
    seconds: float = 1.0
    alpha: float = 0.05
    waves: Waves | None = None

    def run(
        self, candidate: Sequence[UnitTotals], baseline: Sequence[UnitTotals]
    ) -> tuple[int, Finding, Memory]:
        """The first look that fails, or the last one, counted from 1."""
        memory = replace(NOTHING, waves=self.waves)
        for number, (new, old) in enumerate(zip(candidate, baseline, strict=True), start=1):
            moment = Moment(served=number / self.planned, seconds=self.seconds * number)
            arms = self._arm(new), self._arm(old)
            finding, memory = watch(self.guardrail, memory, *arms, moment, alpha=self.alpha)
            if finding.verdict is Verdict.FAIL or number == len(candidate):
                return number, finding, memory
        raise AssertionError("a stage has looks")

    def _arm(self, totals: UnitTotals) -> ArmEvidence:
        return ArmEvidence(
            version_id=1,
            metrics={self.guardrail.metric: totals},
            latency=QuantileSketch(),
            predictions=round(totals.n),
            last_at=None,
        )


def failing(rng: np.random.Generator, rates: Sequence[float], each: int) -> list[UnitTotals]:
    """Totals after every look, in each of which `each` new units asked once."""
    errors = np.cumsum([rng.binomial(each, rate) for rate in rates])
    return [counted(each * number, float(wrong)) for number, wrong in enumerate(errors, start=1)]


def measured_so_far(values: np.ndarray, *, each: int) -> list[UnitTotals]:
    """Totals after every `each` values, all of units of their own."""
    return [measured(values[:seen]) for seen in range(each, len(values) + 1, each)]


@pytest.mark.parametrize(
    ("guardrail", "rate", "each", "beside"),
    [
        pytest.param(LIMIT, 0.1, 20, 20, id="at the limit"),
        pytest.param(COMPARED, 0.1, 20, 20, id="equal arms"),
        pytest.param(COMPARED, 0.002, 60, 540, id="rare errors, a tenth of the traffic"),
        pytest.param(COMPARED, 0.002, 540, 60, id="rare errors, nine tenths of it"),
    ],
)
def test_peeking_false_positive_rate(
    guardrail: Guardrail, rate: float, each: int, beside: int
) -> None:
    """Sixty looks within the bake time and twenty beyond it, at an alpha of 5 %."""
    rng = np.random.default_rng(7)
    stage = Stage(guardrail)
    false = 0
    for _ in range(60):
        arms = (failing(rng, [rate] * 80, size) for size in (each, beside))
        false += stage.run(*arms)[1].verdict is Verdict.FAIL

    # Who fails 5 % of the innocent fails more than 8 of sixty with a chance of 0.3 %.
    assert false <= 8


def test_detects_real_regression_fast() -> None:
    """Errors double, from 2 % to 4 %, at the sample at which a single test has a power of 80 %."""
    rng = np.random.default_rng(8)
    stage = Stage(COMPARED)
    found, share = 0, 0.0
    for _ in range(50):
        arms = (failing(rng, [rate] * 60, 60) for rate in (0.04, 0.02))
        number, finding, _ = stage.run(*arms)
        found += finding.verdict is Verdict.FAIL
        share += number / 60 / 50

    assert found >= 40
    assert share < 0.5


@pytest.mark.parametrize("guardrail", [LIMIT, Guardrail(metric="error_rate", max_increase=0.01)])
@pytest.mark.parametrize("healthy", [10, 120, 593, 3_000])
def test_total_failure_shows_at_once_however_long_the_candidate_was_healthy(
    guardrail: Guardrail, healthy: int
) -> None:
    """A tenth of 200 requests a second; one of the 21 gates of a plan like the default."""
    rng = np.random.default_rng(9)
    stage = Stage(guardrail, planned=600, alpha=0.05 / 21)
    candidate = failing(rng, [0.002] * healthy + [1.0] * 8, 20)
    baseline = failing(rng, [0.002] * (healthy + 8), 180)
    number, finding, _ = stage.run(candidate, baseline)

    assert finding.verdict is Verdict.FAIL
    assert number - healthy <= 5


def test_a_candidate_that_becomes_slow_shows_soon() -> None:
    """From 50 ms to a second, after five minutes; a mean of 200 ms is allowed."""
    rng = np.random.default_rng(16)
    waits = np.concatenate([rng.gamma(2, 25, 6_000), rng.gamma(2, 500, 600)])
    stage = Stage(Guardrail(metric="latency_mean", max=200), planned=600, alpha=0.05 / 21)
    candidate = measured_so_far(waits, each=20)
    number, finding, _ = stage.run(candidate, candidate)

    assert finding.verdict is Verdict.FAIL
    assert number - 300 <= 25


def test_long_tails_are_not_taken_for_a_change() -> None:
    rng = np.random.default_rng(17)
    stage = Stage(Guardrail(metric="latency_mean", max=math.exp(0.5)), seconds=6)
    false = 0
    for _ in range(60):
        waits = measured_so_far(rng.lognormal(0, 1, 4_800), each=60)
        false += stage.run(waits, waits)[1].verdict is Verdict.FAIL

    assert false <= 8


def test_a_failure_that_is_found_since_a_restart_says_since_when() -> None:
    rng = np.random.default_rng(10)
    candidate = failing(rng, [0.002] * 590 + [1.0] * 8, 20)
    _, finding, _ = Stage(LIMIT, planned=600).run(candidate, candidate)

    assert finding.reason.startswith("since 590 s into the stage, harm shown: ")
    assert finding.candidate is not None
    assert finding.candidate > 0.5


def test_harm_that_was_shown_stays_shown() -> None:
    rng = np.random.default_rng(11)
    stage = Stage(LIMIT)
    looks = failing(rng, [0.9] * 3 + [0.0] * 50, 20)
    _, finding, memory = stage.run(looks, looks)
    later, same = watch(
        LIMIT,
        memory,
        arm_evidence(10_000),
        None,
        Moment(served=0.9, seconds=54),
        alpha=stage.alpha,
    )

    assert finding.verdict is Verdict.FAIL
    assert (later, same) == (finding, memory)


def test_a_stage_without_a_planned_time_spends_nothing_and_is_watched_all_the_same() -> None:
    memory, verdicts = NOTHING, []
    for errors in (0, 5, 60):
        arm = arm_evidence(100 + errors, errors=errors)
        moment = Moment(served=None, seconds=float(errors))
        finding, memory = watch(LIMIT, memory, arm, None, moment, alpha=0.05)
        verdicts.append(finding.verdict)

    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert memory.spending.bounds == ()


def test_ramp_simpson() -> None:
    """The base rate goes from 2 % to 6 % while the weight goes from 5 % to 50 %."""
    rng = np.random.default_rng(12)
    false = 0
    for _ in range(30):
        for share, rate in ((0.05, 0.02), (0.25, 0.03), (0.5, 0.06)):
            rates = list(np.linspace(rate, rate * 1.2, 40))
            arms = (failing(rng, rates, round(200 * part)) for part in (share, 1 - share))
            verdict = Stage(COMPARED, planned=40, alpha=0.05 / 3).run(*arms)[1].verdict
            false += verdict is Verdict.FAIL

    assert false <= 5


def test_autocorrelated_gauge() -> None:
    """The latency that a unit sees goes on from request to request (ρ = 0.8); arms are equal."""
    rng = np.random.default_rng(13)
    false = 0
    for _ in range(60):
        looks = ([], [])  # type: tuple[list[UnitTotals], list[UnitTotals]]
        for arm in looks:
            gauge = rng.normal(0, 10, 80)
            total, squares = np.zeros(80), 0.0
            for number in range(1, 41):
                gauge = 0.8 * gauge + 0.6 * rng.normal(0, 10, 80)
                total += 50 + gauge
                squares = float(total @ total)
                arm.append(
                    UnitTotals(
                        units=80,
                        n=80.0 * number,
                        n2=80.0 * number**2,
                        x=float(total.sum()),
                        x2=squares,
                        xn=number * float(total.sum()),
                    )
                )
        false += Stage(SLOWER, planned=40).run(*looks)[1].verdict is Verdict.FAIL

    assert false <= 8


class TestLatenciesInWaves:
    """All requests of one version in a minute are slow together (ρ = 0.8 from one minute to the
    next), by half of what single ones differ by; the other version has waves of its own."""

    DAY, EACH, SPREAD = 1_440, 80, 10.0

    def level(self, rng: np.random.Generator, minutes: int) -> list[float]:
        level = [rng.normal(0, 5)]
        for step in rng.normal(0, 5, minutes - 1):
            level.append(0.8 * level[-1] + 0.6 * step)
        return level

    def minutes(self, rng: np.random.Generator, minutes: int) -> list[float]:
        noise = rng.normal(0, self.SPREAD * math.sqrt(self.EACH), minutes)
        level = self.level(rng, minutes)
        return [self.EACH * (50 + one) + two for one, two in zip(level, noise, strict=True)]

    def known(self, rng: np.random.Generator) -> Waves | None:
        """What a day of the baseline tells."""
        n = [float(self.EACH)] * self.DAY
        before = Past(n=n, x=self.minutes(rng, self.DAY), variance=self.SPREAD**2)
        return Waves.apart(before, None)

    def arm(self, rng: np.random.Generator, *, slower: float = 0.0) -> list[UnitTotals]:
        sums = np.cumsum([x + self.EACH * slower for x in self.minutes(rng, 40)])
        return [self.totals(self.EACH * number, x) for number, x in enumerate(sums.tolist(), 1)]

    def totals(self, n: float, x: float) -> UnitTotals:
        """Of units that come once, with the spread that they have within their minutes."""
        x2 = x * x / n + self.SPREAD**2 * n
        return UnitTotals(units=int(n), n=n, n2=n, x=x, x2=x2, xn=x)

    def stage(self, waves: Waves | None) -> Stage:
        return Stage(SLOWER, planned=40, seconds=60.0, waves=waves)

    def failures(self, *, known: bool, slower: float = 0.0) -> int:
        rng, failed = np.random.default_rng(16), 0
        for _ in range(40):
            waves = self.known(rng) if known else None
            arms = self.arm(rng, slower=slower), self.arm(rng)
            failed += self.stage(waves).run(*arms)[1].verdict is Verdict.FAIL
        return failed

    def test_keep_the_innocent_on_the_road_once_they_are_known(self) -> None:
        # At 5 % more than 6 of 40 have a chance of 0.3 %.
        assert self.failures(known=True) <= 6
        assert self.failures(known=False) >= 20

    def test_do_not_hide_who_is_slower_than_they_are_high(self) -> None:
        assert self.failures(known=True, slower=25.0) == 40

    def test_are_counted_in_a_quantile_as_fewer_requests(self) -> None:
        guardrail = Guardrail(metric="latency_p90", max=100.0)
        quiet, slow = [50.0] * 800, [150.0] * 200
        arm = ArmEvidence(
            version_id=1,
            metrics={},
            latency=QuantileSketch.of(quiet + slow),
            predictions=1_000,
            last_at=None,
        )

        def found(variance: float, arm: ArmEvidence | None) -> Finding:
            memory = replace(NOTHING, waves=Waves(variances=(variance,) * 6))
            moment = Moment(served=0.5, seconds=60.0)
            return watch(guardrail, memory, arm, None, moment, alpha=0.05)[0]

        assert found(0.0, arm).verdict is Verdict.FAIL
        assert found(0.01, arm).verdict is Verdict.PASS
        assert found(0.01, arm).reason.endswith("which are slow together and count as 9")
        assert found(0.01, None).reason == "no data: 0 requests"
