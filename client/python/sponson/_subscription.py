# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of the asyncio interface. How items get to those who await them is in the extension: core.h."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Coroutine, Generic, TypeVar

from . import _sponson

if TYPE_CHECKING:
    from ._aio import Client

T = TypeVar("T")


class Subscription(_sponson.Subscription, Generic[T]):
    """An async iterator of items. Its last one is an End. A reader that is slow holds up nobody else: the sidecar
    keeps what it does not take. Dropping it, or aclose(), ends it."""

    _client: Client

    def __new__(cls, client: Client, of_log: bool, arguments: tuple[Any, ...]) -> Subscription[T]:
        self = super().__new__(cls, client._core, client._loop.create_future, of_log, arguments)
        self._client = client
        client._subscriptions.add(self)
        return self

    def __aiter__(self) -> Subscription[T]:
        return self

    if TYPE_CHECKING:

        def __anext__(self) -> Coroutine[Any, Any, T]: ...

    def _check_thread(self) -> None:
        self._client._check_thread()

    async def aclose(self) -> None:
        """Ends it; closing twice is closing once. A task that waits for an item gets StopAsyncIteration."""
        self._check_thread()
        self._end(not self._client._loop.is_closed())

    async def __aenter__(self) -> Subscription[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
