"""Connections that have to ask in time: uvicorn waits for the head of a request for ever.

So whoever opened enough connections and said nothing would keep all others out, token or none.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from vdd.serve.limits import LIMITS


class PunctualProtocol(H11Protocol):
    """HTTP/1.1; a connection closes where a request's head takes more than `head_seconds`."""

    head_seconds = LIMITS.head_seconds
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Somebody connects."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Something comes: of a head, of a body, or of what nobody reads any more."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The time runs from the first byte that is no answered request's, and begins once."""
        if not self._idle():
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._end)

    def _idle(self) -> bool:
        """Whether no request is being answered; a WebSocket has a protocol of its own."""
        mine = self.transport.get_protocol() is self
        return mine and (self.cycle is None or self.cycle.response_complete)

    def _end(self) -> None:
        self._deadline = None
        if self._idle():
            self.transport.close()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
