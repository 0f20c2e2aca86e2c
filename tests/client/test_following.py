"""How a route is asked for, one look after the other, by what was answered before."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from tests.client.test_routing import document
from tests.factories import split
from turnout.client.errors import NotFound, Refused, Unreachable
from turnout.client.exchange import Reply, Request
from turnout.client.following import LAST_RETRY, PACE, POLL, WAIT, Follower
from turnout.client.routing import Route

FIRST = split({"a": 10_000})
ROUTE = Reply(200, {"etag": '"7.0"'}, json.dumps(document(FIRST)).encode())
SAME = Reply(304, {"etag": '"7.0"'}, b"")
PROXY = Reply(200, {"content-type": "text/html"}, b"<h1>Please sign in</h1>")
PROBLEM = {"type": "urn:x", "title": "Not found", "status": 404, "detail": "there is no model"}
ABSENT = Reply(404, {"content-type": "application/problem+json"}, json.dumps(PROBLEM).encode())
AWAY = Unreachable("no answer")


@dataclass
class Answering:
    """Stands in for the engine: answers what it was given, one after the other."""

    answers: list[Reply | Exception]
    asked: list[Request] = field(default_factory=list)

    async def exchange(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def looked(*answers: Reply | Exception) -> tuple[Follower, list[Request], list[float], int]:
    """The follower after so many looks, what it asked, its pauses, and the routes it found."""
    engine, found = Answering(list(answers)), list[Route]()
    follower = Follower(engine, "m", found.append)  # type: ignore[arg-type]
    pauses = [await follower._look() for _ in answers]
    return follower, engine.asked, pauses, len(found)


def holds(requests: Iterable[Request]) -> list[object]:
    return [request.query.get("wait") for request in requests]


async def test_the_first_request_is_answered_at_once_and_those_behind_it_are_held():
    _, asked, pauses, found = await looked(ROUTE, ROUTE, SAME)

    assert holds(asked) == [None, WAIT, WAIT]
    assert [request.headers.get("If-None-Match") for request in asked] == [None, '"7.0"', '"7.0"']
    assert pauses[:2] == [PACE, PACE]
    assert found == 2


async def test_a_hold_that_is_not_heeded_becomes_a_poll():
    _, _, pauses, _ = await looked(ROUTE, SAME)

    assert POLL - 0.1 < pauses[1] <= POLL


async def test_after_a_failure_it_is_asked_ever_less_often_and_not_held_until_there_is_an_answer():
    _, asked, pauses, found = await looked(ROUTE, *[AWAY] * 8, SAME, SAME)

    assert holds(asked) == [None, WAIT, *[None] * 8, WAIT]
    assert all(pause <= min(PACE * 2**n, LAST_RETRY) for n, pause in enumerate(pauses[1:9], 1))
    assert all(pause >= LAST_RETRY / 2 for pause in pauses[6:9])
    assert pauses[9] == PACE
    assert found == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        pytest.param(ABSENT, NotFound, "there is no model", id="a refusal"),
        pytest.param(PROXY, Refused, "not one of Turnout's", id="a page of somebody else"),
        pytest.param(AWAY, Unreachable, "no answer", id="nobody"),
        pytest.param(Reply(200, {}, b"{}"), Unreachable, "", id="another document"),
    ],
)
async def test_why_there_is_no_route_is_known(answer, kind: type[Exception], words: str):
    follower, _, _, found = await looked(answer)

    assert isinstance(follower.error, kind)
    assert words in str(follower.error)
    assert not found
