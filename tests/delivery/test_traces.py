"""Of what receivers and their collectors are told about a delivery."""

import asyncio

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from tests.delivery.receivers import Receiver
from tests.factories import NOON
from tests.spans import attributes, collecting
from turnout.db import Sessions, transaction
from turnout.delivery import commands
from turnout.delivery.courier import Courier
from turnout.delivery.domain.webhook import NewWebhook
from turnout.events.commands import emit
from turnout.events.domain import EventType

spans = collecting


async def test_a_receiver_learns_of_the_trace_of_its_delivery(
    spans: InMemorySpanExporter, courier: Courier, sessions: Sessions, receiver: Receiver
):
    receiver.answer = lambda _: 500
    async with transaction(sessions) as session:
        new = NewWebhook(url=receiver.url, events=("*",))
        await commands.create(session, new, actor="ada", now=NOON, reason=None)
        kind, subject = EventType.ROLLOUT_ADVANCED, "rollouts/1"
        emit(session, kind, subject=subject, model="checkup", data={}, now=NOON)
    async with asyncio.timeout(60):
        await courier.beat()
        await courier.settled()

    made = spans.get_finished_spans()
    (delivery,) = (span for span in made if span.name == "deliver rollout.advanced")
    (call,) = (span for span in made if span.name == "POST")
    assert (delivery.parent, call.parent) == (None, delivery.context)
    assert attributes(delivery)["turnout.attempt"] == 1
    assert attributes(call)["http.response.status_code"] == 500
    assert "/hook" not in call.to_json()
    (got,) = receiver.got
    _, trace, parent, _ = got.headers["traceparent"].split("-")
    assert trace == format_trace_id(delivery.context.trace_id)
    assert parent == format_span_id(call.context.span_id)
    written = [span.context.trace_id for span in made if span.name in {"INSERT", "UPDATE"}]
    assert set(written) == {delivery.context.trace_id}
