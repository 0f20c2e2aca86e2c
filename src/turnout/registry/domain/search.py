"""What models and versions are looked for by, and in which order they are listed."""

from dataclasses import dataclass
from enum import StrEnum


class Of(StrEnum):
    """What a search goes by. A tag is an entry of the metadata, as text, or a tag as such, whose
    text is empty."""

    NAME = "name"
    VERSION = "version"
    NUMBER = "number"
    RUN = "run"
    SOURCE = "source"
    TAG = "tag"
    CREATED = "created"
    UPDATED = "updated"


class Comparison(StrEnum):
    IS = "="
    IS_NOT = "!="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    AMONG = "IN"
    NOT_AMONG = "NOT IN"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`or_absent`: what has no such tag meets it, too."""

    of: Of
    comparison: Comparison
    value: str | int | tuple[str, ...]
    tag: str = ""
    or_absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    of: Of
    descending: bool = False
