# SPDX-License-Identifier: Apache-2.0
"""The same for threads: calls that wait.

    with sync.connect() as client:
        with client.producer() as producer:
            producer.publish("chat-42", "hello")             # it is on disk
        for item in client.subscribe("chat-42"):
            print(item)

Any number of threads may use one client and its objects; while one waits, the others go on. Ctrl-C interrupts every
wait. Each call that waits has a timeout in seconds: None waits for ever, and TimeoutError says what there is to say.
"""
from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from typing import Any, Callable, Deque, Generic, Iterable, Iterator, Literal, TypeVar, cast

from . import _requests, _sponson
from ._errors import DependentError, FencedError, ForkedError, InvalidError, TimeoutError, error_of, error_of_result
from ._records import (Ack, Attributes, CaughtUp, Counters, Cursor, End, Event, Health, Item, Last, Level, LogCursor,
                       LogItem, Options, Otherwise, Published, Session, SessionInfo)

T = TypeVar("T")

WINDOW_EVENTS = 65536  # the library's default
KEPT_MAX = 65536  # results that nobody asked for
COLLECTED_MAX = 4096  # of one call
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

    def _ask(self, timeout: float | None, kind: str, session: Any = "", what: Any = "", options: Options | None = None,
             level: str = "durable") -> Any:
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

    def publish(self, session: str, data: str | bytes | Event = "", *, id: str | bytes = "", type: str | bytes = "",
                retry_ms: int | None = None, note: bytes = b"", level: Level = "durable", if_new: bool = False,
                if_seq: int | None = None, life: str | None = None, closes: bool = False, reason: str = "",
                timeout: float | None = 5.0) -> Published:
        """Publishes one event without a producer; it needs an id, and is safe to repeat."""
        event = _requests.event_of(data, id, type, retry_ms, note)
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return _requests.check_published(self._ask(timeout, "publish", session, event, options, level))

    def close_session(self, session: str, *, reason: str = "", if_seq: int | None = None, life: str | None = None,
                      timeout: float | None = 5.0) -> Published:
        """Closes a session: it takes no more events."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return _requests.check_published(self._ask(timeout, "close", session, "", options))

    def delete_session(self, session: str, *, if_seq: int | None = None, life: str | None = None,
                       timeout: float | None = 5.0) -> Published:
        """Deletes a session with all its events. To repeat it safely, name the life."""
        options = _requests.options(if_seq=if_seq, life=life)
        return _requests.check_published(self._ask(timeout, "delete", session, "", options))

    def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None,
              timeout: float | None = 5.0) -> Published:
        """Keeps a session from its idle close and its time to live."""
        options = _requests.options(if_seq=if_seq, life=life)
        return _requests.check_published(self._ask(timeout, "touch", session, "", options))

    def set_attributes(self, session: str, attributes: Attributes, *, if_new: bool = False, if_seq: int | None = None,
                       life: str | None = None, timeout: float | None = 5.0) -> Published:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        options = _requests.options(if_new, if_seq, life)
        return _requests.check_published(self._ask(timeout, "set", session, attributes, options))

    # -- producers and readers --

    def producer(self, id: bytes | uuid.UUID | None = None, *, level: Level = "durable", window_bytes: int = 0,
                 window_events: int = 0, latest_only: bool = False, timeout: float | None = 5.0) -> Producer:
        """Opens a producer: see sponson.Client.producer."""
        core = _sponson.Producer(self._core, _requests.producer_id(id), level, window_bytes, window_events,
                                 latest_only)
        try:
            self._wait(lambda: core.ready() or None, timeout)
        except BaseException:
            core.close()
            raise
        return Producer(self, core, level == "none" or latest_only, window_events or WINDOW_EVENTS)

    def subscribe(self, session: str, *, after: str | bytes | Cursor | None = None,
                  start: Literal["earliest", "now"] | None = None, otherwise: Otherwise = "fail",
                  window_bytes: int = 0) -> Subscription[Item]:
        """Reads a session and goes on with its new events: see sponson.Client.subscribe."""
        return Subscription(self, False, _requests.subscription(session, after, start, otherwise, window_bytes))

    def follow(self, *, after: LogCursor | None = None, start: Literal["earliest", "now"] | None = None,
               prefix: str = "", touches: bool = False, window_bytes: int = 0) -> Subscription[LogItem]:
        """Reads the log: whatever happens to all sessions, or to those whose names begin with the prefix."""
        return Subscription(self, True, _requests.log(after, start, prefix, touches, window_bytes))

    def replay(self, session: str, after: str | bytes | Cursor | None = None, *,
               timeout: float | None = 5.0) -> Iterator[Event]:
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


def connect(socket_dir: str | os.PathLike[str] | None = None, *, timeout: float | None = 5.0, at_once: bool = False,
            send_hwm: int = 0, read_bytes_max: int = 0, questions_max: int = 0) -> Client:
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


class Producer:
    """Publishes events, in the order of the calls. See sponson.Producer for levels and results.

    The library keeps as many results as its window has events, and drops the oldest beyond that. So they are collected
    here before that many tickets are out, whoever asks for them later."""

    def __init__(self, client: Client, core: _sponson.Producer, is_silent: bool, window_events: int) -> None:
        self._client = client
        self._core = core
        self._is_silent = is_silent
        self._window_events = window_events
        self._lock = threading.Lock()  # never held while a thread waits
        self._last = core.committed()  # the newest ticket
        self._collected = self._last  # tickets up to this one have their results in _results, or had
        self._results: dict[int, tuple[Any, str | None]] = {}
        self._unwanted: set[int] = set()  # not collected yet, and nobody will ask for them

    def _collect(self) -> None:
        """With the lock."""
        results = self._results
        for first, count, result, code in self._core.take_acks(COLLECTED_MAX):
            for ticket in range(first, first + count):
                if ticket in self._unwanted:
                    self._unwanted.remove(ticket)
                else:
                    results[ticket] = (result, code)
            self._collected = first + count - 1
        while len(results) > KEPT_MAX:
            del results[next(iter(results))]

    def _forget(self, tickets: Iterable[int]) -> None:
        """Who waited for these results was interrupted, or had no more time."""
        with self._lock:
            for ticket in tickets:
                if ticket > self._collected:
                    self._unwanted.add(ticket)
                else:
                    self._results.pop(ticket, None)

    def _room(self) -> int:
        """How many tickets may be given before results must be collected. With the lock."""
        if self._is_silent:
            return self._window_events
        if self._last - self._collected >= self._window_events:
            self._collect()
        return self._window_events - (self._last - self._collected)

    def _take(self, call: Callable[..., int | None], *arguments: Any, timeout: float | None) -> int:
        """Waits for room; returns the ticket."""
        def attempt() -> int | None:
            with self._lock:
                ticket = call(*arguments) if self._room() > 0 else None
                if ticket:
                    self._last = ticket
                return ticket

        ticket = attempt()
        return self._client._wait(attempt, timeout) if ticket is None else ticket

    def _fetch(self, ticket: int) -> tuple[Any, str | None] | None:
        """The result of a ticket, once; None: not yet."""
        with self._lock:
            if ticket > self._collected:
                self._collect()
            found = self._results.pop(ticket, None)
            if found is None and ticket > self._collected:
                self._core.flush()  # sends what was gathered
            if found is None and (ticket <= self._collected or ticket > self._last):
                raise InvalidError(f"ticket {ticket} has no result to fetch")
            return found

    def _result(self, ticket: int, id: str | None, timeout: float | None) -> Ack:
        if self._is_silent:
            return Ack(ticket, "sent", id or "", None)
        found = self._fetch(ticket)
        result, code = self._client._wait(lambda: self._fetch(ticket), timeout) if found is None else found
        return Ack(ticket, result, self._core.given_id(ticket) if id == "" else id or "", code)

    def _submit(self, timeout: float | None, id: str | None, call: Callable[..., int | None], *arguments: Any) -> Ack:
        ticket = self._take(call, *arguments, timeout=timeout)
        try:
            ack = self._result(ticket, id, timeout)
        except BaseException:
            self._forget([ticket])
            raise
        error = error_of_result(ack)
        if error is not None:
            raise error
        return ack

    def publish(self, session: str, data: str | bytes | Event = "", *, id: str | bytes = "", type: str | bytes = "",
                retry_ms: int | None = None, note: bytes = b"", if_new: bool = False, if_seq: int | None = None,
                life: str | None = None, closes: bool = False, reason: str = "", timeout: float | None = None) -> Ack:
        """Publishes one event and waits until it is on disk (level "durable"). What is not stored raises. After a
        TimeoutError nobody knows whether it is stored; the library goes on to send it."""
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return self._submit(timeout, _requests.id_of(data, id), self._core.publish, session, _requests.data_of(data),
                            id, type, retry_ms, note, options)

    def send(self, session: str, data: str | bytes | Event = "", *, id: str | bytes = "", type: str | bytes = "",
             retry_ms: int | None = None, note: bytes = b"", if_new: bool = False, if_seq: int | None = None,
             life: str | None = None, depends: int = 0, closes: bool = False, reason: str = "",
             timeout: float | None = None) -> int:
        """Publishes one event and waits for room only; returns its ticket. result(ticket) waits for its result, and
        flush for all of them.

        depends: the ticket of an earlier event: this one is refused if that is."""
        options = _requests.options(if_new, if_seq, life, depends, closes, reason)
        call: Callable[..., int | None] = self._core.publish
        if depends:
            call = self._publish_dependent
        return self._take(call, session, data, id, type, retry_ms, note, options, timeout=timeout)

    def _publish_dependent(self, *arguments: Any) -> int | None:
        """The library knows results that were not collected. With the lock."""
        options: Options = arguments[-1]
        if isinstance(options.depends, int) and 0 < options.depends <= self._collected:
            result, _ = self._results.get(options.depends, (None, None))
            if result is None:
                raise InvalidError(f"depends: nobody knows the result of ticket {options.depends} any more")
            if result == "refused":
                raise DependentError("the entry it depends on was refused")
            options = options._replace(depends=0)
        return self._core.publish(*arguments[:-1], options)  # type: ignore[call-arg]

    def result(self, ticket: int, *, timeout: float | None = None) -> Ack:
        """The result of an event that was sent, once; what was not stored raises. The newest 65,536 that nobody asked
        for are kept."""
        if not isinstance(ticket, int):
            raise TypeError(f"ticket: expected int, not {type(ticket).__name__}")
        ack = self._result(ticket, "", timeout)
        error = error_of_result(ack)
        if error is not None:
            raise error
        return ack

    def publish_many(self, session: str, events: Iterable[str | bytes | Event], *,
                     timeout: float | None = None) -> list[Ack]:
        """Publishes several events of one session; the fastest way. The timeout is that of each portion. What is not
        stored raises, and error.acks has the results of all."""
        given = _requests.events(events)
        acks: list[Ack] = []
        portions: Deque[tuple[int, int]] = deque()
        try:
            untaken = self._publish_portions(session, given, acks, portions, timeout)
        except BaseException:
            for first, count in portions:
                self._forget(range(first, first + count))
            raise
        failed = _requests.error_of_many(acks, untaken)
        if failed is not None:
            raise failed
        return acks

    def _publish_portions(self, session: str, given: list[Any], acks: list[Ack], portions: Deque[tuple[int, int]],
                          timeout: float | None) -> Exception | None:
        """Adds all results. Returns why the rest was not taken; None: all was."""
        at = 0
        untaken: Exception | None = None
        while at < len(given):
            try:
                first, taken = self._client._wait(lambda: self._push(session, given, at), timeout)
            except TimeoutError:
                raise
            except Exception as error:
                error.add_note(f"sponson: events[{at}] was not taken")
                untaken = error
                break
            portions.append((first, taken))
            at += taken
            while at - len(acks) > KEPT_MAX // 4:
                self._finish(portions, given, acks, timeout)
        while portions:
            self._finish(portions, given, acks, timeout)
        return untaken

    def _push(self, session: str, events: list[Any], at: int) -> tuple[int, int] | None:
        with self._lock:
            room = self._room()
            if room <= 0:
                return None
            taken, first, _ = self._core.publish_many(session, events, at, room)
            if first:
                self._last = first + taken - 1
            return (first, taken) if taken else None

    def _finish(self, portions: Deque[tuple[int, int]], events: list[Any], acks: list[Ack],
                timeout: float | None) -> None:
        """Adds the results of the first portion, which leaves."""
        first, count = portions[0]
        if self._is_silent:
            acks.extend([Ack(0, "sent", "", None)] * count)
        else:
            for ticket in range(first, first + count):
                acks.append(self._result(ticket, _requests.id_of(events[len(acks)], ""), timeout))
        portions.popleft()

    def close_session(self, session: str, *, reason: str = "", if_seq: int | None = None, life: str | None = None,
                      timeout: float | None = None) -> Ack:
        """Closes a session, after what this producer has published to it."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return self._submit(timeout, None, self._core.close_session, session, options)

    def delete_session(self, session: str, *, if_seq: int | None = None, life: str | None = None,
                       timeout: float | None = None) -> Ack:
        """Deletes a session with all its events."""
        options = _requests.options(if_seq=if_seq, life=life)
        return self._submit(timeout, None, self._core.delete_session, session, options)

    def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None,
              timeout: float | None = None) -> Ack:
        """Keeps a session from its idle close and its time to live."""
        return self._submit(timeout, None, self._core.touch, session, _requests.options(if_seq=if_seq, life=life))

    def set_attributes(self, session: str, attributes: Attributes, *, if_new: bool = False, if_seq: int | None = None,
                       life: str | None = None, timeout: float | None = None) -> Ack:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        options = _requests.options(if_new, if_seq, life)
        return self._submit(timeout, None, self._core.set, session, attributes, options)

    @property
    def committed(self) -> int:
        """How many events of this producer's id were stored when it was opened."""
        return self._core.committed()

    def counters(self) -> Counters:
        return self._core.counters()

    def flush(self, timeout: float | None = None) -> Counters:
        """Waits until everything published so far has its result, and returns the counters: what was sent and not
        stored is in refused, conflicts and lost."""
        self._client._wait(lambda: self._core.flush() or None, timeout)
        return self._core.counters()

    def close(self, timeout: float | None = 5.0) -> int:
        """Flushes for up to the timeout, then closes it. Returns how many events have no result."""
        _requests.check_timeout(timeout)
        if self._core.closed:
            return 0
        try:
            if timeout != 0:
                self.flush(timeout)
        except (TimeoutError, FencedError, ForkedError):
            pass
        finally:
            left = self._core.close()
        return left

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(5.0 if kind is None else 0.0)


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
            item: Any = self._client._wait(self._core.take, timeout)
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
        self._core.close()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
