"""Who really got which version, against who should have."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from turnout.quantities import Weight
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.draws import draws
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Split


class Source(StrEnum):
    OBSERVED = "observed"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What one variant was to get and what it got; `share` in percent, null without any units."""

    name: str
    version: str
    planned: Weight
    count: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Planned against counted shares, with the chi-square test of a sample-ratio mismatch.

    A mismatch means that units are lost or sent astray on the way, so no comparison of the
    variants can be trusted. Where there is nothing to test, because no units were counted or one
    variant gets them all, `statistic` and `p_value` are null.
    """

    split_id: int
    source: Source
    units: int
    variants: tuple[Exposure, ...]
    statistic: float | None
    p_value: float | None
    mismatch: bool


def distribution(split: Split, counts: Mapping[int, int], *, source: Source) -> Distribution:
    """Compare counts by version id with the split's weights; shadows answer nobody."""
    # Imported here because SciPy costs the gateways memory that only this report needs.
    from turnout.stats.sample_ratio import chi_square  # noqa: PLC0415

    serving = split.serving
    observed = [counts.get(variant.version_id, 0) for variant in serving]
    units = sum(observed)
    ratio = chi_square(observed, [variant.weight for variant in serving])
    return Distribution(
        split_id=split.id,
        source=source,
        units=units,
        variants=tuple(
            Exposure(
                name=variant.name,
                version=variant.version,
                planned=variant.weight,
                count=count,
                share=round(100 * count / units, 2) if units else None,
            )
            for variant, count in zip(serving, observed, strict=True)
        ),
        statistic=ratio.statistic,
        p_value=ratio.p_value,
        mismatch=ratio.mismatch,
    )


def simulated(split: Split, units: int) -> Counter[int]:
    """Assign units that were never seen, without overrides, and count them by version id."""
    draw = draws(split)
    return Counter(
        assign(split, NO_OVERRIDES, unit=f"simulated-{n}", attributes={}, draw=draw()).version_id
        for n in range(units)
    )
