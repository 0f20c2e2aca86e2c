"""HTTP as uvicorn speaks it on httptools, with bounds on what comes before and behind a body.

By itself it takes a head of any length, in time that grows with its square, and waits for the end
of one for as long as the connection stands: anybody who reaches the port could hold up the process.
"""

import asyncio
from datetime import timedelta
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD: Final = 65_536
HEAD_WITHIN: Final = timedelta(seconds=30)


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose heads, or trailers, are too long, and those that send none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = 0
        self._in_head = True
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._unread > LONGEST_HEAD:
            self._refuse(f"The head of a request has at most {LONGEST_HEAD} bytes.")
        elif self._in_head:
            self._be_patient()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unread = 0
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._be_done()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def _be_patient(self) -> None:
        """Wait for the end of a head that has begun; most come whole, and need no timer."""
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_WITHIN.total_seconds(), self._give_up)

    def _be_done(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._refuse("The head of the request did not come.")

    def _refuse(self, said: str) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self.send_400_response(said)
        else:  # an answer may have begun
            self.transport.close()
