"""Which doors are open is one setting."""

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from turnout.api import create_app
from turnout.interop.doors import DOORS
from turnout.settings import Door, Settings


def settings(interop: str) -> Settings:
    return Settings(_env_file=None, interop=interop)  # type: ignore[call-arg]


def tags_of(door: Door) -> set[str]:
    return {str(tag) for router in DOORS[door] for tag in router.tags}


@pytest.mark.parametrize(
    ("text", "doors"),
    [
        pytest.param("", (), id="none"),
        pytest.param("mlflow", (Door.MLFLOW,), id="one"),
        pytest.param("ofrep, classic", (Door.CLASSIC, Door.OFREP), id="spaces, in any order"),
    ],
)
def test_the_setting_lists_the_open_doors(text: str, doors: tuple[Door, ...]) -> None:
    assert settings(text).open_doors == doors


def test_every_door_is_open_unless_it_is_said() -> None:
    assert Settings(_env_file=None).open_doors == tuple(Door)  # type: ignore[call-arg]
    assert tuple(DOORS) == tuple(Door)


def test_a_door_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValidationError, match="'window' is not a door"):
        settings("classic,window")


def test_a_closed_door_is_not_in_the_documentation(shared_engine: AsyncEngine) -> None:
    app = create_app(settings("classic,oip"), shared_engine)

    described = {tag["name"] for tag in app.openapi_tags or ()}

    assert tags_of(Door.CLASSIC) | tags_of(Door.OIP) <= described
    assert described.isdisjoint(tags_of(Door.MLFLOW))
