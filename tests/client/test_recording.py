"""What waits, what is sent again, and what is given up: without a service and without a clock."""

import json
from datetime import UTC, datetime

import pytest

from turnout.client.exchange import Reply
from turnout.client.recording import (
    BATCH_ROWS,
    LAST_RETRY,
    Batch,
    Buffer,
    Feedback,
    Prediction,
    Recordings,
    uuid7,
)
from turnout.client.routing import Choice
from turnout.observations.domain.prediction import time_of_id
from turnout.observations.wire import read_json

MODEL = "fraud-detection"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHOICE = Choice.forced(MODEL, "1.0.0", "user-1")


def reply(status: int, body: object = None, **headers: str) -> Reply:
    kind = "application/json" if status < 300 else "application/problem+json"
    return Reply(status, {"content-type": kind, **headers}, json.dumps(body).encode())


def taken(*rejected: dict[str, object]) -> Reply:
    report = {"accepted": 0, "duplicate": 0, "unknown": 0, "rejected": rejected}
    return reply(202, report)


def refusal(status: int, **headers: str) -> Reply:
    body = {"type": "urn:x", "title": "No", "status": status, "detail": "the reason"}
    return reply(status, body, **headers)


def holding(rows: int, *models: str, bound: int = 100_000) -> Buffer:
    buffer = Buffer(bound)
    for model in models or (MODEL,):
        for n in range(rows):
            buffer.offer(model, {"prediction_id": str(n), "version": "1.0.0"})
    return buffer


def sent(buffer: Buffer, now: float = 0.0) -> Batch:
    [batch] = buffer.due(now)
    return batch


def waiting(buffer: Buffer) -> int:
    return buffer.recordings().waiting


def test_rows_go_in_the_order_in_which_they_came_and_in_batches():
    buffer = holding(BATCH_ROWS + 1)

    first = sent(buffer)
    buffer.settle(first, taken(), 0)
    second = sent(buffer)

    assert [row["prediction_id"] for row in first.rows] == [str(n) for n in range(BATCH_ROWS)]
    assert [row["prediction_id"] for row in second.rows] == [str(BATCH_ROWS)]
    assert first.id != second.id


@pytest.mark.parametrize("status", [None, 401, 403, 429, 500, 503])
def test_what_may_pass_is_sent_again_as_it_was(status: int | None):
    buffer = holding(3)
    first = sent(buffer)
    buffer.offer(MODEL, {"prediction_id": "later"})

    said = buffer.settle(first, status and refusal(status), 0)  # type: ignore[arg-type]

    assert said is None
    assert buffer.due(0) == []
    assert sent(buffer, now=LAST_RETRY) is first
    assert waiting(buffer) == 4
    assert buffer.trouble == ("no answer" if status is None else "the reason")


def test_it_is_tried_ever_less_often_until_it_is_taken():
    buffer = holding(1)
    batch = sent(buffer)

    for delay in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        buffer.settle(batch, None, 0)
        assert buffer.due(delay - 0.01) == []
        assert buffer.due(delay) == [batch]


def test_a_service_that_says_when_is_asked_then():
    buffer = holding(1)

    buffer.settle(sent(buffer), refusal(429, **{"retry-after": "3"}), 0)

    assert buffer.due(2.9) == []
    assert len(buffer.due(3)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(200, {"content-type": "text/html"}, b"<h1>Sign in</h1>"), id="a page"),
        pytest.param(Reply(200, {"content-type": "application/json"}, b"{}"), id="other JSON"),
        pytest.param(Reply(404, {"content-type": "text/html"}, b"nothing here"), id="no such page"),
        pytest.param(Reply(301, {"location": "https://elsewhere"}, b""), id="a redirection"),
    ],
)
def test_what_somebody_else_answers_gives_nothing_up(answer: Reply):
    buffer = holding(3)

    buffer.settle(sent(buffer), answer, 0)

    assert waiting(buffer) == 3
    assert buffer.trouble is not None
    assert "not one of Turnout's" in buffer.trouble


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_what_will_never_be_taken_is_given_up_and_said(status: int):
    buffer = holding(3)

    said = buffer.settle(sent(buffer), refusal(status), 0)

    assert said == f"3 recordings of {MODEL} refused: the reason"
    assert buffer.recordings() == Recordings(taken=0, refused=3, shed=0, waiting=0)


def test_bad_rows_are_counted_and_the_first_is_said():
    buffer = holding(3)
    bad = {"list": "predictions", "index": 1, "field": "unit", "reason": "too long"}

    said = buffer.settle(sent(buffer), taken(bad), 0)

    assert said == f"1 of 3 recordings of {MODEL} refused; the first: unit: too long"
    assert buffer.recordings() == Recordings(taken=2, refused=1, shed=0, waiting=0)


def test_a_batch_that_is_too_large_goes_in_halves_down_to_the_row():
    buffer = holding(4)
    tried = []
    while batches := buffer.due(0):
        tried.append([row["prediction_id"] for row in batches[0].rows])
        buffer.settle(batches[0], refusal(413) if "2" in tried[-1] else taken(), 0)

    assert tried == [["0", "1", "2", "3"], ["0", "1"], ["2", "3"], ["2"], ["3"]]
    assert buffer.recordings() == Recordings(taken=3, refused=1, shed=0, waiting=0)


def test_beyond_the_bound_the_newest_are_shed_and_counted():
    buffer = holding(5, bound=3)

    assert buffer.recordings() == Recordings(taken=0, refused=0, shed=2, waiting=3)
    assert [row["prediction_id"] for row in sent(buffer).rows] == ["0", "1", "2"]
    assert not buffer.offer(MODEL, {})  # what is under way still waits


def test_trouble_with_one_model_does_not_hold_up_another():
    buffer = holding(1, "broken", "healthy")
    broken, healthy = buffer.due(0)

    buffer.settle(broken, None, 0)
    buffer.settle(healthy, taken(), 0)
    buffer.offer("healthy", {"prediction_id": "next"})

    assert [batch.model for batch in buffer.due(0)] == ["healthy"]


def test_an_answer_that_comes_after_another_one_is_not_counted_again():
    buffer = holding(2)
    batch = sent(buffer)

    buffer.settle(batch, taken(), 0)
    buffer.settle(batch, taken(), 0)

    assert buffer.recordings() == Recordings(taken=2, refused=0, shed=0, waiting=0)


def test_waiting_ends_with_what_had_been_offered():
    buffer = holding(1)
    assert not buffer.wait(0)
    batch = sent(buffer)
    buffer.settle(batch, taken(), 0)

    assert buffer.wait(0)


class Scalar:
    """As numpy's are: no number of Python's, but it knows one."""

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        return self._value

    def __float__(self) -> float:
        return float(self._value)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return bool(self._value)


def test_the_service_reads_what_is_sent():
    id_ = uuid7(1_767_000_000_000)
    choice = Choice(CHOICE.arm, "user-1", {"country": "DE", "age": Scalar(37)})  # type: ignore[dict-item]
    prediction = Prediction(
        choice=choice,
        prediction_id=id_,
        at=NOW,
        latency_ms=Scalar(1.5),  # type: ignore[arg-type]
        confidence=0.5,
        label=Scalar(3),  # type: ignore[arg-type]
        error="bad\nthing" + "!" * 1_000,
        cost=0.1,
    )
    feedback = Feedback(at=NOW, prediction_id=id_, correct=Scalar(1))  # type: ignore[arg-type]
    request = Batch(MODEL, [prediction.row(), feedback.row()], "batch-1").request()

    read = read_json(request.body or b"", None)

    assert request.path == "models/fraud-detection/observations"
    assert (read.batch_id, read.rejected) == ("batch-1", [])
    [line], [outcome] = read.predictions, read.outcomes
    assert line is not None
    assert outcome is not None
    assert (line.prediction_id, line.version, line.unit, line.at) == (id_, "1.0.0", "user-1", NOW)
    assert (line.latency_ms, line.confidence, line.label, line.cost) == (1.5, 0.5, 3, 0.1)
    assert line.features == {"country": "DE", "age": 37}
    assert line.split_id is None
    assert isinstance(line.error, str)
    assert line.error.startswith("bad thing!")
    assert (outcome.prediction_id, outcome.correct, outcome.at) == (id_, True, NOW)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param({"correct": True}, "prediction_id or its unit", id="about nothing"),
        pytest.param(
            {"correct": True, "unit": "u", "prediction_id": "p"}, "either", id="about two things"
        ),
        pytest.param({"unit": "u"}, "exactly one of", id="that says nothing"),
        pytest.param({"unit": "u", "correct": True, "value": 1}, "exactly one of", id="says two"),
        pytest.param({"unit": "u", "value": 1}, "name it", id="a value of nothing"),
        pytest.param({"prediction_id": "p", "label": object()}, "label is text", id="no label"),
    ],
)
def test_feedback_that_makes_no_sense_is_refused_at_once(said: dict[str, object], reason: str):
    with pytest.raises((ValueError, TypeError), match=reason):
        Feedback(at=NOW, **said).row()  # type: ignore[arg-type]


def test_a_time_without_a_zone_is_refused_at_once():
    naive = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001

    with pytest.raises(ValueError, match="a time has a zone"):
        Prediction(choice=CHOICE, prediction_id="p", at=naive).row()


def test_ids_tell_their_time_and_are_never_the_same():
    made = {uuid7(1_767_000_000_123) for _ in range(1_000)}

    assert len(made) == 1_000
    assert {time_of_id(one) for one in made} == {datetime(2025, 12, 29, 9, 20, 0, 123_000, UTC)}
