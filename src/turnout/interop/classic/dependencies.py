"""How the classic paths come by the model that they mean."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import Depends

from turnout import http
from turnout.http import Calling, Resources, Session
from turnout.interop.classic.domain import NoModelYet, SeveralModels
from turnout.interop.classic.queries import classic_model
from turnout.registry.domain.version import ModelRef

PREFIX: Final = "/api/v1/versioning/api"
TAG: Final = "classic paths"
UNMEANT: Final = (NoModelYet, SeveralModels)
"""How every one of these paths may be refused."""


async def meant_model(
    session: Session,
    resources: Annotated[Resources, Depends(http.resources)],
    caller: Calling,
) -> ModelRef:
    """The paths name no model, so callers who are confined to some are checked here."""
    found = await classic_model(session, resources.settings.classic_model, caller)
    caller.check_models([found.name])
    return found


async def retention(resources: Annotated[Resources, Depends(http.resources)]) -> timedelta:
    return timedelta(days=resources.settings.retention_days)


Meant = Annotated[ModelRef, Depends(meant_model)]
Retention = Annotated[timedelta, Depends(retention)]
