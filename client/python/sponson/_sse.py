# SPDX-License-Identifier: Apache-2.0
"""text/event-stream: read by SseParser, written by format_sse."""
from __future__ import annotations

from typing import Iterator

from . import _sponson
from ._errors import error_of
from ._records import Event

_PART = 65536  # bytes: one call of the extension takes well below a millisecond


class SseParser:
    """An incremental parser after the HTML standard.

    event_max: the most bytes of data, type and id that one event may have together; 0: room for 4 MiB of data.
    """

    def __init__(self, event_max: int = 0) -> None:
        self._core = _sponson.Sse(event_max)
        self._rest = b""
        self._at = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yields the events that are complete with these bytes. EventTooLargeError: one was over the limit and was
        skipped; feed(b"") goes on after it. What is not taken from the iterator is kept for the next feed."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expected bytes, not {type(data).__name__}")
        self._rest = self._rest[self._at :] + bytes(data)
        self._at = 0
        return self._events()

    def _events(self) -> Iterator[Event]:
        while self._at < len(self._rest):
            used, event, code = self._core.next(self._rest, self._at, _PART)
            self._at += used
            if code is not None:
                raise error_of(code)
            if event is not None:
                yield event

    @property
    def last_id(self) -> str:
        """What a browser would send as Last-Event-ID."""
        return self._core.last_id()


def format_sse(event: Event | str | bytes) -> bytes:
    """The event as text, with its blank line."""
    return _sponson.format_sse(event)
