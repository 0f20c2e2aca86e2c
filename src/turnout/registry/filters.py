"""Which versions a list shows, and where its page begins, as read from the query."""

import re
from math import isfinite, nan
from typing import Final

from fastapi import Request

from turnout.errors import Unprocessable
from turnout.http import Page
from turnout.quantities import check_line
from turnout.registry.domain.fields import MODEL_NAME
from turnout.registry.queries import MetricRange

_FILTERS: Final = frozenset({"stage", "tag", "limit", "cursor"})
MOST_RANGES: Final = 50
_RANGE: Final = re.compile(r"metric\.([^\x00-\x1f]{1,100})\.(min|max)")
RANGE_PARAMETERS: Final = [
    {
        "name": f"metric.accuracy.{bound}",
        "in": "query",
        "required": False,
        "description": f"{most} value of a metric; any metric goes in the place of `accuracy`",
        "schema": {"type": "number"},
    }
    for bound, most in (("min", "Smallest"), ("max", "Largest"))
]


class UnknownFilter(Unprocessable):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"query.{name} is not a filter here: there are stage, tag, metric.<name>.min and"
            " metric.<name>.max, such as metric.accuracy.min=0.9",
            field=f"query.{name}",
        )


def metric_ranges(request: Request) -> list[MetricRange]:
    """Read `metric.accuracy.min=0.9`: parameters with names that no signature can list."""
    ranges: list[MetricRange] = []
    for name, text in request.query_params.multi_items():
        if name in _FILTERS:
            continue
        found = _RANGE.fullmatch(name)
        if found is None:
            raise UnknownFilter(name)
        if len(ranges) == MOST_RANGES:
            raise Unprocessable(
                f"a list of versions takes at most {MOST_RANGES} conditions on metrics",
                field=f"query.{name}",
            )
        bound = {"min": "least", "max": "most"}[found[2]]
        ranges.append(MetricRange(metric=found[1], **{bound: _number(name, text)}))
    return ranges


def _number(name: str, text: str) -> float:
    try:
        value = float(check_line(text))
    except ValueError:
        value = nan
    if not isfinite(value):
        raise Unprocessable(
            f"query.{name} is a number, such as 0.9, not {text!r}", field=f"query.{name}"
        )
    return value


class ForeignCursor(Unprocessable):
    def __init__(self) -> None:
        super().__init__(
            "cursor is not one of this list: use `next_cursor` of the page before",
            field="query.cursor",
        )


def after_model(page: Page) -> str | None:
    match page.after:
        case None:
            return None
        case (str(name),) if MODEL_NAME.fullmatch(name):
            return name
    raise ForeignCursor


def after_version(page: Page) -> tuple[str, int] | None:
    match page.after:
        case None:
            return None
        case (str(precedence), int(version_id)) if (
            precedence.isprintable() and 0 < version_id < 2**31
        ):
            return precedence, version_id
    raise ForeignCursor


def after_alias(page: Page) -> str | None:
    match page.after:
        case None:
            return None
        case (str(name),):
            return name
    raise ForeignCursor


def after_id(page: Page) -> int | None:
    match page.after:
        case None:
            return None
        case (int(identity),) if 0 < identity < 2**31:
            return identity
    raise ForeignCursor
