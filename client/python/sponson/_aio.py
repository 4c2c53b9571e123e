# SPDX-License-Identifier: Apache-2.0
"""The asyncio interface: the loop watches a client's descriptor, and each turn hands out what has come.

A turn steps the library and takes results, answers and items in bounded portions; if there is more, the next turn
follows after the loop's other callbacks. The loop refers to a client weakly, so a client that is forgotten is
collected and closed.

A producer publishes in the order of the calls. What finds no room joins its backlog, which the turns empty from the
front. A ticket is waited for in _waiting; tickets end in their order.

A subscription takes items from the library when somebody awaits them. If an item came while nobody did, it is kept in
the slot and the library pauses the subscription. An item leaves the slot only when it is returned, so cancelling loses
none.
"""
from __future__ import annotations

import asyncio
import os
import threading
import uuid
import weakref
from collections import deque
from typing import (Any, AsyncIterator, Callable, Coroutine, Deque, Generator, Generic, Iterable, Literal, TypeVar,
                    cast)

from . import _requests, _sponson
from ._errors import DependentError, Error, FencedError, InvalidError, TimeoutError, error_of, error_of_result
from ._records import (Ack, Attributes, CaughtUp, Counters, Cursor, End, Event, Health, Item, Last, Level, LogCursor,
                       LogItem, Options, Otherwise, Published, Session, SessionInfo)

T = TypeVar("T")
Future = asyncio.Future

ITEMS_MAX = 256  # taken in one turn, of all subscriptions
ANSWERS_MAX = 256
ACKS_MAX = 512  # of each producer
ENTRIES_MAX = 256  # published from a backlog
AT_ONCE_MAX = 64  # items that one subscription returns before the loop has a turn
WINDOW_EVENTS = 65536  # the library's default


# -- a client ----------------------------------------------------------------------------------------------------------

def _turn_of(reference: weakref.ReferenceType[Client]) -> None:
    client = reference()
    if client is not None:
        client._turn()


def _bury(loop: asyncio.AbstractEventLoop, core: _sponson.Client) -> None:
    if not core.closed:
        loop.remove_reader(core.fileno())
        core.close()


class Client:
    """A connection to the sidecar on this host, for one event loop. Made by connect()."""

    def __init__(self, core: _sponson.Client) -> None:
        self._core = core
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._failure: Exception | None = None
        self._waits: set[Future[None]] = set()
        self._conditions: dict[Future[None], Callable[[], bool]] = {}
        self._producers: weakref.WeakSet[Producer] = weakref.WeakSet()
        self._busy: set[Producer] = set()
        self._slots: weakref.WeakSet[_Slot] = weakref.WeakSet()
        self._lingers = False
        self._again = False
        self._reference = weakref.ref(self)
        self._loop.add_reader(core.fileno(), _turn_of, self._reference)

    # -- turns --

    def _turn(self) -> None:
        self._again = False
        if self._core.closed or self._failure is not None:
            return
        try:
            more = self._work()
        except Exception as error:  # a lasting one; or an item could not be made, which must not be skipped
            self._fail(error)
            return
        if more:
            self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._again:
            self._again = True
            self._loop.call_soon(_turn_of, self._reference)

    def _work(self) -> bool:
        core = self._core
        try:
            core.step()
        except FencedError:  # of a producer, which raises it for its callers
            pass
        more = False
        for producer in tuple(self._busy):
            more |= producer._turn()
        answered = core.take_answers(ANSWERS_MAX)
        for future in answered:
            if not future.done():
                future.set_result(None)
        if self._conditions:
            self._check_conditions()
        items, more_items = core.take_items(ITEMS_MAX)
        for slot, item in items:
            slot.items.append(item)
            slot.wake()
        return more or more_items or len(answered) == ANSWERS_MAX

    def _check_conditions(self) -> None:
        for future, condition in tuple(self._conditions.items()):
            if future.done():
                continue
            try:
                if condition():
                    future.set_result(None)
            except Exception as error:
                future.set_exception(error)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition, which each turn evaluates."""
        self._check()
        if condition():
            return
        future: Future[None] = self._loop.create_future()
        self._conditions[future] = condition
        try:
            await future
        finally:
            del self._conditions[future]

    # -- the end --

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: Exception) -> None:
        """Everything that is waited for, and is asked for later, raises this."""
        self._failure = error
        self._unwatch()
        for future in (*self._waits, *self._conditions):
            if not future.done():
                future.set_exception(error)
        for producer in tuple(self._producers):
            producer._fail(error)
        for slot in tuple(self._slots):
            slot.fail(error)

    def _unwatch(self) -> None:
        """In a forked child the loop's own descriptor is the parent's too: the watch is the parent's to end."""
        if not self._core.closed and not self._loop.is_closed() and os.getpid() == self._process:
            self._loop.remove_reader(self._core.fileno())

    @property
    def closed(self) -> bool:
        return self._core.closed

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """Waits for the results of what was published, for up to the timeout in seconds, then closes the client and all
        that was opened through it. Closing twice is closing once."""
        _requests.check_timeout(timeout)
        if self._core.closed:
            return
        try:
            if self._failure is None:
                for producer in tuple(self._producers):
                    await producer.aclose(timeout)
        finally:
            if not self._core.closed:
                self._fail(self._failure or InvalidError("the client is closed"))
                if self._lingers and os.getpid() == self._process:
                    await self._loop.run_in_executor(None, self._core.close)
                else:
                    self._core.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.aclose(5.0 if kind is None else 0.0)

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is None or core.closed or not hasattr(self, "_reference"):
            return
        if threading.get_ident() == self._thread or self._loop.is_closed() or os.getpid() != self._process:
            self._unwatch()
            core.close()
        else:  # collected in another thread: the loop is not to be touched here
            try:
                self._loop.call_soon_threadsafe(_bury, self._loop, core)
            except RuntimeError:  # it was closed meanwhile
                core.close()

    # -- what is asked --

    async def _ask(self, kind: str, session: Any = "", what: Any = "", options: Options | None = None,
                   level: str = "durable") -> Any:
        self._check()
        future: Future[None] = self._loop.create_future()
        question = _sponson.Question(self._core, future, kind, (session, what, options, level))
        self._waits.add(future)
        try:
            await future
            return question.answer()
        finally:
            self._waits.discard(future)
            question.close()

    async def last(self, session: str) -> Last:
        """Where a session stands. UnknownSessionError: there is none."""
        return cast(Last, await self._ask("last", session))

    async def session(self, session: str) -> SessionInfo:
        """All that is known of a session. UnknownSessionError: there is none."""
        return cast(SessionInfo, await self._ask("session", session))

    async def sessions(self, prefix: str = "", after: str = "") -> AsyncIterator[Session]:
        """The sessions whose names begin with the prefix and follow `after`, in the byte order of names."""
        more = True
        while more:
            page, more = await self._ask("sessions", after, prefix)
            for session in page:
                yield session
                after = session.name

    async def health(self) -> Health:
        return cast(Health, await self._ask("health"))

    async def stats(self) -> dict[str, int]:
        """All counters of the sidecar."""
        return cast("dict[str, int]", await self._ask("stats"))

    @property
    def data_max(self) -> int:
        """The largest event data that the sidecar takes, in bytes; 0: not known yet."""
        return self._core.data_max()

    # -- one-shots --

    async def publish(self, session: str, data: str | bytes | Event = "", *, id: str | bytes = "",
                      type: str | bytes = "", retry_ms: int | None = None, note: bytes = b"", level: Level = "durable",
                      if_new: bool = False, if_seq: int | None = None, life: str | None = None, closes: bool = False,
                      reason: str = "") -> Published:
        """Publishes one event without a producer; it needs an id. It is safe to repeat after any error: a repeated one
        is a duplicate. What is not stored raises: `error.ack` is a Published, which says where the session stands."""
        event = _requests.event_of(data, id, type, retry_ms, note)
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return _requests.check_published(await self._ask("publish", session, event, options, level))

    async def close_session(self, session: str, *, reason: str = "", if_seq: int | None = None,
                            life: str | None = None) -> Published:
        """Closes a session: it takes no more events. Its readers get all of it, and then an End."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return _requests.check_published(await self._ask("close", session, "", options))

    async def delete_session(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Published:
        """Deletes a session with all its events. To repeat it safely, name the life."""
        return _requests.check_published(
            await self._ask("delete", session, "", _requests.options(if_seq=if_seq, life=life)))

    async def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Published:
        """Keeps a session from its idle close and its time to live."""
        return _requests.check_published(
            await self._ask("touch", session, "", _requests.options(if_seq=if_seq, life=life)))

    async def set_attributes(self, session: str, attributes: Attributes, *, if_new: bool = False,
                             if_seq: int | None = None, life: str | None = None) -> Published:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        return _requests.check_published(
            await self._ask("set", session, attributes, _requests.options(if_new, if_seq, life)))

    # -- producers and readers --

    async def producer(self, id: bytes | uuid.UUID | None = None, *, level: Level = "durable", window_bytes: int = 0,
                       window_events: int = 0, latest_only: bool = False) -> Producer:
        """Opens a producer. An id of your own (16 bytes) is kept across restarts of the app; opening it ends its
        previous holder, who gets FencedError."""
        self._check()
        core = _sponson.Producer(self._core, _requests.producer_id(id), level, window_bytes, window_events,
                                 latest_only)
        try:
            await self._until(core.ready)
        except BaseException:
            core.close()
            raise
        self._lingers = self._lingers or level == "none"
        return Producer(self, core, level == "none" or latest_only, window_events or WINDOW_EVENTS)

    def subscribe(self, session: str, *, after: str | bytes | Cursor | None = None,
                  start: Literal["earliest", "now"] | None = None, otherwise: Otherwise = "fail",
                  window_bytes: int = 0) -> Subscription[Item]:
        """Reads a session and goes on with its new events: `async for item in client.subscribe(...)`.

        after: the id or the Cursor of the last event that the reader has; None: from the earliest.
        otherwise: what to do if it cannot begin there. "restart": with the earliest, if the id is unknown or the
        session has another life. "wait": for a session that does not exist yet."""
        self._check()
        return Subscription(self, False, _requests.subscription(session, after, start, otherwise, window_bytes))

    def follow(self, *, after: LogCursor | None = None, start: Literal["earliest", "now"] | None = None,
               prefix: str = "", touches: bool = False, window_bytes: int = 0) -> Subscription[LogItem]:
        """Reads the log: whatever happens to all sessions, or to those whose names begin with the prefix."""
        self._check()
        return Subscription(self, True, _requests.log(after, start, prefix, touches, window_bytes))

    async def replay(self, session: str, after: str | bytes | Cursor | None = None) -> AsyncIterator[Event]:
        """The events up to the newest that there is now. UnknownSessionError, UnknownIdError, OtherLifeError: it
        cannot begin; TrimmedError: events after its start are no longer retained."""
        async with self.subscribe(session, after=after) as items:
            async for item in items:
                if isinstance(item, Event):
                    yield item
                elif isinstance(item, CaughtUp):
                    return
                elif isinstance(item, End):
                    if item.why != "SPN_E_CLOSED":
                        raise error_of(item.why)
                elif item.missing and after is not None:
                    raise error_of("SPN_E_TRIMMED")


class _Connecting:
    """What connect() returns: awaited it is a Client, and `async with` closes that in the end."""

    def __init__(self, arguments: tuple[Any, ...], timeout: float | None) -> None:
        self._arguments = arguments
        self._timeout = _requests.check_timeout(timeout)
        self._client: Client | None = None

    async def _connect(self) -> Client:
        client = Client(_requests.open_core(*self._arguments))
        if self._timeout == 0:
            return client
        try:
            await asyncio.wait_for(client._until(client._core.ready), self._timeout)
        except asyncio.TimeoutError:
            detail = "" if client._core.ready() else client._core.detail()
            await client.aclose(0)
            raise TimeoutError(detail) from None
        except BaseException:
            await client.aclose(0)
            raise
        return client

    def __await__(self) -> Generator[Any, None, Client]:
        return self._connect().__await__()

    async def __aenter__(self) -> Client:
        self._client = await self._connect()
        return self._client

    async def __aexit__(self, *why: Any) -> None:
        if self._client is not None:
            await self._client.__aexit__(*why)


def connect(socket_dir: str | os.PathLike[str] | None = None, *, timeout: float | None = 5.0, at_once: bool = False,
            send_hwm: int = 0, read_bytes_max: int = 0, questions_max: int = 0) -> _Connecting:
    """`async with sponson.connect() as client`, or `client = await sponson.connect()`.

    socket_dir: None is $SPONSON_SOCKET_DIR, or else /run/sponson or $XDG_RUNTIME_DIR/sponson.
    timeout: seconds to wait for a sidecar; TimeoutError says why there is none. None: for ever. 0: do not wait; what
    is called goes on as soon as there is one.
    at_once: UnavailableError at once if nobody listens."""
    return _Connecting((socket_dir, at_once, send_hwm, read_bytes_max, questions_max), timeout)


# -- publishing --------------------------------------------------------------------------------------------------------

class _Many:
    """publish_many, on its way: how far its events are taken, and the results of those."""

    def __init__(self, session: str, events: list[Any], future: Future[list[Ack]]) -> None:
        self.session = session
        self.events = events
        self.future = future
        self.at = 0
        self.acks: list[Ack] = []
        self.untaken: Exception | None = None

    def push(self, producer: Producer) -> bool:
        """Publishes a portion. Returns whether all is taken, or nothing more will be."""
        if producer._outstanding >= producer._window_events:
            return False
        try:
            taken, first, full = producer._core.publish_many(self.session, self.events, self.at)
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
        self.settle()

    def settle(self) -> None:
        """Ends it, once all that was taken has a result and nothing more is to be taken."""
        if len(self.acks) < self.at or (self.at < len(self.events) and self.untaken is None) or self.future.done():
            return
        error = _requests.error_of_many(self.acks, self.untaken)
        if error is None:
            self.future.set_result(self.acks)
        else:
            self.future.set_exception(error)


class _One:
    """A single entry that found no room."""

    def __init__(self, call: Callable[..., int | None], arguments: tuple[Any, ...], id: str | None,
                 future: Future[Ack]) -> None:
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


class Producer:
    """Publishes events, in the order of the calls. Each call returns a future of the event's result, whether it is
    awaited or not: it ends when the event is on disk (level "durable"), and raises if the event was not stored. While
    there is no room it waits; cancelling it then takes the event back.

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

    def publish(self, session: str, data: str | bytes | Event = "", *, id: str | bytes = "", type: str | bytes = "",
                retry_ms: int | None = None, note: bytes = b"", if_new: bool = False, if_seq: int | None = None,
                life: str | None = None, depends: Future[Ack] | None = None, closes: bool = False,
                reason: str = "") -> Future[Ack]:
        """Publishes one event.

        data: a str or bytes without CR; or an Event, which may be a marker.
        id: the id that readers resume after; without one the producer gives it one.
        if_new, if_seq, life: conditions; ConditionError, UnknownSessionError, OtherLifeError if they do not hold.
        depends: the future of an earlier event of this producer: DependentError if that is refused.
        closes: it is the session's last event; reason: why, for readers."""
        options = None
        call: Callable[..., int | None] = self._core.publish
        if (if_new or closes or reason or depends is not None or life is not None
                or if_seq is not None):
            options = Options(if_new, if_seq, life, 0, closes, reason)
            if depends is not None:
                call = self._publish_dependent(depends)
        return self._submit(call, (session, data, id, type, retry_ms, note, options), _requests.id_of(data, id))

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

    def close_session(self, session: str, *, reason: str = "", if_seq: int | None = None,
                      life: str | None = None) -> Future[Ack]:
        """Closes a session, after what this producer has published to it."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return self._submit(self._core.close_session, (session, options), None)

    def delete_session(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Future[Ack]:
        """Deletes a session with all its events."""
        return self._submit(self._core.delete_session, (session, _requests.options(if_seq=if_seq, life=life)), None)

    def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Future[Ack]:
        """Keeps a session from its idle close and its time to live."""
        return self._submit(self._core.touch, (session, _requests.options(if_seq=if_seq, life=life)), None)

    def set_attributes(self, session: str, attributes: Attributes, *, if_new: bool = False, if_seq: int | None = None,
                       life: str | None = None) -> Future[Ack]:
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
        if self._core.closed:
            return 0
        left = 0
        try:
            if timeout != 0 and self._client._failure is None:
                await asyncio.wait_for(self.flush(), timeout)
        except (asyncio.TimeoutError, FencedError):
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
        if client._failure is not None:
            raise client._failure
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
                if depends.cancelled() or depends.exception() is not None:
                    raise DependentError("the entry it depends on was refused")
                return self._core.publish(*arguments)
            ticket = next((each[0] for each in reversed(self._waiting) if each[3] is depends), None)
            if ticket is None:
                raise ValueError("depends: not an earlier event of this producer")
            return self._core.publish(*arguments[:-1], arguments[-1]._replace(depends=ticket))  # type: ignore[call-arg]

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
            while count > 0:
                ticket, size, id, waiter = self._waiting[0]
                part = min(size, count)
                if ticket != first:
                    raise RuntimeError(f"the result of ticket {first} came before that of {ticket}")
                if part == size:
                    self._waiting.popleft()
                else:
                    self._waiting[0] = (ticket + part, size - part, id, waiter)
                self._end(waiter, first, part, id, result, code)
                first += part
                count -= part
        self._outstanding -= taken
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
            if not future.done():
                future.set_exception(error)


# -- reading -----------------------------------------------------------------------------------------------------------

class _Slot:
    """What is between the turns and one subscription. It refers to neither."""

    __slots__ = ("items", "waiter", "failure", "__weakref__")

    def __init__(self) -> None:
        self.items: Deque[Any] = deque()
        self.waiter: Future[None] | None = None
        self.failure: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.failure = error
        self.wake()

    def wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Subscription(Generic[T]):
    """An async iterator of items. Its last one is an End. A reader that is slow holds up nobody else: the sidecar keeps
    what it does not take. Dropping it, or aclose(), ends it."""

    def __init__(self, client: Client, of_log: bool, arguments: tuple[Any, ...]) -> None:
        self._client = client
        self._slot = _Slot()
        self._core = _sponson.Subscription(client._core, self._slot, of_log, arguments)
        self._take = self._core.take
        self._create_future = client._loop.create_future
        self._at_once = 0
        self._ended = False
        client._slots.add(self._slot)

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        slot = self._slot
        if slot.waiter is not None:
            raise RuntimeError("another task waits for the next item of this subscription")
        self._at_once += 1
        if self._at_once > AT_ONCE_MAX:
            self._at_once = 0
            await asyncio.sleep(0)
        while not slot.items:
            if self._ended:
                raise StopAsyncIteration
            if slot.failure is not None:
                raise slot.failure
            item = self._take()
            if item is not None:
                break
            self._at_once = 0
            waiter = slot.waiter = self._create_future()
            try:
                await waiter
            finally:
                if slot.waiter is waiter:
                    slot.waiter = None
        else:
            item = slot.items.popleft()
        if type(item) is End:
            self._ended = True
            self._core.close()
        return cast(T, item)

    async def aclose(self) -> None:
        """Ends it; closing twice is closing once. A task that waits for an item gets StopAsyncIteration."""
        self._ended = True
        self._core.close()
        self._slot.items.clear()
        self._slot.wake()

    async def __aenter__(self) -> Subscription[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
