"""A model's route, kept as it is at the service.

The service is asked for another route than the known one, and holds the request until there is
one. Where something on the way cuts such requests short, they are asked again: that is polling.
While the service is away, the last known route goes on being used.
"""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from turnout.client.engine import Engine, log
from turnout.client.errors import TurnoutError, Unreachable
from turnout.client.exchange import Request, content, path
from turnout.client.routing import Route, RouteDocument

WAIT: Final = 30
"""Seconds for which the service is asked to hold a request."""

PACE: Final = 0.1
"""Seconds between two answers at least, should replicas that differ take turns."""

POLL: Final = 1.0
"""Seconds between two requests that are not held."""

LAST_RETRY: Final = 2.0
NOT_MODIFIED: Final = 304


class Follower:
    """`tried` is done with the first answer, or with the first failure to get one; `error` says
    why there is no route yet."""

    def __init__(self, engine: Engine, model: str, publish: Callable[[Route], None]) -> None:
        self.tried: Future[None] = Future()
        self.error: TurnoutError = Unreachable(f"{model} is not known yet")
        self._engine = engine
        self._model = model
        self._publish = publish
        self._route: Route | None = None
        self._tag: str | None = None
        self._retry = PACE

    async def run(self) -> None:
        while True:
            pause = await self._look()
            if not self.tried.done():
                self.tried.set_result(None)
            await asyncio.sleep(pause)

    async def _look(self) -> float:
        """Ask once; returns the seconds before the next time."""
        begun = asyncio.get_running_loop().time()
        wait = self._wait()
        try:
            reply = await self._engine.exchange(self._request(wait))
            if reply.status != NOT_MODIFIED:
                self._take(content(reply), reply.headers.get("etag"))
        except TurnoutError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, the known route is used)
            log.error("the route of %s cannot be read", self._model, exc_info=error)
            return self._failed(Unreachable(str(error)))
        if self._retry != PACE and self._route:
            log.info("the route of %s is followed", self._model)
        self._retry = PACE
        held = asyncio.get_running_loop().time() - begun
        return PACE if not wait or reply.status != NOT_MODIFIED else max(PACE, POLL - held)

    def _wait(self) -> int:
        """For how long the next request may be held. After a failure, for no time: its answer
        tells that the service is back, and where long requests are cut short, it polls."""
        return WAIT if self._tag is not None and self._retry == PACE else 0

    def _request(self, wait: int) -> Request:
        return Request(
            method="GET",
            path=path("models", self._model, "route"),
            query={"wait": wait} if wait else {},
            headers={} if self._tag is None else {"If-None-Match": self._tag},
            patience=wait,
        )

    def _take(self, document: RouteDocument, tag: str | None) -> None:
        self._route = Route(document, self._route)
        self._tag = tag
        self._publish(self._route)

    def _failed(self, error: TurnoutError) -> float:
        if self._retry == PACE:
            kept = "the last known one is used" if self._route else "there is none yet"
            log.warning("no route of %s: %s (%s)", self._model, error, kept)
        self.error = error
        self._retry = min(self._retry * 2, LAST_RETRY)
        return self._retry * random.uniform(0.5, 1)  # noqa: S311  (so that not all come back at once)
