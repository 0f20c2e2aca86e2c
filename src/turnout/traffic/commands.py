"""What changes where traffic goes. Every change tells the gateways when it commits."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Insert, Update, func, insert, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.alerts import commands as alerts
from turnout.registry import queries as registry
from turnout.registry.approvals import check_deployment
from turnout.registry.domain.version import ModelRef, VersionNotFound, VersionRef
from turnout.traffic import queries
from turnout.traffic.domain.noted import counted, noted
from turnout.traffic.domain.overrides import Overrides, Pin, Rule
from turnout.traffic.domain.split import (
    NoSuchSplit,
    Owner,
    OwnerKind,
    Share,
    Split,
    Spread,
    Variant,
    check_owner,
    check_servable,
    continues,
    in_order_of,
)
from turnout.traffic.route import hold_versions, lock, tell_gateways
from turnout.traffic.tables import OverrideSet, SplitRow


def stuck(model: str) -> str:
    """The cause of an alert about traffic that could not be moved: it is over once it was."""
    return f"models/{model}/rollback-failed"


async def set_split(
    session: AsyncSession,
    model_id: int,
    *,
    owner: Owner,
    strategy: Spread,
    variants: Sequence[Variant],
    actor: str,
    now: datetime,
    reason: str | None = None,
    salt: str | None = None,
) -> Split:
    """Put a new split in force; a rollout or experiment then owns it until it lets go.

    The id is always a new one. Salt and order of the variants stay when the same versions go on
    serving under the same owner, so that a weight that grows only adds units. Refused while
    another rollout or experiment owns the split, and for versions that cannot serve.
    """
    await lock(session, model_id)
    former = await queries.active_split(session, model_id)
    check_owner(former, owner)
    model = await _check_versions(session, model_id, variants)
    if former and continues(former, owner=owner, variants=variants):
        salt = salt or former.salt
        variants = in_order_of(former, variants)
    return await _put_in_force(
        session,
        insert(SplitRow).values(
            model_id=model_id,
            salt=salt or secrets.token_hex(8),
            strategy=strategy,
            variants=tuple(variants),
            owner_kind=owner.kind,
            owner_id=owner.id,
            active=True,
            owned=owner.kind is not OwnerKind.PERSON,
            created_at=now,
        ),
        former,
        action="split.set",
        model=model,
        actor=actor,
        now=now,
        reason=reason,
    )


async def reinstate(
    session: AsyncSession,
    model_id: int,
    split_id: int,
    *,
    owner: Owner,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> Split:
    """Put a former split of this owner in force again, as it was: same id, salt and weights.

    Every unit comes back to its variant, and the evidence of the split goes on where it stopped.
    The split in force stays if it is that one already. Refused as `set_split` refuses.
    """
    await lock(session, model_id)
    former = await queries.active_split(session, model_id)
    check_owner(former, owner)
    wanted = (await queries.splits(session, [split_id])).get(split_id)
    if wanted is None or wanted.model_id != model_id or wanted.owner != owner:
        raise NoSuchSplit(split_id, owner)
    if former and former.id == split_id:
        return former
    model = await _check_versions(session, model_id, wanted.variants)
    return await _put_in_force(
        session,
        update(SplitRow)
        .where(SplitRow.id == split_id)
        .values(
            active=True,
            owned=owner.kind is not OwnerKind.PERSON,
            reinstated_at=func.array_append(SplitRow.reinstated_at, now),
        ),
        former,
        action="split.reinstated",
        model=model,
        actor=actor,
        now=now,
        reason=reason,
    )


async def set_split_by_hand(
    session: AsyncSession,
    model: ModelRef,
    *,
    strategy: Spread,
    shares: Sequence[Share],
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> Split:
    """Carry out a person's wish. The split in force stays, id and all, if it is that already."""
    versions = await _versions(session, model, [share.version for share in shares])
    for share in shares:
        if share.weight or share.shadow:
            await check_deployment(session, versions[share.version])
    variants = [
        Variant(
            name=share.name or share.version,
            version_id=versions[share.version].id,
            version=share.version,
            weight=share.weight,
            shadow=share.shadow,
        )
        for share in shares
    ]
    owner = Owner(kind=OwnerKind.PERSON, id=actor)
    await lock(session, model.id)
    former = await queries.active_split(session, model.id)
    check_owner(former, owner)
    if former and former.strategy is strategy and set(former.variants) == set(variants):
        return former
    return await set_split(
        session,
        model.id,
        owner=owner,
        strategy=strategy,
        variants=variants,
        actor=actor,
        now=now,
        reason=reason,
    )


async def release(
    session: AsyncSession,
    model_id: int,
    *,
    owner: Owner,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """End an owner's hold on the split; traffic stays as it is. Nothing to do is no error."""
    await lock(session, model_id)
    former = await queries.active_split(session, model_id)
    if former is None or not former.owned or former.owner != owner:
        return
    await session.execute(update(SplitRow).where(SplitRow.id == former.id).values(owned=False))
    model = (await registry.models_by_id(session, [model_id]))[model_id]
    audit(
        session,
        actor=actor,
        action="split.released",
        subject=f"models/{model.name}/split",
        now=now,
        before=noted(former),
        reason=reason,
    )


async def withdraw(
    session: AsyncSession, model: ModelRef, *, actor: str, now: datetime, reason: str | None = None
) -> None:
    """Take a person's split out of force: then nothing answers for the model."""
    await lock(session, model.id)
    former = await queries.active_split(session, model.id)
    check_owner(former, Owner(kind=OwnerKind.PERSON, id=actor))
    if former is None:
        return
    await session.execute(update(SplitRow).where(SplitRow.id == former.id).values(active=False))
    await hold_versions(session, model.id, "split", [])
    audit(
        session,
        actor=actor,
        action="split.withdrawn",
        subject=f"models/{model.name}/split",
        now=now,
        before=noted(former),
        reason=reason,
    )
    await tell_gateways(session, model.id)


async def set_overrides(
    session: AsyncSession,
    model: ModelRef,
    *,
    pins: Sequence[Pin],
    rules: Sequence[Rule],
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> Overrides:
    """Replace all pins and rules of a model."""
    await lock(session, model.id)
    texts = [pin.version for pin in pins] + [rule.version for rule in rules]
    versions = await _versions(session, model, texts)
    for version in versions.values():
        check_servable(version)
    after = Overrides(
        pins=tuple(pins),
        rules=tuple(rules),
        version_ids={text: version.id for text, version in versions.items()},
    )
    await _replace_overrides(
        session, model, after, action="overrides.set", actor=actor, now=now, reason=reason
    )
    return after


async def drop_overrides(
    session: AsyncSession,
    model_id: int,
    version_id: int,
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Drop the pins and rules that aim at one version, so that nothing leads there any more."""
    await lock(session, model_id)
    before = await queries.overrides(session, model_id)
    if version_id not in before.version_ids.values():
        return
    model = (await registry.models_by_id(session, [model_id]))[model_id]
    await _replace_overrides(
        session,
        model,
        before.without(version_id),
        action="overrides.dropped",
        actor=actor,
        now=now,
        reason=reason,
    )


async def _versions(
    session: AsyncSession, model: ModelRef, texts: Collection[str]
) -> dict[str, VersionRef]:
    ids = await registry.version_ids(session, model.id, texts)
    for text in texts:
        if text not in ids:
            raise VersionNotFound(model.name, text)
    found = await registry.versions_by_id(session, ids.values())
    return {version.version: version for version in found.values()}


async def _check_versions(session: AsyncSession, model_id: int, variants: Sequence[Variant]) -> str:
    """Refuse versions that cannot take the traffic they are given; answer the model's name.

    A variant of weight 0 is not checked: a version that was rejected in the middle of a rollout
    must not keep it from being taken off the road.
    """
    model = (await registry.models_by_id(session, [model_id]))[model_id]
    known = await registry.versions_by_id(session, [variant.version_id for variant in variants])
    for variant in variants:
        version = known.get(variant.version_id)
        if version is None or version.model_id != model_id:
            raise VersionNotFound(model.name, variant.version)
        if variant.weight or variant.shadow:
            check_servable(version)
    return model.name


async def _put_in_force(
    session: AsyncSession,
    change: Insert | Update,
    former: Split | None,
    *,
    action: str,
    model: str,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Split:
    """Let the split that `change` makes active follow the former one, and tell everyone."""
    if former is not None:
        withdrawn = {"active": False, "owned": False}
        await session.execute(update(SplitRow).where(SplitRow.id == former.id).values(withdrawn))
    split = queries.split((await session.execute(change.returning(*queries.SPLIT))).one())
    leads_to = [variant.version_id for variant in split.variants]
    await hold_versions(session, split.model_id, "split", leads_to)
    audit(
        session,
        actor=actor,
        action=action,
        subject=f"models/{model}/split",
        now=now,
        before=noted(former) if former else None,
        after=noted(split),
        reason=reason,
    )
    await alerts.resolve(
        session, cause=stuck(model), reason=f"the traffic was moved by {actor}", now=now
    )
    await tell_gateways(session, split.model_id)
    return split


async def _replace_overrides(
    session: AsyncSession,
    model: ModelRef,
    after: Overrides,
    *,
    action: str,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    before = await queries.overrides(session, model.id)
    values = {
        "pins": after.pins,
        "rules": after.rules,
        "version_ids": dict(after.version_ids),
        "updated_at": now,
    }
    await session.execute(
        postgresql.insert(OverrideSet)
        .values(model_id=model.id, revision=1, **values)
        .on_conflict_do_update(
            index_elements=[OverrideSet.model_id],
            set_={"revision": OverrideSet.revision + 1, **values},
        )
    )
    await hold_versions(session, model.id, "override", after.version_ids.values())
    audit(
        session,
        actor=actor,
        action=action,
        subject=f"models/{model.name}/overrides",
        now=now,
        before=counted(before),
        after=counted(after),
        reason=reason,
    )
    await tell_gateways(session, model.id)
