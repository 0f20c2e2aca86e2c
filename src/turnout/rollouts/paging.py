from typing import Final

from turnout.errors import Unprocessable
from turnout.http import Page

LARGEST_NUMBER: Final = 2**63 - 1


def number(page: Page) -> int | None:
    """The number behind which a page of one of this slice's lists starts."""
    match page.after:
        case None:
            return None
        case (int(number),) if 0 <= number <= LARGEST_NUMBER:
            return number
    raise Unprocessable(
        "cursor is not of this list: use `next_cursor` of the page before", field="query.cursor"
    )
