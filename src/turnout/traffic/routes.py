from typing import Annotated

from fastapi import Body, Path

from turnout import http
from turnout.callers import Role, needs
from turnout.http import Actor, Now, Session
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.traffic import commands, queries
from turnout.traffic.domain.split import ArtifactMissing, NoSplit, SplitOwned, VersionRejected
from turnout.traffic.schemas import (
    NewOverrides,
    NewSplit,
    OverridesView,
    SplitView,
    overrides_view,
    split_view,
)

router = http.router("traffic")

Named = Annotated[str, Path(examples=["fraud-detection"])]

SPLIT_EXAMPLES = {
    "two versions": {
        "summary": "70 % to 1.0.0, 30 % to 2.0.0, every user always the same",
        "value": {
            "strategy": "sticky",
            "variants": [
                {"version": "1.0.0", "weight": 70},
                {"version": "2.0.0", "weight": 30},
            ],
            "reason": "first look at 2.0.0",
        },
    },
    "one version": {
        "summary": "everything to 1.0.0",
        "value": {"variants": [{"version": "1.0.0", "weight": 100}]},
    },
    "shadow": {
        "summary": "1.0.0 answers, 2.0.0 gets a copy",
        "value": {
            "variants": [
                {"version": "1.0.0", "weight": 100},
                {"version": "2.0.0", "shadow": True},
            ]
        },
    },
}
OVERRIDES_EXAMPLES = {
    "testers": {
        "summary": "two testers and all of Germany get 2.0.0",
        "value": {
            "pins": [
                {"unit": "tester-1", "version": "2.0.0"},
                {"unit": "tester-2", "version": "2.0.0"},
            ],
            "rules": [{"attribute": "country", "values": ["DE"], "version": "2.0.0"}],
        },
    },
    "none": {"summary": "the split alone decides", "value": {"pins": [], "rules": []}},
}


@router.get(
    "/models/{model}/split",
    summary="Which version gets which share now?",
    responses=problems(NoSplit),
)
@needs(Role.VIEWER, Role.RECORDER)
async def show_split(model: Named, session: Session) -> SplitView:
    """The split in force: its variants in the order of their buckets, and who owns it.

    While a rollout or an experiment owns the split, it alone changes the weights.
    """
    found = await registry.model(session, model)
    split = await queries.active_split(session, found.id)
    if split is None:
        raise NoSplit(found.name)
    return split_view(found.name, split)


@router.put(
    "/models/{model}/split",
    summary="Split traffic by hand",
    responses=problems(VersionNotFound, SplitOwned, VersionRejected, ArtifactMissing),
)
async def set_split(
    model: Named,
    body: Annotated[NewSplit, Body(openapi_examples=SPLIT_EXAMPLES)],
    session: Session,
    actor: Actor,
    now: Now,
) -> SplitView:
    """Gives each version the share you say, on every replica within milliseconds.

    Weights are percent with at most two decimals and sum to 100. With `sticky` (and `canary`) a
    unit keeps its version for ever, and a version whose weight grows only gains units;
    `random` and `round_robin` decide each request anew. A version with `"shadow": true` gets a
    copy of all requests and answers none.

    Refused while a rollout or an experiment decides where traffic goes: end that first.
    """
    found = await registry.model(session, model)
    split = await commands.set_split_by_hand(
        session,
        found,
        strategy=body.strategy,
        shares=body.variants,
        actor=actor,
        now=now,
        reason=body.reason,
    )
    return split_view(found.name, split)


@router.get(
    "/models/{model}/overrides",
    summary="Who gets a version whatever the split says?",
    responses=problems(ModelNotFound),
)
@needs(Role.VIEWER, Role.RECORDER)
async def show_overrides(model: Named, session: Session) -> OverridesView:
    """Pinned units, and rules on attributes. Both empty when the split alone decides."""
    found = await registry.model(session, model)
    return overrides_view(await queries.overrides(session, found.id))


@router.put(
    "/models/{model}/overrides",
    summary="Pin units, or aim at them by attribute",
    responses=problems(VersionNotFound, VersionRejected, ArtifactMissing),
)
async def set_overrides(
    model: Named,
    body: Annotated[NewOverrides, Body(openapi_examples=OVERRIDES_EXAMPLES)],
    session: Session,
    actor: Actor,
    now: Now,
) -> OverridesView:
    """Replaces all pins and rules of the model.

    A pin goes before every rule, the first rule that fits goes before the split, and the version
    they name need not be in the split: this is how testers see a version before anyone else.
    What they get never counts as evidence for or against a version.
    """
    found = await registry.model(session, model)
    overrides = await commands.set_overrides(
        session,
        found,
        pins=body.pins,
        rules=body.rules,
        actor=actor,
        now=now,
        reason=body.reason,
    )
    return overrides_view(overrides)
