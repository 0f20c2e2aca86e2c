"""Which web pages of other origins may ask: those of a setting, at the doors made for pages."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
ANY: Final = "*"


def read_origins(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def check_origins(text: str) -> str:
    """Have each be written as browsers send it, for they are compared letter by letter."""
    origins = read_origins(text)
    for origin in origins:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is not an origin: write scheme, host and port in small letters and"
                " nothing else, such as https://shop.example.com"
            )
    if ANY in origins and len(origins) > 1:
        raise ValueError("* stands for every origin: leave the others out, or leave out the *")
    return text


class Origins:
    """Lets pages of these origins read the answers below `prefix`.

    Cookies never go along, so a page can send no more than what it holds itself.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, origins: Sequence[str]) -> None:
        self.app, self.prefix = app, prefix
        self.shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-API-Key"],
            expose_headers=["ETag", "Retry-After", "X-Request-ID"],
            allow_credentials=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and scope["path"].startswith(self.prefix)
        await (self.shared if shared else self.app)(scope, receive, send)
