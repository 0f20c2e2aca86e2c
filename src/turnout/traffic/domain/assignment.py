"""Which version answers which unit.

`assign` is the hottest function of the product, so a split lays out its buckets when it is made
and an assignment is one hash and one binary search. The hash is documented, with test vectors,
in `docs/guides/assignment.md`: another language must compute the same bucket.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from xxhash import xxh64_intdigest

from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.traffic.domain.overrides import Attribute, Overrides, typed
from turnout.traffic.domain.split import Assignment, Reason, Role, Split, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """All a replica needs to answer for one model."""

    model: ModelRef
    split: Split
    overrides: Overrides
    versions: Mapping[str, VersionRef]
    """Every version of the split and the overrides, by its text."""


def assign(
    split: Split,
    overrides: Overrides,
    *,
    unit: str | None,
    attributes: Mapping[str, Attribute],
    draw: int,
) -> Assignment:
    """Choose the version that answers: a pin, else the first rule that fits, else the split.

    `draw` is the bucket where no unit decides; take it from the split's `draws`.
    """
    if not overrides.empty and (found := _override(split, overrides, unit, attributes)):
        return found
    if unit is not None and split.by_unit:
        draw = xxh64_intdigest(f"{split.salt}:{unit}".encode()) % BASIS_POINTS
    return split.answers[bisect_right(split.bounds, draw)]


def _override(
    split: Split, overrides: Overrides, unit: str | None, attributes: Mapping[str, Attribute]
) -> Assignment | None:
    if unit is not None and (version := overrides.pinned.get(unit)):
        return _outside(split, overrides.version_ids[version], version, Reason.PINNED)
    for attribute, wanted, version in overrides.targeted:
        value = attributes.get(attribute)
        if value is not None and typed(value) in wanted:
            return _outside(split, overrides.version_ids[version], version, Reason.TARGETED)
    return None


def _outside(split: Split, version_id: int, version: str, reason: Reason) -> Assignment:
    variant = split.variant(version_id)
    return Assignment(version_id, version, variant.name if variant else version, reason, None)


def forced(split: Split, version: VersionRef) -> Assignment:
    """Assign the version that the request named."""
    return _outside(split, version.id, version.version, Reason.FORCED)


def steady(split: Split) -> Variant:
    """The variant that answers where others fail: baseline or control, else the largest share."""
    named = [v for v in split.serving if v.name in {Role.BASELINE, Role.CONTROL}]
    return named[0] if named else max(split.serving, key=lambda variant: variant.weight)


def fallback(split: Split, failed: Assignment) -> Assignment | None:
    """Name who answers when a version failed; None when that is the version that failed."""
    found = steady(split)
    if found.version_id == failed.version_id:
        return None
    return Assignment(found.version_id, found.version, found.name, Reason.FALLBACK, None)
