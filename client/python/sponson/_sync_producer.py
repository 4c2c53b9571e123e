# SPDX-License-Identifier: Apache-2.0
"""Producers of the synchronous façade: see sync.py."""
from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable

from . import _requests, _sponson
from ._errors import STORED, DependentError, FencedError, ForkedError, InvalidError, TimeoutError, error_of_result
from ._records import Ack, Attributes, Counters, Event, Options

if TYPE_CHECKING:
    from .sync import Client

KEPT_MAX = 65536  # results, of the newest tickets
COLLECTED_MAX = 4096  # of one call


class _Results:
    """How tickets ended. Those that follow each other and ended alike are one run: most ended like the one before."""

    def __init__(self, newest: int) -> None:
        self.newest = newest  # the tickets up to this one have ended
        self._runs: list[tuple[int, tuple[Any, str | None] | None]] = []  # (the first ticket, how), in order

    def add(self, first: int, count: int, result: Any, code: str | None) -> None:
        """Ctrl-C may have taken those before them."""
        self.lose(first - 1)
        end = (result, code)
        if not self._runs or self._runs[-1][1] != end:
            self._runs.append((first, end))
        self.newest = first + count - 1

    def lose(self, last: int) -> None:
        """The tickets up to this one have ended, and nobody knows how."""
        if last > self.newest:
            self._runs.append((self.newest + 1, None))
            self.newest = last

    def _run_of(self, ticket: int) -> int:
        """-1: it is older than all of them."""
        return bisect_left(self._runs, (ticket + 1,)) - 1

    def find(self, ticket: int) -> tuple[Any, str | None] | None:
        """None: it has not ended, or nobody knows how any more."""
        run = self._run_of(ticket)
        return self._runs[run][1] if run >= 0 and ticket <= self.newest else None

    def forget(self, before: int) -> None:
        """How the tickets before this one ended is not needed any more. Its run knows some of them still."""
        run = self._run_of(before)
        if run > 0:
            del self._runs[:run]


class Producer:
    """Publishes events, in the order of the calls. See sponson.Producer for levels and results.

    The library keeps as many results as its window has events, and drops the oldest beyond that. So they are
    collected here before that many tickets are out, whoever asks for them later."""

    def __init__(self, client: Client, core: _sponson.Producer, is_silent: bool, window_events: int) -> None:
        self._client = client
        self._core = core
        self._is_silent = is_silent
        self._window_events = window_events
        self._lock = threading.RLock()  # never held while a thread waits
        self._last = core.committed()  # the newest ticket
        self._results = _Results(self._last)
        # The first of the tickets whose results each thread waits for: those are kept. Ctrl-C may leave one here
        # until the thread's next call. Nothing is removed by finalizers, in which Ctrl-C would be lost.
        self._waits: dict[int, int] = {}

    def _locked(self) -> threading._RLock:
        """The lock. In a finalizer or a handler of a signal its own thread may have it, in the middle of anything."""
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise RuntimeError("a finalizer or a signal's handler called the producer that it interrupted")
        return self._lock

    def _collect(self) -> None:
        """With the lock."""
        results = self._results
        runs = self._core.take_acks(COLLECTED_MAX)
        if not runs and self._core.flush():
            runs = self._core.take_acks(COLLECTED_MAX)  # all have ended by now
            if not runs:
                results.lose(self._last)  # Ctrl-C came when they had been taken
        for first, count, result, code in runs:
            results.add(first, count, result, code)
        results.forget(min([results.newest - KEPT_MAX + 1, *self._waits.values()]))

    def _is_full(self) -> bool:
        """Whether results must come before another ticket is given. With the lock."""
        if self._is_silent or self._last - self._results.newest < self._window_events:
            return False
        self._collect()
        return self._last - self._results.newest >= self._window_events

    def _attempt(self, call: Callable[..., int | None], arguments: tuple[Any, ...], waits: bool) -> int | None:
        with self._locked():
            ticket = None if self._is_full() else call(*arguments)
            if ticket:
                self._last = ticket
                if waits:
                    self._waits[get_ident()] = ticket
            return ticket

    def _take(
        self, call: Callable[..., int | None], arguments: tuple[Any, ...], timeout: float | None, waits: bool
    ) -> int:
        """Waits for room; returns the ticket. waits: the thread will wait for its result."""
        ticket = self._attempt(call, arguments, waits)
        if ticket is None:
            ticket = self._client._wait(lambda: self._attempt(call, arguments, waits), timeout)
        return ticket

    def _fetch(self, ticket: int) -> tuple[Any, str | None] | None:
        """The result of a ticket; None: not yet."""
        with self._locked():
            if ticket > self._results.newest:
                self._collect()
            found = self._results.find(ticket)
            if found is None and ticket > self._results.newest:
                self._core.flush()  # sends what was gathered
            if found is None and (ticket <= self._results.newest or ticket > self._last):
                raise InvalidError(f"ticket {ticket} has no result, or none that is known")
            return found

    def _result(self, ticket: int, id: str | None, timeout: float | None) -> Ack:
        if self._is_silent:
            return Ack(ticket, "sent", id or "", None)
        found = self._fetch(ticket)
        result, code = self._client._wait(lambda: self._fetch(ticket), timeout) if found is None else found
        return Ack(ticket, result, self._core.given_id(ticket) if id == "" else id or "", code)

    def _submit(
        self, timeout: float | None, id: str | None, call: Callable[..., int | None], *arguments: Any
    ) -> Ack:
        try:
            ack = self._result(self._take(call, arguments, timeout, True), id, timeout)
        finally:
            self._waits.pop(get_ident(), None)
        error = error_of_result(ack)
        if error is not None:
            raise error
        return ack

    def publish(
        self,
        session: str,
        data: str | bytes | Event = "",
        *,
        id: str | bytes = "",
        type: str | bytes = "",
        retry_ms: int | None = None,
        note: bytes = b"",
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
        closes: bool = False,
        reason: str = "",
        timeout: float | None = None,
    ) -> Ack:
        """Publishes one event and waits until it is on disk (level "durable"). What is not stored raises. After a
        TimeoutError nobody knows whether it is stored; the library goes on to send it."""
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return self._submit(
            timeout,
            _requests.id_of(data, id),
            self._core.publish,
            session,
            _requests.data_of(data),
            id,
            type,
            retry_ms,
            note,
            options,
        )

    def send(
        self,
        session: str,
        data: str | bytes | Event = "",
        *,
        id: str | bytes = "",
        type: str | bytes = "",
        retry_ms: int | None = None,
        note: bytes = b"",
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
        depends: int = 0,
        closes: bool = False,
        reason: str = "",
        timeout: float | None = None,
    ) -> int:
        """Publishes one event and waits for room only; returns its ticket. result(ticket) waits for its result, and
        flush for all of them.

        depends: the ticket of an earlier event: this one is refused if that is."""
        options = _requests.options(if_new, if_seq, life, depends, closes, reason)
        call: Callable[..., int | None] = self._core.publish
        if depends:
            call = self._publish_dependent
        return self._take(call, (session, data, id, type, retry_ms, note, options), timeout, False)

    def _publish_dependent(self, *arguments: Any) -> int | None:
        """The library knows results that were not collected. With the lock."""
        options: Options = arguments[-1]
        if isinstance(options.depends, int) and 0 < options.depends <= self._results.newest:
            found = self._results.find(options.depends)
            if found is None:
                raise InvalidError(f"depends: nobody knows the result of ticket {options.depends} any more")
            if found[0] == "refused":
                raise DependentError("the entry it depends on was refused")
            options = options._replace(depends=0)
        return self._core.publish(*arguments[:-1], options)  # type: ignore[call-arg]

    def result(self, ticket: int, *, timeout: float | None = None) -> Ack:
        """The result of an event that was sent; what was not stored raises. The newest 65,536 are known."""
        if not isinstance(ticket, int):
            raise TypeError(f"ticket: expected int, not {type(ticket).__name__}")
        self._waits[get_ident()] = ticket
        try:
            ack = self._result(ticket, "", timeout)
        finally:
            self._waits.pop(get_ident(), None)
        error = error_of_result(ack)
        if error is not None:
            raise error
        return ack

    def publish_many(
        self, session: str, events: Iterable[str | bytes | Event], *, timeout: float | None = None
    ) -> list[Ack]:
        """Publishes several events of one session; the fastest way. The timeout is that of each portion. What is
        not stored raises, and error.acks has the results of all."""
        given = _requests.events(events)
        acks: list[Ack] = []
        try:
            untaken = self._publish_portions(session, given, acks, timeout)
        finally:
            self._waits.pop(get_ident(), None)
        failed = next((ack for ack in acks if ack.result not in STORED), None)
        error = _requests.error_of_many(failed, acks, untaken)
        if error is not None:
            raise error
        return acks

    def _publish_portions(
        self, session: str, given: list[Any], acks: list[Ack], timeout: float | None
    ) -> Exception | None:
        """Adds all results. Returns why the rest was not taken; None: all was."""
        at = 0
        portions: Deque[tuple[int, int]] = deque()
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
                self._finish(*portions.popleft(), given, acks, timeout)
        while portions:
            self._finish(*portions.popleft(), given, acks, timeout)
        return untaken

    def _push(self, session: str, events: list[Any], at: int) -> tuple[int, int] | None:
        """Publishes a portion; returns its first ticket, and how many. None: there is no room."""
        with self._locked():
            if self._is_full():
                return None
            room = self._window_events if self._is_silent else self._results.newest + self._window_events - self._last
            _requests.encode_large(events, at, min(room, _requests.PORTION))
            taken, first, _ = self._core.publish_many(session, events, at, room)
            if first:
                self._last = first + taken - 1
                self._waits.setdefault(get_ident(), first)
            return (first, taken) if taken else None

    def _finish(self, first: int, count: int, events: list[Any], acks: list[Ack], timeout: float | None) -> None:
        """Adds the results of a portion."""
        if self._is_silent:
            acks.extend([Ack(0, "sent", "", None)] * count)
        else:
            for ticket in range(first, first + count):
                acks.append(self._result(ticket, _requests.id_of(events[len(acks)], ""), timeout))

    def close_session(
        self,
        session: str,
        *,
        reason: str = "",
        if_seq: int | None = None,
        life: str | None = None,
        timeout: float | None = None,
    ) -> Ack:
        """Closes a session, after what this producer has published to it."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return self._submit(timeout, None, self._core.close_session, session, options)

    def delete_session(
        self, session: str, *, if_seq: int | None = None, life: str | None = None, timeout: float | None = None
    ) -> Ack:
        """Deletes a session with all its events."""
        options = _requests.options(if_seq=if_seq, life=life)
        return self._submit(timeout, None, self._core.delete_session, session, options)

    def touch(
        self, session: str, *, if_seq: int | None = None, life: str | None = None, timeout: float | None = None
    ) -> Ack:
        """Keeps a session from its idle close and its time to live."""
        return self._submit(timeout, None, self._core.touch, session, _requests.options(if_seq=if_seq, life=life))

    def set_attributes(
        self,
        session: str,
        attributes: Attributes,
        *,
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
        timeout: float | None = None,
    ) -> Ack:
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
