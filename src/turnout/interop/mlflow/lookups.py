"""How MLflow's names lead to what is here: by model and number, within what a caller may see."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.callers import Caller
from turnout.errors import Unprocessable
from turnout.interop.mlflow.dialect import NumberMalformed, NumberNotFound
from turnout.registry import catalogue
from turnout.registry import queries as registry
from turnout.registry.catalogue import ListedVersion
from turnout.registry.domain.alias import AliasNotFound
from turnout.registry.domain.version import ModelRef

Item = TypeVar("Item")
_LARGEST: Final = 2**31 - 1
LATEST: Final = "latest"

Filter = Annotated[str, Query(examples=["name LIKE 'fraud%' AND tags.team = 'risk'"])]
OrderBy = Annotated[list[str] | None, Query(examples=[["last_updated_timestamp DESC"]])]
Token = Annotated[str, Query(description="`next_page_token` of the page before")]


class TokenMalformed(Unprocessable):
    def __init__(self) -> None:
        super().__init__(
            "page_token is not one that this service gave: use next_page_token of the page before",
            field="page_token",
        )


async def model_of(session: AsyncSession, caller: Caller, name: str) -> ModelRef:
    caller.check_models([name])
    return await registry.model(session, name)


async def version_id_of(
    session: AsyncSession, caller: Caller, name: str, version: str | int
) -> int:
    model = await model_of(session, caller, name)
    number = number_of(version)
    found = await catalogue.version_number(session, model.id, number)
    if found is None:
        raise NumberNotFound(model.name, number)
    return found


async def version_of(
    session: AsyncSession, caller: Caller, name: str, version: str | int
) -> ListedVersion:
    found = await version_id_of(session, caller, name, version)
    return await catalogue.version(session, found)


async def aliased(session: AsyncSession, model: ModelRef, alias: str) -> ListedVersion:
    """The version that an alias leads to; `latest` is the one registered last."""
    if alias.casefold() == LATEST:
        latest = (await catalogue.latest_versions(session, [model.id])).get(model.id)
        if not latest:
            raise AliasNotFound(model.name, alias)
        return latest[-1]
    found = await registry.aliased_version(session, model.id, alias)
    return await catalogue.version(session, found.id)


def number_of(version: str | int) -> int:
    text = str(version)
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NumberMalformed(text)
    return min(int(text), _LARGEST)


def offset_of(token: str) -> int:
    if not token:
        return 0
    try:
        position = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise TokenMalformed from None
    offset = position.get("offset") if isinstance(position, dict) else None
    if type(offset) is not int or not 0 <= offset <= _LARGEST:
        raise TokenMalformed
    return offset


def page(found: Sequence[Item], *, limit: int, offset: int) -> tuple[Sequence[Item], str | None]:
    """A page of what was looked for with one more than `limit`, and the token of the next."""
    if len(found) <= limit:
        return found, None
    position = json.dumps({"offset": offset + limit}).encode()
    return found[:limit], base64.b64encode(position).decode()
