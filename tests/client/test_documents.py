"""The types of what the service answers are those of its OpenAPI document."""

from typing import Any, get_type_hints, is_typeddict

import pytest

from turnout import db
from turnout.api import create_app
from turnout.client import documents
from turnout.client.routing import RouteDocument
from turnout.settings import Settings

NAMED = {
    "Version": "VersionView",
    "Rollout": "RolloutView",
    "Route": "RouteView",
    "Comparison": "turnout__observations__compare_routes__Comparison",
}
TYPES = [
    pytest.param(NAMED.get(name, name), kind, id=name)
    for name, kind in {**vars(documents), "Route": RouteDocument}.items()
    if is_typeddict(kind)
]


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    app = create_app(settings, db.create_engine("postgresql://nobody@127.0.0.1:1/nothing"))
    found: dict[str, Any] = app.openapi()["components"]["schemas"]
    return found


@pytest.mark.parametrize(("name", "kind"), TYPES)
def test_a_type_has_the_fields_of_its_schema(name: str, kind: type, schemas: dict[str, Any]):
    assert set(get_type_hints(kind)) == set(schemas[name]["properties"])
