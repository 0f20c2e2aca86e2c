"""What docs/guides/security.md says of roles and settings is what the code does."""

import re
from pathlib import Path

import pytest

from tests.access.test_routes_are_guarded import OPERATIONS
from turnout.access.domain.tokens import LEEWAY
from turnout.access.issuer import FRESH_FOR, SPACING
from turnout.api import OPEN
from turnout.callers import COVERED, Role
from turnout.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "security.md").read_text()
PREFIX = "/api/v1"


@pytest.mark.parametrize("role", [*Role])
def test_a_role_covers_what_the_table_says(role: Role) -> None:
    found = re.search(rf"^\| `{role}` \| (.*?)\| ", GUIDE, re.MULTILINE)
    assert found is not None
    covered = [other for other in Role if other in COVERED[role] and other is not role]

    assert re.findall(r"`(\w+)`", found[1]) == covered


def test_what_only_an_admin_may_is_listed_in_full() -> None:
    cells = re.findall(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE).*?) \|", GUIDE, re.MULTILINE)
    listed = set()
    for part in ", ".join(cells).split(", "):
        *methods, last = re.findall(r"`([^`]+)`", part)
        method, path = last.split()
        listed |= {(one, path) for one in (*methods, method)}

    assert listed == {
        (operation.method, operation.path.removeprefix(PREFIX))
        for operation in OPERATIONS
        if operation.roles == (Role.ADMIN,)
    }


def test_a_recorder_reads_what_traffic_is_routed_by_and_nothing_else() -> None:
    read = {
        operation.path.rpartition("/")[2]
        for operation in OPERATIONS
        if operation.method == "GET"
        and Role.RECORDER in operation.roles
        and not operation.path.startswith("/v2")
    }

    assert read == {"split", "overrides", "route", "me"}


@pytest.mark.parametrize("path", sorted(OPEN))
def test_every_open_path_is_named(path: str) -> None:
    assert f"`{path}`" in GUIDE


def test_every_setting_it_names_there_is_and_every_one_of_the_issuer_is_named() -> None:
    named = set(re.findall(r"TURNOUT_([A-Z_]+)", GUIDE)) - {"API_KEY"}
    there = {name.upper() for name in Settings.model_fields}

    assert named <= there
    assert {name for name in there if name.startswith("OIDC")} <= named


def test_the_times_it_names_are_those_of_the_code() -> None:
    times = (LEEWAY, FRESH_FOR, SPACING)

    assert [time.total_seconds() for time in times] == [30, 300, 10]
