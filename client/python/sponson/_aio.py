# SPDX-License-Identifier: Apache-2.0
"""The asyncio interface: the loop watches a client's descriptor, and each turn hands out what has come.

A turn steps the library and takes results, answers and items in bounded portions; if there is more, the next turn
follows after the loop's other callbacks. The loop refers to a client weakly, so a client that is forgotten is
collected and closed.
"""
from __future__ import annotations

import asyncio
import os
import threading
import uuid
import weakref
from typing import Any, AsyncIterator, Callable, Generator, Literal, cast

from . import _requests, _sponson
from ._errors import FencedError, InvalidError, TimeoutError, error_of
from ._producer import Producer
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
from ._subscription import Subscription

Future = asyncio.Future

ITEMS_MAX = 256  # taken in one turn, of all subscriptions
ANSWERS_MAX = 256


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
        self._subscriptions: weakref.WeakSet[Subscription[Any]] = weakref.WeakSet()
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
            if self._work():
                self._turn_soon()
        except Exception as error:  # a lasting one; or an item could not be made, which must not be skipped
            self._fail(error)
        except BaseException:  # Ctrl-C: what this turn had taken may have reached nobody
            self._fail(InvalidError("the client was interrupted in the middle of a turn"))
            raise

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
        more |= core.deliver_items(ITEMS_MAX)
        return more or len(answered) == ANSWERS_MAX

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
            raise self._failure.with_traceback(None)  # or it would keep the frames of each raise
        self._check_thread()
        if self._loop.is_closed() and os.getpid() == self._process:
            raise RuntimeError("the client's event loop is closed")

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread and os.getpid() == self._process:
            raise RuntimeError(
                "the client belongs to the event loop of another thread; sponson.sync is for threads"
            )

    def _fail(self, error: Exception) -> None:
        """Everything that is waited for, and is asked for later, raises this."""
        self._failure = error
        if self._loop.is_closed():
            return
        self._unwatch()
        for future in (*self._waits, *self._conditions):
            if not future.done():
                future.set_exception(error)
        for producer in tuple(self._producers):
            producer._fail(error)
        for subscription in tuple(self._subscriptions):
            subscription._fail(error)

    def _can_wait(self) -> bool:
        """For results. What waits on a loop that is closed never goes on."""
        return self._failure is None and not self._loop.is_closed()

    def _unwatch(self) -> None:
        """In a forked child the loop's own descriptor is the parent's too: the watch is the parent's to end."""
        if not self._core.closed and not self._loop.is_closed() and os.getpid() == self._process:
            self._loop.remove_reader(self._core.fileno())

    @property
    def closed(self) -> bool:
        return self._core.closed

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """Waits for the results of what was published, for up to the timeout in seconds, then closes the client and
        all that was opened through it. Closing twice is closing once."""
        _requests.check_timeout(timeout)
        self._check_thread()
        if self._core.closed:
            return
        try:
            if self._can_wait():
                for producer in tuple(self._producers):
                    await producer.aclose(timeout)
        finally:
            if not self._core.closed:
                self._fail(self._failure or InvalidError("the client is closed"))
                if self._lingers and not self._loop.is_closed() and os.getpid() == self._process:
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

    async def _ask(
        self, kind: str, session: Any = "", what: Any = "", options: Options | None = None, level: str = "durable"
    ) -> Any:
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

    async def publish(
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
    ) -> Published:
        """Publishes one event without a producer; it needs an id. It is safe to repeat after any error: a repeated
        one is a duplicate. What is not stored raises: `error.ack` is a Published, which says where the session
        stands.
        """
        event = _requests.event_of(data, id, type, retry_ms, note)
        options = _requests.options(if_new, if_seq, life, 0, closes, reason)
        return _requests.check_published(await self._ask("publish", session, event, options, level))

    async def close_session(
        self, session: str, *, reason: str = "", if_seq: int | None = None, life: str | None = None
    ) -> Published:
        """Closes a session: it takes no more events. Its readers get all of it, and then an End."""
        options = _requests.options(if_seq=if_seq, life=life, reason=reason)
        return _requests.check_published(await self._ask("close", session, "", options))

    async def delete_session(
        self, session: str, *, if_seq: int | None = None, life: str | None = None
    ) -> Published:
        """Deletes a session with all its events. To repeat it safely, name the life."""
        return _requests.check_published(
            await self._ask("delete", session, "", _requests.options(if_seq=if_seq, life=life))
        )

    async def touch(self, session: str, *, if_seq: int | None = None, life: str | None = None) -> Published:
        """Keeps a session from its idle close and its time to live."""
        return _requests.check_published(
            await self._ask("touch", session, "", _requests.options(if_seq=if_seq, life=life))
        )

    async def set_attributes(
        self,
        session: str,
        attributes: Attributes,
        *,
        if_new: bool = False,
        if_seq: int | None = None,
        life: str | None = None,
    ) -> Published:
        """Sets all attributes of a session. One that does not exist is opened without an event."""
        return _requests.check_published(
            await self._ask("set", session, attributes, _requests.options(if_new, if_seq, life))
        )

    # -- producers and readers --

    async def producer(
        self,
        id: bytes | uuid.UUID | None = None,
        *,
        level: Level = "durable",
        window_bytes: int = 0,
        window_events: int = 0,
        latest_only: bool = False,
    ) -> Producer:
        """Opens a producer. An id of your own (16 bytes) is kept across restarts of the app; opening it ends its
        previous holder, who gets FencedError."""
        self._check()
        core = _sponson.Producer(
            self._core, _requests.producer_id(id), level, window_bytes, window_events, latest_only
        )
        try:
            await self._until(core.ready)
        except BaseException:
            core.close()
            raise
        self._lingers = self._lingers or level == "none"
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
        """Reads a session and goes on with its new events: `async for item in client.subscribe(...)`.

        after: the id or the Cursor of the last event that the reader has; None: from the earliest.
        otherwise: what to do if it cannot begin there. "restart": with the earliest, if the id is unknown or the
        session has another life. "wait": for a session that does not exist yet."""
        self._check()
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


def connect(
    socket_dir: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = 5.0,
    at_once: bool = False,
    send_hwm: int = 0,
    read_bytes_max: int = 0,
    questions_max: int = 0,
) -> _Connecting:
    """`async with sponson.connect() as client`, or `client = await sponson.connect()`.

    socket_dir: None is $SPONSON_SOCKET_DIR, or else /run/sponson or $XDG_RUNTIME_DIR/sponson.
    timeout: seconds to wait for a sidecar; TimeoutError says why there is none. None: for ever. 0: do not wait;
    what is called goes on as soon as there is one.
    at_once: UnavailableError at once if nobody listens."""
    return _Connecting((socket_dir, at_once, send_hwm, read_bytes_max, questions_max), timeout)
