from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Body, Depends, Path, Response
from sqlalchemy import event

from turnout import http
from turnout.access import key_commands, key_queries
from turnout.access.domain.keys import KeyNameTaken, KeyNotFound, NewKey, RateLimit
from turnout.access.tables import ApiKey
from turnout.callers import Role, Scoping, needs
from turnout.errors import Unprocessable
from turnout.http import Actor, Calling, Listing, Now, Page, Paging, Reason, Resources, Session
from turnout.problems import problems

router = http.router("access")

Running = Annotated[Resources, Depends(http.resources)]

EXAMPLES: Final[Any] = {
    "ci": {
        "summary": "a pipeline that releases",
        "value": {"name": "ci", "role": "operator", "expires_in": "90d"},
    },
    "application": {
        "summary": "an application that predicts and reports, for one model",
        "value": {"name": "checkout", "role": "recorder", "models": ["fraud-detection"]},
    },
    "limited": {
        "summary": "a dashboard that must not ask too often",
        "value": {"name": "wallboard", "role": "viewer", "rate_limit": {"per_second": 5}},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """What is known of a key; `prefix` is how its text begins."""

    id: str
    prefix: str
    name: str
    role: Role
    models: tuple[str, ...] | None
    rate_limit: RateLimit | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey(KeyView):
    """`key` is shown this once."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """`development` says that nobody is asked for credentials; `models` is null for all."""

    name: str
    role: Role
    models: tuple[str, ...] | None
    development: bool


def key_view(row: ApiKey) -> KeyView:
    return KeyView(**_facts(row))


def _facts(row: ApiKey) -> dict[str, Any]:
    names = set(KeyView.__dataclass_fields__) - {"prefix"}
    return {name: getattr(row, name) for name in names} | {"prefix": f"trn_{row.id}"}


@router.post(
    "/api-keys",
    status_code=201,
    summary="Make an API key",
    responses=problems(KeyNameTaken),
)
@needs(Role.ADMIN)
async def create_api_key(
    body: Annotated[NewKey, Body(openapi_examples=EXAMPLES)],
    session: Session,
    response: Response,
    *,
    resources: Running,
    actor: Actor,
    now: Now,
) -> MadeKey:
    """Makes a key and answers its text, `key`, once: only a hash of it is kept. Send it as
    `Authorization: Bearer`, as `X-API-Key`, or as the password of `Authorization: Basic`.

    A `viewer` reads. A `recorder` predicts, assigns and records, and reads nothing but splits. An
    `operator` does both, registers versions, and moves traffic. An `admin` also makes keys. With
    `models`, a key is for these alone.

    The first key ends development mode: from then on every request needs one, and this one, too.
    So make the first one an `admin`. It is valid on every replica within milliseconds. Sent again
    with its `Idempotency-Key`, this is not answered again, because nobody keeps the text.
    """
    _then_ask_anew(session, resources)
    row, made = await key_commands.create_key(session, body, actor=actor, now=now)
    response.headers["Cache-Control"] = http.NO_STORE
    return MadeKey(**_facts(row), key=str(made))


@router.get("/api-keys", summary="All API keys", responses=problems())
@needs(Role.ADMIN)
async def list_api_keys(session: Session, page: Paging) -> Listing[KeyView]:
    """Keys, newest first, the revoked ones too: who made them, what they may do, and when they
    were last used, to the minute."""
    rows = await key_queries.key_rows(session, limit=page.limit + 1, after=_position(page))
    return Listing(
        items=[key_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.created_at.isoformat(), row.id)),
    )


@router.delete(
    "/api-keys/{key_id}",
    summary="Revoke an API key",
    responses=problems(KeyNotFound),
)
@needs(Role.ADMIN)
async def revoke_api_key(
    key_id: Annotated[str, Path(description="The key's `id`", pattern="^[0-9a-f]{16}$")],
    session: Session,
    *,
    resources: Running,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> KeyView:
    """Refuses the key from now on, on every replica within milliseconds. It stays in the list.

    Revoking the last key does not bring development mode back; `turnout keys create` makes a new
    one on the service's machine.
    """
    _then_ask_anew(session, resources)
    return key_view(
        await key_commands.revoke_key(session, key_id, actor=actor, now=now, reason=reason)
    )


@router.get("/me", summary="Who am I, and what may I do?", responses=problems())
@needs(*Role, scoping=Scoping.OWN)
async def show_caller(resources: Running, caller: Calling) -> CallerView:
    """The name that histories will show, the role, and the models, of the key or token that this
    request brings."""
    return CallerView(
        name=caller.name,
        role=caller.role,
        models=None if caller.models is None else tuple(sorted(caller.models)),
        development=resources.gate.open,
    )


def _then_ask_anew(session: Session, resources: Resources) -> None:
    """Whoever was told that a key is made or revoked finds it so at once, at this replica; the
    others learn of it by the notification."""
    event.listen(session.sync_session, "after_commit", lambda _: resources.gate.expect_change())


def _position(page: Page) -> tuple[datetime, str] | None:
    match page.after:
        case None:
            return None
        case (str() as at, str() as key_id):
            try:
                return datetime.fromisoformat(at), key_id
            except ValueError:
                pass
    raise Unprocessable("cursor is not of this list", field="query.cursor")
