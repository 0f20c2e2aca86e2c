"""Answers, and what the client makes of them."""

import json

import pytest

from turnout.client import calls, errors
from turnout.client.engine import Address
from turnout.client.exchange import Reply, content
from turnout.client.stream import Lines

PROBLEM = {
    "type": "urn:turnout:problem:version-exists",
    "title": "Refused by the present state",
    "status": 409,
    "detail": "1.0.0 is registered already",
    "version": "1.0.0",
}


def refused(status: int, body: object = PROBLEM, kind: str = "problem+json") -> errors.Refused:
    reply = Reply(status, {"content-type": f"application/{kind}"}, json.dumps(body).encode())
    with pytest.raises(errors.Refused) as caught:
        content(reply)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.Malformed),
        (422, errors.Malformed),
        (429, errors.TooManyRequests),
        (503, errors.Unavailable),
        (500, errors.Refused),
    ],
)
def test_a_refusal_is_of_its_kind(status: int, kind: type[errors.Refused]):
    assert type(refused(status)) is kind


def test_a_refusal_carries_its_problem_document():
    refusal = refused(409)

    assert str(refusal) == "1.0.0 is registered already"
    assert refusal.problem.type == "urn:turnout:problem:version-exists"
    assert refusal.problem.facts == {"version": "1.0.0"}


@pytest.mark.parametrize("body", [{"title": "Bad Gateway", "status": 502}, [], "oops"])
def test_a_problem_document_of_somebody_else_is_quoted(body: object):
    assert refused(502, body).problem.title == "Not answered by Turnout"


def test_an_answer_of_somebody_else_is_quoted():
    refusal = refused(502, "<h1>Bad gateway</h1>", "json")

    assert refusal.problem.title == "Not answered by Turnout"
    assert "status 502" in str(refusal)
    assert "<h1>Bad gateway</h1>" in str(refusal)


def test_names_are_quoted_in_paths_and_what_is_not_given_is_not_sent():
    call = calls.promote("a model/../x", "1.0.0+build", reason=None)

    assert call.request.path == "models/a%20model%2F..%2Fx/rollouts"
    assert json.loads(call.request.body or b"") == {
        "candidate": "1.0.0+build",
        "strategy": "replace",
    }


def test_each_post_has_a_key_of_its_own():
    first, second = (calls.rollback("m", "because") for _ in range(2))

    keys = {call.request.headers["Idempotency-Key"] for call in (first, second)}
    assert len(keys) == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused_at_once(url: str):
    with pytest.raises(ValueError, match="is no address: write it as"):
        Address(url=url, api_key=None, timeout=1)


def test_what_is_no_key_is_refused_at_once():
    with pytest.raises(ValueError, match="is not an API key"):
        Address(url="http://host", api_key="trn_…", timeout=1)


STREAM = """\
: following
id: 7
retry: 1000

id: 8
event: rollout.rolled_back
data: {"type": "rollout.rolled_back", "timestamp": "2026-03-02T12:00:00Z",
data:  "data": {"subject": "models/m", "model": "m", "reason": "because"}}

: still here

id: 9
data: half of an event that nev"""


def test_a_stream_is_read_event_by_event():
    lines = Lines()

    events = [event for line in STREAM.split("\n") if (event := lines.take(line))]

    [event] = events
    assert (event.id, event.type, event.model) == (8, "rollout.rolled_back", "m")
    assert event.data["reason"] == "because"
    assert event.at.isoformat() == "2026-03-02T12:00:00+00:00"
    assert lines.position == 8


def test_a_stream_that_breaks_is_taken_up_behind_the_last_whole_event():
    lines = Lines()
    for line in STREAM.split("\n"):
        lines.take(line)

    lines.begin()

    assert lines.take("") is None
    assert lines.position == 8
