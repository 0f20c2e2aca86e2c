"""The names of the schemas in the OpenAPI document, which generators turn into names of classes.

Slices name their classes for themselves, so that there are two plans and nineteen listings. The
document needs one name for each: `RolloutPlan`, `ExperimentPlan`, `ModelListing`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

REFERENCE: Final = "#/components/schemas/"
GENERIC: Final = "Listing_"
DOORS: Final = "interop"
ADJECTIVES: Final = {"stats": "Statistical"}
"""What stands before a name where a slice's own name, without its s, would read badly."""


class AmbiguousSchema(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"two schemas would be called {name}: rename one of the classes")


def name_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Answer the document with a readable name, which is also its title, for every schema.

    Raises `AmbiguousSchema` where a slice has two classes of one name.
    """
    schemas = document["components"]["schemas"]
    own = Counter(
        schema["title"] for given, schema in schemas.items() if _owner(given) not in ("", DOORS)
    )
    names = {given: _own_name(given, schema["title"], own) for given, schema in schemas.items()}
    names |= {
        given: _listing(schema, names) for given, schema in schemas.items() if GENERIC in given
    }
    taken = set[str]()
    for name in names.values():
        if name in taken:
            raise AmbiguousSchema(name)
        taken.add(name)

    named = {names[given]: schema | {"title": names[given]} for given, schema in schemas.items()}
    components = document["components"] | {"schemas": dict(sorted(named.items()))}
    answered: dict[str, Any] = _renamed(document | {"components": components}, names)
    return answered


def _owner(given: str) -> str:
    """The slice of a class whose name others have, too: `turnout__rollouts__…__Plan`."""
    return given.split("__")[1] if given.startswith("turnout__") else ""


def _own_name(given: str, title: str, own: Mapping[str, int]) -> str:
    owner = _owner(given)
    if not owner:
        return given
    if owner == DOORS:
        owner = given.split("__")[2]
    elif own[title] == 1:
        return title  # what others' doors call so, too, is no reason for another name
    return ADJECTIVES.get(owner, owner.removesuffix("s").capitalize()) + title


def _listing(schema: Mapping[str, Any], names: Mapping[str, str]) -> str:
    item = schema["properties"]["items"]["items"]["$ref"].removeprefix(REFERENCE)
    return names[item].removesuffix("View") + "Listing"


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """References stand in `$ref`, and in the mappings of discriminators."""
    if isinstance(part, dict):
        return {key: _renamed(value, names) for key, value in part.items()}
    if isinstance(part, list):
        return [_renamed(element, names) for element in part]
    if isinstance(part, str) and part.startswith(REFERENCE):
        return REFERENCE + names[part.removeprefix(REFERENCE)]
    return part
