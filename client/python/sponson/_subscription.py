# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of the asyncio interface.

A subscription takes items from the library when somebody awaits them, one after the other, until there is none.
From then on the client's turns put them into its slot, each when it comes. If one came while nobody waited, the
library pauses the subscription, which then takes items itself again. An item leaves the slot only when it is
returned, so cancelling loses none.
"""
from __future__ import annotations

import asyncio
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any, Deque, Generic, TypeVar, cast

from . import _sponson
from ._records import End

if TYPE_CHECKING:
    from ._aio import Client

T = TypeVar("T")

AT_ONCE_MAX = 64  # items that one subscription returns before the loop has a turn


class Slot:
    """What is between the turns and one subscription. It refers to neither."""

    __slots__ = ("items", "waiter", "failure", "is_paused", "__weakref__")

    def __init__(self) -> None:
        self.items: Deque[Any] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.failure: Exception | None = None
        self.is_paused = True  # or there may be items in the library for other reasons

    def fail(self, error: Exception) -> None:
        self.failure = error
        self.wake()

    def wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Subscription(Generic[T]):
    """An async iterator of items. Its last one is an End. A reader that is slow holds up nobody else: the sidecar
    keeps what it does not take. Dropping it, or aclose(), ends it."""

    def __init__(self, client: Client, of_log: bool, arguments: tuple[Any, ...]) -> None:
        self._client = client
        self._slot = Slot()
        self._core = _sponson.Subscription(client._core, self._slot, of_log, arguments)
        self._take = self._core.take
        self._expect = self._core.expect
        self._create_future = client._loop.create_future
        self._thread = client._thread
        self._at_once = 0
        self._ended = False
        client._slots.add(self._slot)

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        slot = self._slot
        if get_ident() != self._thread:
            self._client._check_thread()
        self._at_once += 1
        if self._at_once > AT_ONCE_MAX:
            self._at_once = 0
            await asyncio.sleep(0)
        if slot.waiter is not None:
            raise RuntimeError("another task waits for the next item of this subscription")
        while not slot.items:
            if self._ended:
                raise StopAsyncIteration
            if slot.failure is not None:
                raise slot.failure
            if slot.is_paused:
                item = self._take()
                if item is not None:
                    break
                slot.is_paused = False
            else:
                self._expect()
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
        self._client._check_thread()
        self._ended = True
        self._core.close()
        self._slot.items.clear()
        if not self._client._loop.is_closed():
            self._slot.wake()

    async def __aenter__(self) -> Subscription[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
