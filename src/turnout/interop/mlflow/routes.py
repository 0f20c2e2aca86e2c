"""MLflow's model registry, as its own client speaks to it."""

from fastapi import Response

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.interop.mlflow.dialect import PREFIX, TAG, EndpointNotFound, MlflowRoute
from turnout.interop.mlflow.model_routes import router as models
from turnout.interop.mlflow.stage_routes import router as stages
from turnout.interop.mlflow.version_routes import router as versions

router = http.router(TAG, prefix="", route_class=MlflowRoute)
for part in (models, versions, stages):
    router.routes.extend(part.routes)


@router.api_route(
    PREFIX.replace("2.0", "{release}") + "/{path:path}",
    methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    include_in_schema=False,
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def refuse_other_endpoint(release: str, path: str) -> Response:
    raise EndpointNotFound(path)
