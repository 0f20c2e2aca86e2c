"""The types of what the service answers are those of its OpenAPI document."""

import json
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import pytest

from turnout.client import documents
from turnout.client.routing import RouteDocument

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
SCHEMAS: dict[str, Any] = json.loads(OPENAPI.read_text())["components"]["schemas"]
NAMED = {
    "Comparison": "VersionComparison",
    "Rollout": "RolloutView",
    "Route": "RouteView",
    "Version": "VersionView",
}
TYPES = [
    pytest.param(NAMED.get(name, name), kind, id=name)
    for name, kind in {**vars(documents), "Route": RouteDocument}.items()
    if is_typeddict(kind)
]


@pytest.mark.parametrize(("name", "kind"), TYPES)
def test_a_type_has_the_fields_of_its_schema(name: str, kind: type):
    assert set(get_type_hints(kind)) == set(SCHEMAS[name]["properties"])
