"""Which versions of a model get which share of its traffic, and who may change that."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, TypeVar

from annotated_types import MaxLen

from turnout.errors import Conflict, NotFound
from turnout.quantities import BASIS_POINTS, STRICT, Check, Weight, percent
from turnout.registry.domain.fields import Label, VersionName
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import OnnxRuntime
from turnout.registry.domain.version import VersionRef

MAX_VARIANTS: Final = 20


class NoSplit(NotFound):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model} has no split yet: start a rollout or PUT a split", model=model
        )


class SplitOwned(Conflict):
    def __init__(self, owner: "Owner") -> None:
        super().__init__(
            f"{owner.kind} {owner.id} decides where this model's traffic goes:"
            f" {_ENDS[owner.kind]} it first",
            owner={"kind": owner.kind, "id": owner.id},
        )


class NoSuchSplit(NotFound):
    def __init__(self, split_id: int, owner: "Owner") -> None:
        super().__init__(
            f"{owner.kind} {owner.id} never set a split {split_id} of this model",
            split_id=split_id,
            owner={"kind": owner.kind, "id": owner.id},
        )


class VersionRejected(Conflict):
    def __init__(self, version: VersionRef) -> None:
        super().__init__(
            f"version {version.version} of {version.model} is rejected and gets no traffic:"
            f" move it back to development first",
            version=version.version,
            stage=version.stage,
        )


class ArtifactMissing(Conflict):
    def __init__(self, version: VersionRef) -> None:
        super().__init__(
            f"version {version.version} of {version.model} has runtime onnx but no artifact:"
            f" upload its file first",
            version=version.version,
            runtime=version.runtime.kind,
        )


class Spread(StrEnum):
    """How units are spread over the variants."""

    RANDOM = "random"
    ROUND_ROBIN = "round_robin"
    STICKY = "sticky"
    CANARY = "canary"

    @property
    def by_unit(self) -> bool:
        return self in {Spread.STICKY, Spread.CANARY}


class Role(StrEnum):
    """Names of variants that mean something to the slices above."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"
    CONTROL = "control"


class OwnerKind(StrEnum):
    PERSON = "person"
    ROLLOUT = "rollout"
    EXPERIMENT = "experiment"


class Reason(StrEnum):
    """Why a version answers."""

    FORCED = "forced"
    PINNED = "pinned"
    TARGETED = "targeted"
    SPLIT = "split"
    SINGLE = "single"
    FALLBACK = "fallback"


_ENDS: Final = {
    OwnerKind.PERSON: "release",
    OwnerKind.ROLLOUT: "abort or finish",
    OwnerKind.EXPERIMENT: "stop or conclude",
}
"""How a person ends an owner's hold on the traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    kind: OwnerKind
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One arm of a split; `weight` in basis points. A shadow answers nobody and weighs nothing."""

    name: str
    version_id: int
    version: str
    weight: int
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A variant as a person asks for it: without a name it is called by its version."""

    __pydantic_config__ = STRICT

    version: VersionName
    weight: Weight = 0
    name: Label | None = None
    shadow: bool = False


Arms = TypeVar("Arms", Sequence[Share], Sequence[Variant])


def check_arms(arms: Arms) -> Arms:
    """Serving weights sum to 100 percent; versions and names occur once; shadows weigh nothing."""
    for arm in arms:
        if not 0 <= arm.weight <= BASIS_POINTS:
            raise ValueError(f"a weight lies between 0 and 100 percent, not {percent(arm.weight)}")
        if arm.shadow and arm.weight:
            raise ValueError(
                f"a shadow gets a copy of all traffic and answers none of it: leave out"
                f" the weight of {arm.version}"
            )
    for what, values in (
        ("version", [arm.version for arm in arms]),
        ("variant name", [arm.name or arm.version for arm in arms]),
    ):
        for value, times in Counter(values).items():
            if times > 1:
                raise ValueError(f"{what} {value} is listed {times} times: list it once")
    total = sum(arm.weight for arm in arms)
    if total != BASIS_POINTS:
        raise ValueError(f"the weights sum to {percent(total)} percent, not 100")
    return arms


Shares = Annotated[tuple[Share, ...], MaxLen(MAX_VARIANTS), Check(check_arms)]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The version that answers. `split_id` is None where the split did not choose.

    A prediction that was forced, pinned, targeted or a fallback was not randomised, so it never
    counts as evidence about a split.
    """

    version_id: int
    version: str
    variant: str
    reason: Reason
    split_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which versions get which share of a model's traffic; an invalid one cannot be made.

    Serving variants take consecutive buckets from 0 in the order they are listed. As long as that
    order and the salt stay, a variant whose weight alone grows loses no unit.
    """

    id: int
    model_id: int
    salt: str
    strategy: Spread
    variants: tuple[Variant, ...]
    owner: Owner
    created_at: datetime
    owned: bool = False
    """Its owner is a live rollout or experiment: nobody else may change the split."""
    reinstated_at: tuple[datetime, ...] = ()
    """When it came into force again after another one had been, in order."""

    bounds: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """One past the last bucket of each serving variant."""
    answers: tuple[Assignment, ...] = field(init=False, repr=False, compare=False)
    by_unit: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_arms(self.variants)
        alone = any(variant.weight == BASIS_POINTS for variant in self.serving)
        reason = Reason.SINGLE if alone else Reason.SPLIT
        answers = tuple(
            Assignment(variant.version_id, variant.version, variant.name, reason, self.id)
            for variant in self.serving
        )
        bounds = tuple(itertools.accumulate(variant.weight for variant in self.serving))
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "answers", answers)
        object.__setattr__(self, "by_unit", self.strategy.by_unit and not alone)

    @property
    def serving(self) -> tuple[Variant, ...]:
        """Everything but the shadows, also what has weight 0 now."""
        return tuple(variant for variant in self.variants if not variant.shadow)

    @property
    def shadows(self) -> tuple[Variant, ...]:
        return tuple(variant for variant in self.variants if variant.shadow)

    @property
    def buckets(self) -> dict[int, tuple[int, int]]:
        """The half-open range of each serving variant, by the id of its version."""
        versions = (variant.version_id for variant in self.serving)
        return dict(zip(versions, itertools.pairwise((0, *self.bounds)), strict=True))

    def variant(self, version_id: int) -> Variant | None:
        return next((found for found in self.variants if found.version_id == version_id), None)


def check_owner(active: Split | None, owner: Owner) -> None:
    """Only the rollout or experiment that owns a split may change it; a person's is free."""
    if active is not None and active.owned and active.owner != owner:
        raise SplitOwned(active.owner)


def check_servable(version: VersionRef) -> None:
    if version.stage is Lifecycle.REJECTED:
        raise VersionRejected(version)
    if isinstance(version.runtime, OnnxRuntime) and version.file_sha256 is None:
        raise ArtifactMissing(version)


def continues(former: Split, *, owner: Owner, variants: Sequence[Variant]) -> bool:
    """Whether the same versions go on serving under the same owner; people count as one owner."""
    same_owner = former.owner == owner or former.owner.kind is owner.kind is OwnerKind.PERSON
    serving = {variant.version_id for variant in variants if not variant.shadow}
    return same_owner and serving == {variant.version_id for variant in former.serving}


def in_order_of(former: Split, variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """List variants as the former split did, so that each keeps its end of the buckets."""
    place = {variant.version_id: n for n, variant in enumerate(former.serving)}
    return tuple(sorted(variants, key=lambda variant: place.get(variant.version_id, len(place))))
