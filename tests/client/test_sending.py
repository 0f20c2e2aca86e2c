"""How recordings are gathered to batches while others are on their way."""

import json
from dataclasses import dataclass, field

import pytest

from tests.client.test_recording import MODEL, holding, taken
from turnout.client.engine import Engine
from turnout.client.errors import Unreachable
from turnout.client.exchange import Reply, Request
from turnout.client.recording import BATCH_ROWS, Buffer
from turnout.client.sending import Sender


@dataclass
class Busy:
    """Stands in for the engine: while it sends, somebody records one more."""

    buffer: Buffer
    error: Exception | None = None
    sizes: list[int] = field(default_factory=list)

    async def exchange(self, request: Request) -> Reply:
        body = json.loads(request.body or b"")
        self.sizes.append(len(body["predictions"]))
        self.buffer.offer(MODEL, {"version": "1.0.0"})
        if self.error is not None:
            raise self.error
        return taken()


def sender(buffer: Buffer, error: Exception | None = None) -> tuple[Sender, Busy]:
    busy = Busy(buffer, error)
    engine: Engine = busy  # type: ignore[assignment]
    return Sender(engine, buffer), busy


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        pytest.param(0, [], id="nothing"),
        pytest.param(3, [3], id="a few, and what comes meanwhile waits for the next"),
        pytest.param(2 * BATCH_ROWS + 5, [BATCH_ROWS, BATCH_ROWS, 7], id="more than a batch"),
    ],
)
async def test_what_waits_is_sent_in_as_few_batches_as_there_can_be(rows: int, sizes: list[int]):
    sending, busy = sender(holding(rows))

    await sending.flush()

    assert busy.sizes == sizes


@pytest.mark.parametrize("error", [Unreachable("away"), KeyError("a defect")])
async def test_what_could_not_be_sent_waits_and_ends_nothing(error: Exception):
    buffer = holding(3)
    sending, busy = sender(buffer, error)

    await sending.flush()
    await sending.flush()

    assert busy.sizes == [3]
    assert buffer.recordings().waiting == 4
