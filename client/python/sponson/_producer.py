# SPDX-License-Identifier: Apache-2.0
"""Producers of the asyncio interface.

A producer publishes in the order of the calls. What finds no room joins its backlog, which the client's turns empty
from the front. A ticket is waited for in _waiting; tickets end in their order. The library keeps as many results that
were not fetched as its window has events, and drops the oldest beyond that: so at most as many tickets are waited for.
"""
from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable

from . import _requests, _sponson
from ._errors import STORED, DependentError, Error, FencedError, ForkedError, TimeoutError, error_of_result
from ._records import Ack, Attributes, Counters, Event, Options

if TYPE_CHECKING:
    from ._aio import Client

Future = asyncio.Future

ACKS_MAX = 512  # taken in one turn, of each producer
ENTRIES_MAX = 256  # published from a backlog in one turn


class _Many:
    """publish_many, on its way: how far its events are taken, and the results of those."""

    def __init__(self, session: str, events: list[Any], future: Future[list[Ack]]) -> None:
        self.session = session
        self.events = events
        self.future = future
        self.at = 0
        self.acks: list[Ack] = []
        self.failed: Ack | None = None  # the first that was not stored
        self.untaken: Exception | None = None

    def push(self, producer: Producer) -> bool:
        """Publishes a portion. Returns whether all is taken, or nothing more will be."""
        room = producer._window_events - producer._outstanding
        if room <= 0:
            return False
        try:
            _requests.encode_large(self.events, self.at, min(room, _requests.PORTION))
            taken, first, full = producer._core.publish_many(self.session, self.events, self.at, room)
        except Exception as error:
            error.add_note(f"sponson: events[{self.at}] was not taken")
            self.untaken = error
            return True
        producer._took(first, taken, self)
        self.at += taken
        return self.at == len(self.events) and not full

    def add(self, producer: Producer, first: int, count: int, result: Any, code: str | None) -> None:
        given = producer._core.given_id
        events = self.events
        at = len(self.acks)
        for ticket in range(first, first + count):
            event = events[at]
            id = _requests.id_of(event, "")
            self.acks.append(Ack(ticket, result, given(ticket) if id == "" else id or "", code))
            at += 1
        if self.failed is None and result not in STORED:
            self.failed = self.acks[-count]
        self.settle()

    def settle(self) -> None:
        """Ends it, once all that was taken has a result and nothing more is to be taken."""
        if len(self.acks) < self.at or (self.at < len(self.events) and self.untaken is None) or self.future.done():
            return
        error = _requests.error_of_many(self.failed, self.acks, self.untaken)
        if error is None:
            self.future.set_result(self.acks)
        else:
            self.future.set_exception(error)


class _One:
    """A single entry that found no room."""

    def __init__(
        self, call: Callable[..., int | None], arguments: tuple[Any, ...], id: str | None, future: Future[Ack]
    ) -> None:
        self.call = call
        self.arguments = arguments
        self.id = id
        self.future = future

    def push(self, producer: Producer) -> bool:
        if producer._outstanding >= producer._window_events:
            return False
        try:
            ticket = self.call(*self.arguments)
        except Exception as error:
            self.future.set_exception(error)
            return True
        if ticket is None:
            return False
        producer._took_one(ticket, self.id, self.future)
        return True


def _was_refused(future: Future[Ack]) -> bool:
    """Or not published at all. A conflict is no refusal: the id is there."""
    if future.cancelled():
        return True
    error = future.exception()
    ack = error.ack if isinstance(error, Error) else None
    return error is not None and (ack is None or ack.result == "refused")


class Producer:
    """Publishes events, in the order of the calls. Each call returns a future of the event's result, whether it is
    awaited or not: it ends when the event is on disk (level "durable"), and raises if the event was not stored.
    While there is no room it waits; cancelling it then takes the event back.

    With level "none" and with latest_only there are no results: it ends with "sent" when the event is taken."""

    def __init__(self, client: Client, core: _sponson.Producer, is_silent: bool, window_events: int) -> None:
        self._client = client
        self._core = core
        self._is_silent = is_silent
        self._window_events = window_events
        self._outstanding = 0  # tickets in _waiting
        self._waiting: Deque[tuple[int, int, str | None, Any]] = deque()  # (ticket, count, id, future or _Many)
        self._backlog: Deque[_One | _Many] = deque()
        client._producers.add(self)

    # -- calls --

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
        depends: Future[Ack] | None = None,
        closes: bool = False,
        reason: str = "",
    ) -> Future[Ack]:
        """Publishes one event.

        data: a str or bytes without CR; or an Event, which may be a marker.
        id: the id that readers resume after; without one the producer gives it one.
        if_new, if_seq, life: conditions; ConditionError, UnknownSessionError, OtherLifeError if they do not hold.
        depends: the future of an earlier event of this producer: DependentError if that is refused.
        closes: it is the session's last event; reason: why, for readers."""
        options = None
        call: Callable[..., int | None] = self._core.publish
        if if_new or closes or reason or depends is not None or life is not None or if_seq is not None:
            options = Options(if_new, if_seq, life, 0, closes, reason)
            if depends is not None:
                call = self._publish_dependent(depends)
        arguments = (session, _requests.data_of(data), id, type, retry_ms, note, options)
        return self._submit(call, arguments, _requests.id_of(data, id))

    def publish_many(self, session: str, events: Iterable[str | bytes | Event]) -> Future[list[Ack]]:
        """Publishes several events of one session; the fastest way. Ends when all have their results. What is not
        stored raises, and error.acks has the results of all."""
        self._client._check()
        future: Future[list[Ack]] = self._client._loop.create_future()
        many = _Many(session, _requests.events(events), future)
        if not self._backlog and many.push(self):
            if many.untaken is not None and many.at == 0:
                raise many.untaken
            many.settle()
        else:
            self._backlog.append(many)
            self._client._busy.add(self)
            if many.at:
                self._client._turn_soon()
        return future

    def close_session(
        self, session: str, *, reason: str = "", if_seq: int | None = None, life: str | None = None
    ) -> Future[Ack]:
        """Closes a session, after what this producer has published to it."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return self._submit(self._core.close_session, (session, options), None)

    def delete_session(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Future[Ack]:
        """Deletes a session with all its events."""
        return self._submit(self._core.delete_session, (session, _requests.options(if_seq=if_seq, life=life)), None)

    def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Future[Ack]:
        """Keeps a session from its idle close and its time to live."""
        return self._submit(self._core.touch, (session, _requests.options(if_seq=if_seq, life=life)), None)

    def set_attributes(
        self,
        session: str,
        attributes: Attributes,
        *,
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
    ) -> Future[Ack]:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        return self._submit(self._core.set, (session, attributes, _requests.options(if_new, if_seq, life)), None)

    @property
    def committed(self) -> int:
        """How many events of this producer's id were stored when it was opened."""
        return self._core.committed()

    def counters(self) -> Counters:
        return self._core.counters()

    async def flush(self) -> None:
        """Waits until everything published so far has its result. Raises none of them."""
        await self._client._until(lambda: not self._backlog and not self._waiting and self._core.flush())

    async def aclose(self, timeout: float | None = 5.0) -> int:
        """Waits for the results, for up to the timeout in seconds. Returns how many events have none: their futures
        raise TimeoutError, and nobody knows whether they are stored."""
        _requests.check_timeout(timeout)
        self._client._check_thread()
        if self._core.closed:
            return 0
        left = 0
        try:
            if timeout != 0 and self._client._can_wait():
                await asyncio.wait_for(self.flush(), timeout)
        except (asyncio.TimeoutError, FencedError, ForkedError):
            pass
        finally:
            left = len([one for one in self._backlog if not one.future.done()])
            left += self._core.close()
            self._fail(TimeoutError("the producer was closed before the result came"))
        return left

    async def __aenter__(self) -> Producer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.aclose(5.0 if kind is None else 0.0)

    # -- entries --

    def _submit(self, call: Callable[..., int | None], arguments: tuple[Any, ...], id: str | None) -> Future[Ack]:
        client = self._client
        client._check()
        future: Future[Ack] = client._loop.create_future()
        if not self._backlog and self._outstanding < self._window_events:
            try:
                ticket = call(*arguments)
            except DependentError as error:  # a result, and no fault of this call
                future.set_exception(error)
                return future
            if ticket is not None:
                self._took_one(ticket, id, future)
                return future
        self._backlog.append(_One(call, arguments, id, future))
        client._busy.add(self)
        return future

    def _publish_dependent(self, depends: Future[Ack]) -> Callable[..., int | None]:
        """Finds the ticket only when the event has its turn: before, what it depends on may have none."""
        if not isinstance(depends, asyncio.Future):
            raise TypeError(f"depends: expected what publish returned, not {type(depends).__name__}")

        def call(*arguments: Any) -> int | None:
            if depends.done():
                if _was_refused(depends):
                    raise DependentError("the entry it depends on was refused")
                return self._core.publish(*arguments)
            ticket = next((each[0] for each in reversed(self._waiting) if each[3] is depends), None)
            if ticket is None:
                raise ValueError("depends: not an earlier event of this producer")
            options = arguments[-1]._replace(depends=ticket)
            return self._core.publish(*arguments[:-1], options)  # type: ignore[call-arg]

        return call

    def _took_one(self, ticket: int, id: str | None, future: Future[Ack]) -> None:
        if self._is_silent:
            future.set_result(Ack(ticket, "sent", id or "", None))
            return
        self._outstanding += 1
        self._waiting.append((ticket, 1, id, future))
        self._client._busy.add(self)

    def _took(self, first: int, count: int, many: _Many) -> None:
        if count == 0:
            return
        if self._is_silent:
            many.acks.extend(Ack(0, "sent", "", None) for _ in range(count))
            return
        self._outstanding += count
        self._waiting.append((first, count, None, many))
        self._client._busy.add(self)

    # -- turns --

    def _turn(self) -> bool:
        more = False
        try:
            if self._waiting:
                more = self._take_acks()
            if self._backlog:
                more = self._pump() or more
        except Error as error:
            self._fail(error)
        if not self._waiting and not self._backlog:
            self._client._busy.discard(self)
        return more

    def _take_acks(self) -> bool:
        taken = 0
        for first, count, result, code in self._core.take_acks(ACKS_MAX):
            taken += count
            while count > 0 and self._waiting:
                ticket, size, id, waiter = self._waiting[0]
                if ticket > first:  # an interrupt came before anybody waited for these
                    part = min(ticket - first, count)
                    first += part
                    count -= part
                    continue
                part = min(size, count)
                if ticket < first:
                    raise RuntimeError(f"the result of ticket {first} came before that of {ticket}")
                self._outstanding -= part
                self._end(waiter, first, part, id, result, code)
                if part == size:
                    self._waiting.popleft()
                else:
                    self._waiting[0] = (ticket + part, size - part, id, waiter)
                first += part
                count -= part
        return taken == ACKS_MAX

    def _end(self, waiter: Any, first: int, count: int, id: str | None, result: Any, code: str | None) -> None:
        if isinstance(waiter, _Many):
            waiter.add(self, first, count, result, code)
            return
        if waiter.done():  # cancelled
            return
        ack = Ack(first, result, self._core.given_id(first) if id == "" else id or "", code)
        error = error_of_result(ack)
        if error is None:
            waiter.set_result(ack)
        else:
            waiter.set_exception(error)

    def _pump(self) -> bool:
        """Publishes from the backlog, as long as there is room. Returns whether it stopped for fairness only."""
        backlog = self._backlog
        for _ in range(ENTRIES_MAX):
            if not backlog:
                return False
            entry = backlog[0]
            at = entry.at if isinstance(entry, _Many) else 0
            if not entry.future.done() and not entry.push(self):
                return isinstance(entry, _Many) and entry.at > at  # a portion
            backlog.popleft()
            if isinstance(entry, _Many):
                entry.settle()
                return bool(backlog)
        return bool(backlog)

    def _fail(self, error: Exception) -> None:
        waiters = [each[3] for each in self._waiting] + list(self._backlog)
        self._waiting.clear()
        self._backlog.clear()
        self._outstanding = 0
        self._client._busy.discard(self)
        for waiter in waiters:
            future = waiter.future if isinstance(waiter, (_One, _Many)) else waiter
            if not future.done() and not self._client._loop.is_closed():
                future.set_exception(error)
