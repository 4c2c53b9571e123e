# SPDX-License-Identifier: Apache-2.0
"""The same for threads: calls that wait.

    with sync.connect() as client:
        with client.producer() as producer:
            producer.publish("chat-42", "hello")             # it is on disk
        for item in client.subscribe("chat-42"):
            print(item)

Any number of threads may use one client and its objects; while one waits, the others go on. Ctrl-C interrupts every
wait. Each call that waits has a timeout in seconds: None waits for ever, and
TimeoutError says what there is to say.
"""
from __future__ import annotations

import os
import time
import uuid
from typing import Any, Callable, Generic, Iterator, Literal, TypeVar, cast

from . import _requests, _sponson
from ._errors import InvalidError, TimeoutError, error_of
from ._records import (
    Attributes,
    CaughtUp,
    Cursor,
    End,
    Event,
    Health,
    Item,
    Last,
    Level,
    LogCursor,
    LogItem,
    Options,
    Otherwise,
    Published,
    Session,
    SessionInfo,
)
from ._sync_producer import Producer

T = TypeVar("T")

WAIT_MAX_MS = 2**31 - 1


class Client:
    """A connection to the sidecar on this host. Made by connect()."""

    def __init__(self, core: _sponson.Client) -> None:
        self._core = core

    def _wait(self, attempt: Callable[[], T | None], timeout: float | None) -> T:
        """Tries, and after each turn again, until there is a result."""
        core = self._core
        deadline = None if _requests.check_timeout(timeout) is None else time.monotonic() + cast(float, timeout)
        while True:
            turn = core.turns
            result = attempt()
            if result is not None:
                return result
            left_ms = -1
            if deadline is not None:
                left_ms = min(int((deadline - time.monotonic()) * 1000 + 0.999), WAIT_MAX_MS)
                if left_ms <= 0:
                    raise TimeoutError("no result in time: " + core.detail())
            core.wait(turn, left_ms)

    def close(self) -> None:
        """Closes the client and all that was opened through it. What has no result is dropped: flush its producer
        first. Closing twice is closing once."""
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closed

    @property
    def data_max(self) -> int:
        """The largest event data that the sidecar takes, in bytes; 0: not known yet."""
        return self._core.data_max()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what is asked --

    def _ask(
        self,
        timeout: float | None,
        kind: str,
        session: Any = "",
        what: Any = "",
        options: Options | None = None,
        level: str = "durable",
    ) -> Any:
        question = _sponson.Question(self._core, None, kind, (session, what, options, level))
        try:
            return self._wait(question.answer, timeout)
        finally:
            question.close()

    def last(self, session: str, *, timeout: float | None = 5.0) -> Last:
        """Where a session stands. UnknownSessionError: there is none."""
        return cast(Last, self._ask(timeout, "last", session))

    def session(self, session: str, *, timeout: float | None = 5.0) -> SessionInfo:
        """All that is known of a session. UnknownSessionError: there is none."""
        return cast(SessionInfo, self._ask(timeout, "session", session))

    def sessions(self, prefix: str = "", after: str = "", *, timeout: float | None = 5.0) -> Iterator[Session]:
        """The sessions whose names begin with the prefix and follow `after`; the timeout is that of a page."""
        more = True
        while more:
            page, more = self._ask(timeout, "sessions", after, prefix)
            for session in page:
                yield session
                after = session.name

    def health(self, *, timeout: float | None = 5.0) -> Health:
        return cast(Health, self._ask(timeout, "health"))

    def stats(self, *, timeout: float | None = 5.0) -> dict[str, int]:
        """All counters of the sidecar."""
        return cast("dict[str, int]", self._ask(timeout, "stats"))

    # -- one-shots --

    def publish(
        self,
        session: str,
        data: str | bytes | Event = "",
        *,
        id: str | bytes = "",
        type: str | bytes = "",
        retry_ms: int | None = None,
        note: bytes = b"",
        level: Level = "durable",
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
        closes: bool = False,
        reason: str = "",
        timeout: float | None = 5.0,
    ) -> Published:
        """Publishes one event without a producer; it needs an id, and is safe to repeat."""
        event = _requests.event_of(data, id, type, retry_ms, note)
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return _requests.check_published(self._ask(timeout, "publish", session, event, options, level))

    def close_session(
        self,
        session: str,
        *,
        reason: str = "",
        if_seq: int | None = None,
        life: str | None = None,
        timeout: float | None = 5.0,
    ) -> Published:
        """Closes a session: it takes no more events."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return _requests.check_published(self._ask(timeout, "close", session, "", options))

    def delete_session(
        self, session: str, *, if_seq: int | None = None, life: str | None = None, timeout: float | None = 5.0
    ) -> Published:
        """Deletes a session with all its events. To repeat it safely, name the life."""
        options = _requests.options(if_seq=if_seq, life=life)
        return _requests.check_published(self._ask(timeout, "delete", session, "", options))

    def touch(
        self, session: str, *, if_seq: int | None = None, life: str | None = None, timeout: float | None = 5.0
    ) -> Published:
        """Keeps a session from its idle close and its time to live."""
        options = _requests.options(if_seq=if_seq, life=life)
        return _requests.check_published(self._ask(timeout, "touch", session, "", options))

    def set_attributes(
        self,
        session: str,
        attributes: Attributes,
        *,
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
        timeout: float | None = 5.0,
    ) -> Published:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        options = _requests.options(if_new, if_seq, life)
        return _requests.check_published(self._ask(timeout, "set", session, attributes, options))

    # -- producers and readers --

    def producer(
        self,
        id: bytes | uuid.UUID | None = None,
        *,
        level: Level = "durable",
        window_bytes: int = 0,
        window_events: int = 0,
        latest_only: bool = False,
        timeout: float | None = 5.0,
    ) -> Producer:
        """Opens a producer: see sponson.Client.producer."""
        core = _sponson.Producer(
            self._core, _requests.producer_id(id), level, window_bytes, window_events, latest_only
        )
        try:
            self._wait(lambda: core.ready() or None, timeout)
        except BaseException:
            core.close()
            raise
        return Producer(self, core, level == "none" or latest_only, window_events or _requests.WINDOW_EVENTS)

    def subscribe(
        self,
        session: str,
        *,
        after: str | bytes | Cursor | None = None,
        start: Literal["earliest", "now"] | None = None,
        otherwise: Otherwise = "fail",
        window_bytes: int = 0,
    ) -> Subscription[Item]:
        """Reads a session and goes on with its new events: see sponson.Client.subscribe."""
        return Subscription(self, False, _requests.subscription(session, after, start, otherwise, window_bytes))

    def follow(
        self,
        *,
        after: LogCursor | None = None,
        start: Literal["earliest", "now"] | None = None,
        prefix: str = "",
        touches: bool = False,
        window_bytes: int = 0,
    ) -> Subscription[LogItem]:
        """Reads the log: whatever happens to all sessions, or to those whose names begin with the prefix."""
        return Subscription(self, True, _requests.log(after, start, prefix, touches, window_bytes))

    def replay(
        self, session: str, after: str | bytes | Cursor | None = None, *, timeout: float | None = 5.0
    ) -> Iterator[Event]:
        """The events up to the newest that there is now; the timeout is that of each. Errors: see
        sponson.Client.replay."""
        with self.subscribe(session, after=after) as items:
            while True:
                item = items.next(timeout)
                if isinstance(item, Event):
                    yield item
                elif isinstance(item, CaughtUp):
                    return
                elif isinstance(item, End):
                    if item.why != "SPN_E_CLOSED":
                        raise error_of(item.why)
                    return
                elif item.missing and after is not None:
                    raise error_of("SPN_E_TRIMMED")


def connect(
    socket_dir: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = 5.0,
    at_once: bool = False,
    send_hwm: int = 0,
    read_bytes_max: int = 0,
    questions_max: int = 0,
) -> Client:
    """Connects to the sidecar: see sponson.connect."""
    client = Client(_requests.open_core(socket_dir, at_once, send_hwm, read_bytes_max, questions_max))
    if timeout == 0:
        return client
    try:
        client._wait(lambda: client._core.ready() or None, timeout)
    except BaseException:
        client.close()
        raise
    return client


class Subscription(Generic[T]):
    """An iterator of items, which waits for each. Its last one is an End."""

    def __init__(self, client: Client, of_log: bool, arguments: tuple[Any, ...]) -> None:
        self._client = client
        self._core = _sponson.Subscription(client._core, None, of_log, arguments)
        self._ended = False

    def next(self, timeout: float | None = None) -> T:
        """The next item; StopIteration after the End."""
        if self._ended:
            raise StopIteration
        try:
            item: Any = self._client._wait(self._core._take, timeout)
        except InvalidError:
            if self._ended:  # closed by another thread
                raise StopIteration from None
            raise
        if type(item) is End:
            self.close()
        return cast(T, item)

    def __iter__(self) -> Subscription[T]:
        return self

    def __next__(self) -> T:
        return self.next()

    def close(self) -> None:
        """Ends it; closing twice is closing once."""
        self._ended = True
        self._core._end(False)

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
