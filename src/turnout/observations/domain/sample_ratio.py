"""Whether units fell to the arms of a split as planned, whoever compares the arms."""

from collections.abc import Mapping
from dataclasses import dataclass

from turnout.quantities import Weight, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatioFinding:
    """Whether units fell to the variants as planned.

    `p_value` is the least so far of a test that holds at every look (Lindon & Malek 2020);
    `mismatch` when it is below 0.001.
    """

    p_value: float | None
    mismatch: bool
    observed: Mapping[str, int]
    planned: Mapping[str, Weight]

    @property
    def shares(self) -> str:
        """What each arm got and was to get, in words."""
        total = sum(self.observed.values())
        return ", ".join(
            f"{arm} got {count:,} ({100 * count / total:.4g} %, planned"
            f" {percent(self.planned.get(arm, 0))} %)"
            for arm, count in self.observed.items()
        )


def sample_ratio(
    observed: Mapping[str, int],
    planned: Mapping[str, Weight],
    least_so_far: float | None = None,
) -> SampleRatioFinding:
    """Test counts of what was randomised, also of arms that were planned to get nothing."""
    # Serving requests must not wait for numpy and scipy to load.
    from turnout.stats.sample_ratio import THRESHOLD, sequential_mixture  # noqa: PLC0415

    weights = [planned.get(arm, 0) for arm in observed]
    found = sequential_mixture(list(observed.values()), weights).p_value
    known = [p_value for p_value in (found, least_so_far) if p_value is not None]
    p_value = min(known, default=None)
    return SampleRatioFinding(
        p_value=p_value,
        mismatch=p_value is not None and p_value < THRESHOLD,
        observed=observed,
        planned=planned,
    )
