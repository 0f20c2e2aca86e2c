"""A model's route, kept as it is at the service.

The service is asked for another route than the known one, and holds the request until there is
one. Where something on the way cuts such requests short, they are asked again: that is polling.
While the service is away, the last known route goes on being used.
"""

import asyncio
import json
import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from turnout.client.engine import Engine, log
from turnout.client.errors import TurnoutError, Unreachable
from turnout.client.exchange import Reply, Request, path, refused
from turnout.client.routing import Route

WAIT: Final = 30
"""Seconds for which the service is asked to hold a request."""

PACE: Final = 0.1
"""Seconds between two answers at least, should replicas that differ take turns."""

POLL: Final = 1.0
"""Seconds between two requests that are not held."""

LAST_RETRY: Final = 2.0


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
        try:
            reply = await self._engine.exchange(self._request())
        except Unreachable as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, the known route is used)
            log.error("the route of %s cannot be followed", self._model, exc_info=error)
            return self._failed(Unreachable(str(error)))
        if reply.status in {200, 304} and self._retry != PACE and self._route:
            log.info("the route of %s is followed again", self._model)
        if reply.status == 200:
            self._take(reply)
            return PACE
        if reply.status == 304:
            self._retry = PACE
            taken = asyncio.get_running_loop().time() - begun
            return max(PACE, POLL - taken)
        return self._failed(refused(reply))

    def _request(self) -> Request:
        place = path("models", self._model, "route")
        if self._tag is None:
            return Request(method="GET", path=place)
        # After a failure the first request is not held: it tells that the service is back.
        wait = WAIT if self._retry == PACE else 0
        return Request(
            method="GET",
            path=place,
            query={"wait": wait} if wait else {},
            headers={"If-None-Match": self._tag},
            patience=wait,
        )

    def _take(self, reply: Reply) -> None:
        self._route = Route(json.loads(reply.body), self._route)
        self._tag = reply.headers.get("etag")
        self._retry = PACE
        self._publish(self._route)

    def _failed(self, error: TurnoutError) -> float:
        if self._retry == PACE:
            kept = "the last known one is used" if self._route else "there is none yet"
            log.warning("no route of %s: %s (%s)", self._model, error, kept)
        self.error = error
        self._retry = min(self._retry * 2, LAST_RETRY)
        return self._retry * random.uniform(0.5, 1)  # noqa: S311  (so that not all come back at once)
