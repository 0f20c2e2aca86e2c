"""Bodies and views of the traffic routes: they name versions and percents, never ids."""

from dataclasses import dataclass
from datetime import datetime

from turnout.quantities import STRICT, Weight
from turnout.registry.domain.fields import Summary
from turnout.traffic.domain.overrides import Overrides, Pin, Pins, Rule, Rules
from turnout.traffic.domain.split import Owner, Shares, Split, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSplit:
    """The split that a person wants."""

    __pydantic_config__ = STRICT

    strategy: Spread = Spread.STICKY
    variants: Shares
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantView:
    """`buckets` is the half-open range `[first, one past the last]` that gets this variant."""

    name: str
    version: str
    weight: Weight
    shadow: bool
    buckets: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitView:
    """With `salt` and the variants' buckets, a caller can assign units by itself.

    `owned` tells that `owner` is a rollout or experiment under way, so that nobody else may
    change the split.
    """

    split_id: int
    model: str
    strategy: Spread
    owner: Owner
    owned: bool
    salt: str
    variants: tuple[VariantView, ...]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverrides:
    """All pins and rules that a model is to have."""

    __pydantic_config__ = STRICT

    pins: Pins = ()
    rules: Rules = ()
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverridesView:
    pins: tuple[Pin, ...]
    rules: tuple[Rule, ...]


def split_view(model: str, split: Split) -> SplitView:
    buckets = split.buckets
    return SplitView(
        split_id=split.id,
        model=model,
        strategy=split.strategy,
        owner=split.owner,
        owned=split.owned,
        salt=split.salt,
        variants=tuple(
            VariantView(
                name=variant.name,
                version=variant.version,
                weight=variant.weight,
                shadow=variant.shadow,
                buckets=buckets.get(variant.version_id),
            )
            for variant in split.variants
        ),
        since=split.created_at,
    )


def overrides_view(overrides: Overrides) -> OverridesView:
    return OverridesView(pins=overrides.pins, rules=overrides.rules)
