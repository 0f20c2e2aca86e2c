import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOON
from turnout.delivery.domain.attempts import Attempt, State, fate
from turnout.delivery.domain.formats import ACTIONS, message, sends
from turnout.delivery.domain.webhook import Format
from turnout.delivery.domain.words import headline
from turnout.events.domain import Event, EventType

DELAYS = (timedelta(seconds=5), timedelta(minutes=5))
PUBLIC = "https://turnout.example.com"


def event(kind: EventType = EventType.ROLLOUT_ROLLED_BACK, **data: Any) -> Event:
    said = {
        "candidate": "2.0.0",
        "baseline": "1.0.0",
        "weight": 25,
        "reason": "error_rate is 0.08 > 0.05",
        "actor": "worker",
    }
    return Event(
        id=17,
        position=12,
        at=NOON,
        type=kind,
        subject="models/checkup/rollouts/7f",
        model="checkup",
        data=said | data,
    )


def sent(form: Format, about: Event) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(message(about, form, secret="R0123", public_url=PUBLIC).body)
    return body


def answered(status: int | None) -> Attempt:
    return Attempt(at=NOON, duration_ms=0, status=status, error=None if status else "too slow")


@pytest.mark.parametrize(
    ("status", "number", "retry_after", "state", "wait"),
    [
        pytest.param(204, 1, None, State.DELIVERED, 0, id="2xx is success"),
        pytest.param(302, 1, None, State.PENDING, 5, id="a redirect is not"),
        pytest.param(400, 2, None, State.PENDING, 300, id="a refusal may be mended"),
        pytest.param(None, 2, None, State.PENDING, 300, id="no answer"),
        pytest.param(500, 3, None, State.FAILED, 0, id="after the last delay it is given up"),
        pytest.param(410, 1, None, State.FAILED, 0, id="gone is gone"),
        pytest.param(429, 1, "60", State.PENDING, 60, id="as long as asked for"),
        pytest.param(429, 2, "60", State.PENDING, 300, id="or longer"),
        pytest.param(503, 1, "9" * 30, State.PENDING, 3600, id="but an hour at most"),
        pytest.param(429, 1, "Mon, 02 Mar 2026 12:01:30 GMT", State.PENDING, 90, id="until a date"),
        pytest.param(429, 1, "soon", State.PENDING, 5, id="what cannot be read is not heeded"),
        pytest.param(429, 1, "-5", State.PENDING, 5, id="nor what is past"),
    ],
)
def test_what_becomes_of_a_delivery(
    status: int | None, number: int, retry_after: str | None, state: State, wait: int
):
    decided = fate(answered(status), number, delays=DELAYS, draw=0.0, retry_after=retry_after)

    assert (decided.state, decided.due_at) == (state, NOON + timedelta(seconds=wait))
    assert decided.gone is (status == 410)


def test_delays_are_spread():
    decided = fate(answered(500), 2, delays=DELAYS, draw=1.0, retry_after=None)

    assert decided.due_at == NOON + timedelta(minutes=6)


def test_slack_reads_what_happened_and_why():
    assert sent(Format.SLACK, event()) == {
        "text": "checkup 2.0.0 was rolled back; 1.0.0 answers again",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": ":rewind: *checkup 2.0.0 was rolled back; 1.0.0 answers again*\n"
                    "error_rate is 0.08 &gt; 0.05\n"
                    "by worker, 2026-03-02 12:00 UTC\n"
                    "<https://turnout.example.com/api/v1/rollouts/7f|Look at it>",
                },
            }
        ],
    }


def test_a_long_reason_fits_into_a_message():
    text = sent(Format.SLACK, event(reason="<" * 5000))["blocks"][0]["text"]["text"]

    assert len(text) <= 3000


def test_pagerduty_opens_an_incident_and_resolves_the_same():
    fired, resolved = (
        sent(Format.PAGERDUTY, event(kind, cause="drift of age", severity="critical", summary="s"))
        for kind in (EventType.ALERT_FIRING, EventType.ALERT_RESOLVED)
    )

    assert (fired["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert fired["dedup_key"] == resolved["dedup_key"] == "turnout/drift of age"
    assert fired["routing_key"] == "R0123"
    assert fired["payload"]["severity"] == "critical"
    assert "payload" not in resolved


def test_pagerduty_is_told_who_was_rolled_back():
    payload = sent(Format.PAGERDUTY, event())["payload"]

    assert payload["summary"] == (
        "checkup 2.0.0 was rolled back; 1.0.0 answers again: error_rate is 0.08 > 0.05"
    )
    assert (payload["severity"], payload["source"]) == ("error", "checkup")


def test_a_long_cause_is_still_one_incident():
    keys = {
        sent(Format.PAGERDUTY, event(EventType.ALERT_FIRING, cause="x" * 999 + end))["dedup_key"]
        for end in ("a", "b")
    }

    assert len(keys) == 2
    assert max(map(len, keys)) <= 255


def test_cloudevents_have_what_the_standard_requires():
    body = sent(Format.CLOUDEVENTS, event())

    assert (
        body.items()
        >= {
            "specversion": "1.0",
            "id": "17",
            "source": PUBLIC,
            "type": "rollout.rolled_back",
            "subject": "models/checkup/rollouts/7f",
            "time": "2026-03-02T12:00:00Z",
            "datacontenttype": "application/json",
        }.items()
    )


@pytest.mark.parametrize("kind", EventType)
@pytest.mark.parametrize("form", Format)
def test_every_event_can_be_told_in_every_format(kind: EventType, form: Format):
    nothing = Event(id=1, position=1, at=NOON, type=kind, subject="x", model=None, data={})

    assert headline(nothing)
    assert sends(form, kind) is (form is not Format.PAGERDUTY or kind in ACTIONS)
    if sends(form, kind):
        assert message(nothing, form, secret="k", public_url=None).body


def test_a_link_leads_to_the_alert():
    fired = replace(event(EventType.ALERT_FIRING, summary="slow"), subject="alerts/7")
    sent = message(fired, Format.PAGERDUTY, secret="key", public_url=PUBLIC)

    assert json.loads(sent.body)["links"][0]["href"] == f"{PUBLIC}/api/v1/alerts/7"


@pytest.mark.parametrize("form", [Format.STANDARD, Format.SLACK, Format.PAGERDUTY])
def test_an_alert_of_drift_leads_to_the_report(form: Format):
    figures = {"metric": "feature_drift", "report": "/api/v1/models/checkup/drift.html"}
    fired = replace(event(EventType.ALERT_FIRING, data=figures), subject="alerts/7")
    shown = message(fired, form, secret="key", public_url=f"{PUBLIC}/").body

    assert f"{PUBLIC}/api/v1/models/checkup/drift.html" in shown
    assert "alerts/7|" not in shown
