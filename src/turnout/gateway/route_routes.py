"""What a caller needs to assign units by itself, from the memory of this replica."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Header, Path, Query, Request, Response

from turnout import http
from turnout.callers import Role, needs
from turnout.errors import Unavailable
from turnout.gateway.app import Gateway
from turnout.gateway.lookups import NoRoute
from turnout.gateway.snapshot import LiveRoute
from turnout.problems import problems
from turnout.registry.domain.version import ModelNotFound
from turnout.telemetry import held
from turnout.traffic.domain.overrides import Pin, Rule
from turnout.traffic.domain.split import Owner, OwnerKind, Spread

router = http.router("traffic")

LONGEST_WAIT: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmView:
    """`buckets` is the half-open range that gets this variant; null for a shadow."""

    name: str
    version: str
    buckets: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    """Pins and rules that aim at a version which may not answer any more are left out.

    `experiment` is the key of the experiment that `owner` is, if it is one.
    """

    model: str
    split_id: int
    strategy: Spread
    salt: str
    owner: Owner
    experiment: str | None
    variants: tuple[ArmView, ...]
    pins: tuple[Pin, ...]
    rules: tuple[Rule, ...]


@router.get(
    "/models/{model}/route",
    response_model=RouteView,
    summary="Everything it takes to assign by yourself",
    responses=problems(ModelNotFound, NoRoute, Unavailable)
    | {304: {"description": "The one you know (`If-None-Match`) is still in force"}},
)
@needs(Role.VIEWER, Role.RECORDER)
async def show_route(
    model: Annotated[str, Path(examples=["fraud-detection"])],
    request: Request,
    response: Response,
    *,
    wait: Annotated[
        float,
        Query(ge=0, le=LONGEST_WAIT, description="So many seconds for another one than you know"),
    ] = 0,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of the one you know")] = (
        None
    ),
) -> RouteView | Response:
    """The split in force with its pins and rules, as one document: the rules by which
    `assign_version` chooses, which are written down in `docs/guides/assignment.md`. The Python
    client (`turnout.client`) does this for you.

    To follow every change, ask again and again with `If-None-Match` and `wait=30`: the answer
    comes within milliseconds of a change, or is 304 when time is up. It is given from memory, so
    it goes on while the database is away.
    """
    gateway: Gateway = request.app.state.gateway
    live = await gateway.route(model)
    tag, experiment = await _named(gateway, live)
    if wait and http.unchanged(tag, if_none_match):
        with held(request.scope):
            await gateway.keeper.another(live, within=timedelta(seconds=wait))
        # The key may have been revoked meanwhile.
        await (await http.resources(request)).gate.admit(request.scope["headers"], again=True)
        live = await gateway.route(model)
        tag, experiment = await _named(gateway, live)
    if http.unchanged(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return _view(live, experiment)


async def _named(gateway: Gateway, live: LiveRoute) -> tuple[str, str | None]:
    """The tag of a route, and the key of the experiment that owns it.

    While the database is away a new experiment's key is not known. The tag says so: whoever knows
    only that one is told the key as soon as there is one.
    """
    owner = live.route.split.owner
    revision = gateway.keeper.current.revision(live.route)
    if owner.kind is not OwnerKind.EXPERIMENT:
        return f'"{revision}"', None
    key = await gateway.experiment(owner.id)
    return f'"{revision}"' if key else f'"{revision}.nameless"', key


def _view(live: LiveRoute, experiment: str | None) -> RouteView:
    split, overrides = live.route.split, live.route.overrides
    buckets = split.buckets
    return RouteView(
        model=live.route.model.name,
        split_id=split.id,
        strategy=split.strategy,
        salt=split.salt,
        owner=split.owner,
        experiment=experiment,
        variants=tuple(
            ArmView(
                name=variant.name,
                version=variant.version,
                buckets=buckets.get(variant.version_id),
            )
            for variant in split.variants
        ),
        pins=tuple(pin for pin in overrides.pins if pin.version in overrides.version_ids),
        rules=tuple(rule for rule in overrides.rules if rule.version in overrides.version_ids),
    )
