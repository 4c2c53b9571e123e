# SPDX-License-Identifier: Apache-2.0
"""The arguments of calls that asyncio and the synchronous façade share, as the extension takes them."""
from __future__ import annotations

import uuid
from typing import Any, Iterable, cast

from . import _sponson
from ._errors import Error, error_of_result
from ._records import Ack, Cursor, Event, LogCursor, Options, Published

LARGE = 65536  # characters
WINDOW_EVENTS = 65536  # the library's default
PORTION = 1024  # events that the extension takes at once, at most,
PORTION_BYTES = 262144  # and their data: it stops after one that reaches this


def open_core(
    socket_dir: Any, at_once: bool, send_hwm: int, read_bytes_max: int, questions_max: int
) -> _sponson.Client:
    if socket_dir is not None and not isinstance(socket_dir, (str, bytes)):
        if not hasattr(socket_dir, "__fspath__"):
            raise TypeError(f"socket_dir: expected a path, not {type(socket_dir).__name__}")
        socket_dir = socket_dir.__fspath__()
    return _sponson.Client(socket_dir, at_once, send_hwm, read_bytes_max, questions_max)


def producer_id(value: bytes | uuid.UUID | None) -> bytes | None:
    return value.bytes if isinstance(value, uuid.UUID) else value


def check_timeout(timeout: float | None) -> float | None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise TypeError(f"timeout: expected seconds or None, not {type(timeout).__name__}")
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout: expected 0 or more seconds, or None, not {timeout}")
    return timeout


def start_of(after: Any, start: str | None) -> tuple[str, Any, str | None, int]:
    """(start, id, life, seq) of what a session's reader gives."""
    if after is None:
        if start not in (None, "earliest", "now"):
            raise ValueError(f"start: expected 'earliest' or 'now', not {start!r}")
        return start or "earliest", "", None, 0
    if start is not None:
        raise ValueError("start: not together with after")
    if isinstance(after, Cursor):
        return "seq", "", after.life, after.seq
    if not isinstance(after, (str, bytes)):
        raise TypeError(f"after: expected an id or a Cursor, not {type(after).__name__}")
    return "id", after, None, 0


def subscription(session: str, after: Any, start: str | None, otherwise: str, window_bytes: int) -> tuple[Any, ...]:
    return (session, *start_of(after, start), otherwise, window_bytes)


def log(
    after: LogCursor | None, start: str | None, prefix: str, touches: bool, window_bytes: int
) -> tuple[Any, ...]:
    if after is None:
        return (start_of(None, start)[0], None, 0, prefix, touches, window_bytes)
    if start is not None:
        raise ValueError("start: not together with after")
    if not isinstance(after, LogCursor):
        raise TypeError(f"after: expected a LogCursor, not {type(after).__name__}")
    return ("position", after.database, after.position, prefix, touches, window_bytes)


def options(
    if_new: bool = False,
    if_seq: int | None = None,
    life: str | None = None,
    depends: int = 0,
    closes: bool = False,
    reason: str = "",
) -> Options | None:
    """None: nothing was given, as for nearly every event."""
    if if_new is False and if_seq is None and life is None and depends == 0 and closes is False and is_empty(reason):
        return None
    return Options(if_new, if_seq, life, depends, closes, reason)


def is_empty(value: Any) -> bool:
    """Bytes are not compared with a str: python -bb takes offence."""
    return isinstance(value, (str, bytes)) and not value


def text(value: str | bytes) -> str:
    """What is neither is left to the extension, which names it."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def data_of(data: Any) -> Any:
    """Large text is encoded here: the extension would keep its bytes beside it, and take twice as long."""
    if isinstance(data, str):
        if len(data) <= LARGE:
            return data
        try:
            return data.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return data  # the extension says what is wrong with it
    if isinstance(data, Event) and isinstance(data.data, str) and len(data.data) > LARGE:
        return data._replace(data=cast(str, data_of(data.data)))
    return data


def id_of(data: Any, id: str | bytes) -> str | None:
    """The id that an event will have; "": its producer gives it one; None: it has none."""
    if isinstance(data, Event):
        return text(data.id) or (None if data.kind != "event" else "")
    return text(id)


def event_of(data: Any, id: str | bytes, type: str | bytes, retry_ms: int | None, note: bytes) -> Any:
    """An Event of what a one-shot is given."""
    if not isinstance(data, Event):
        return Event("event", text(id), text(type), data, retry_ms, False, note)
    for name, value in (("id", id), ("type", type), ("retry_ms", retry_ms), ("note", note)):
        if value is not None and not is_empty(value):
            raise TypeError(f"{name}: data is an Event, which has its own")
    return data


def events(given: Iterable[Any]) -> list[Any]:
    if isinstance(given, (str, bytes, Event)):
        raise TypeError(f"events: expected several of them, not {type(given).__name__}")
    try:
        each = iter(given)
    except TypeError as error:
        raise TypeError(f"events: {error}") from None
    return list(each)


def encode_large(events: list[Any], at: int, count: int) -> None:
    """Those that the next portion will have."""
    size = 0
    for i in range(at, min(at + count, len(events))):
        events[i] = one = data_of(events[i])
        data = one.data if isinstance(one, Event) else one
        size += len(data) if isinstance(data, (str, bytes)) else 0
        if size > PORTION_BYTES:
            return


def check_published(published: Published) -> Published:
    error = error_of_result(published)
    if error is not None:
        raise error
    return published


def error_of_many(failed: Ack | None, acks: list[Ack], untaken: Exception | None) -> Exception | None:
    """What publish_many raises: the error of the first event that has one, or of that which was not taken."""
    error: Exception | None = untaken if failed is None else error_of_result(failed)
    if isinstance(error, Error):
        error.acks = acks
    return error
