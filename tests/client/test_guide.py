"""What docs/guides/python-client.md says of methods, roles and exceptions holds."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.test_routes_are_guarded import OPERATIONS
from turnout import client
from turnout.callers import Role
from turnout.client import AsyncTurnout, Turnout, calls
from turnout.client.exchange import Request
from turnout.client.recording import Batch

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "python-client.md").read_text()
ARGUMENTS = {
    "model": "m",
    "version": "1.0.0",
    "reason": "because",
    "versions": ["1.0.0"],
    "document": {},
    "key": "k",
}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def requests() -> Iterator[tuple[str, Request]]:
    """Every request that the client makes, by the method that makes it."""
    for name, build in inspect.getmembers(calls, inspect.isfunction):
        if build.__module__ == calls.__name__ and not name.startswith("_"):
            signature = inspect.signature(build)
            required = [
                ARGUMENTS[parameter.name]
                for parameter in signature.parameters.values()
                if parameter.default is inspect.Parameter.empty
            ]
            yield name, build(*required).request
    yield "select_version", Request(method="GET", path="models/m/route")
    yield "on_event", Request(method="GET", path="events")
    yield "record_prediction", Batch("m", []).request()


def roles(request: Request) -> tuple[Role, ...]:
    """Which roles an operation takes; of two that a path fits, the one with fewer parameters."""
    fitting = [
        operation
        for operation in OPERATIONS
        if operation.method == request.method
        and re.fullmatch(re.sub(r"{\w+}", "[^/]+", operation.path), f"/api/v1/{request.path}")
    ]
    return min(fitting, key=lambda operation: operation.path.count("{")).roles


def told(method: str) -> Role:
    found = re.search(rf"^\|.*`{method}`.*\| `(\w+)` \|$", GUIDE, re.MULTILINE)
    assert found is not None, method
    return Role(found[1])


def test_both_clients_have_the_same_methods():
    assert public(Turnout) == public(AsyncTurnout)


@pytest.mark.parametrize("name", sorted(public(Turnout)))
def test_every_method_is_in_the_guide(name: str):
    assert re.search(rf"`@?{name}|client\.{name}\b", GUIDE)


@pytest.mark.parametrize(
    "name",
    [name for name in client.__all__ if issubclass(getattr(client, name), client.TurnoutError)],
)
def test_every_exception_is_in_the_guide(name: str):
    if name != "Refused":
        assert f"`{name}`" in GUIDE


@pytest.mark.parametrize(("method", "asked"), [pytest.param(*r, id=r[0]) for r in requests()])
def test_a_method_takes_the_role_that_the_guide_says(method: str, asked: Request):
    role = Role.VIEWER if method == "models_of_experiment" else told(method)

    assert role in roles(asked)
