"""MLflow's tags are the metadata and the tags of Turnout, seen as one.

A tag with a value is an entry of the metadata, one without is a tag; entries that are not text
show as JSON. A version's `semver` is the version itself.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from turnout.errors import Unprocessable
from turnout.interop.mlflow.domain.filters import SEMVER
from turnout.registry.domain.version import ModelDetails, VersionDetails

Details = TypeVar("Details", ModelDetails, VersionDetails)

OURS: Final = "mlflow"
"""The entry of the metadata for what MLflow knows of a version and Turnout has no place for."""

_MOST_LABELS: Final = 100
_LONGEST_LABEL: Final = 100
_COPIED: Final = re.compile(r"models:/([^/@:]+)/(\d{1,9})")


class TagReserved(Unprocessable):
    def __init__(self, key: str) -> None:
        why = (
            "it is the version itself, which never changes"
            if key == SEMVER
            else "Turnout keeps things of its own under that name"
        )
        super().__init__(f"the tag {key!r} cannot be set or deleted: {why}", field="key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where MLflow says that a version comes from."""

    source: str | None = None
    run_link: str | None = None
    model_id: str | None = None

    def written(self) -> dict[str, str]:
        said = {"source": self.source, "run_link": self.run_link, "model_id": self.model_id}
        return {name: value for name, value in said.items() if value}


def origin(metadata: Mapping[str, Any]) -> Origin:
    """Read what `written` wrote, or whatever somebody made of it since."""
    said = metadata.get(OURS)
    known = said if isinstance(said, Mapping) else {}
    return Origin(
        **{
            name: value
            for name in ("source", "run_link", "model_id")
            if isinstance(value := known.get(name), str)
        }
    )


def copied_from(source: str) -> tuple[str, int] | None:
    """The model and the number of the version that a `models:/` address leads to here."""
    found = _COPIED.fullmatch(source)
    return (found[1], int(found[2])) if found else None


def tags(details: ModelDetails | VersionDetails) -> Iterator[tuple[str, str]]:
    for label in details.tags:
        if label not in details.metadata:
            yield label, ""
    for key, value in details.metadata.items():
        if key != OURS and value is not None:
            yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tagged(details: Details, given: Mapping[str, str]) -> Details:
    for key, value in given.items():
        if key == OURS:
            raise TagReserved(key)
        details = untagged(details, key)
        labelled = len(key) <= _LONGEST_LABEL and len(details.tags) < _MOST_LABELS
        if value == "" and labelled:
            details = replace(details, tags=(*details.tags, key))
        else:
            details = replace(details, metadata={**details.metadata, key: value})
    return details


def semver_kept(key: str, value: str, *, version: str) -> bool:
    """Whether a tag says of a version what it is anyway; saying otherwise is refused."""
    if key == SEMVER and value != version:
        raise TagReserved(key)
    return key == SEMVER


def untagged(details: Details, key: str) -> Details:
    if key == OURS:
        raise TagReserved(key)
    return replace(
        details,
        tags=tuple(label for label in details.tags if label != key),
        metadata={name: value for name, value in details.metadata.items() if name != key},
    )
