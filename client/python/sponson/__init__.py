# SPDX-License-Identifier: Apache-2.0
"""Sponson for Python: publish server-sent events to the sidecar on this host, and read them back.

    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish("chat-42", "hello")          # it is on disk
        async for item in client.subscribe("chat-42"):
            print(item)

sponson.sync is the same for threads, sponson.starlette and sponson.mcp serve what those expect.
"""
try:
    from . import _sponson
except ImportError as error:
    if "libzmq" in str(error):
        raise ImportError(f"{error}: on Debian, apt install libzmq5") from error
    raise

from . import _errors, _records
from ._records import (
    Ack,
    Attributes,
    CaughtUp,
    Counters,
    Cursor,
    End,
    Entry,
    Event,
    Gap,
    Health,
    Item,
    Last,
    LogCursor,
    LogItem,
    Published,
    Session,
    SessionInfo,
    Verdict,
)
from ._errors import (
    BackpressureError,
    BadAttributesError,
    BadDataError,
    BadIdError,
    BadNoteError,
    BadPositionError,
    BadPrefixError,
    BadReasonError,
    BadSessionError,
    BadTypeError,
    ClosedError,
    ConditionError,
    ConflictError,
    CorruptError,
    DeletedError,
    DeniedError,
    DependentError,
    DiskFullError,
    EndError,
    Error,
    EventTooLargeError,
    FencedError,
    ForkedError,
    GoneError,
    InUseError,
    InvalidError,
    IoError,
    LimitError,
    LostError,
    NewerFormatError,
    NomemError,
    OlderFormatError,
    OtherLifeError,
    PathError,
    ProtocolError,
    QuotaFullError,
    StaleTokenError,
    StoppingError,
    SystemError,
    TimeoutError,
    TooManyError,
    TrimmedError,
    UnavailableError,
    UnknownIdError,
    UnknownSessionError,
    UnsupportedError,
    VersionError,
)

_sponson.register(_records.RECORDS, _errors.BY_NUMBER)

from ._aio import Client, connect  # noqa: E402: after the registration
from ._producer import Producer  # noqa: E402
from ._sse import SseParser, format_sse  # noqa: E402
from ._subscription import Subscription  # noqa: E402

__version__ = _sponson.VERSION
__all__ = [
    "Ack",
    "Attributes",
    "BackpressureError",
    "BadAttributesError",
    "BadDataError",
    "BadIdError",
    "BadNoteError",
    "BadPositionError",
    "BadPrefixError",
    "BadReasonError",
    "BadSessionError",
    "BadTypeError",
    "CaughtUp",
    "Client",
    "ClosedError",
    "ConditionError",
    "ConflictError",
    "CorruptError",
    "Counters",
    "Cursor",
    "DeletedError",
    "DeniedError",
    "DependentError",
    "DiskFullError",
    "End",
    "EndError",
    "Entry",
    "Error",
    "Event",
    "EventTooLargeError",
    "FencedError",
    "ForkedError",
    "Gap",
    "GoneError",
    "Health",
    "InUseError",
    "InvalidError",
    "IoError",
    "Item",
    "Last",
    "LimitError",
    "LogCursor",
    "LogItem",
    "LostError",
    "NewerFormatError",
    "NomemError",
    "OlderFormatError",
    "OtherLifeError",
    "PathError",
    "Producer",
    "ProtocolError",
    "Published",
    "QuotaFullError",
    "Session",
    "SessionInfo",
    "SseParser",
    "StaleTokenError",
    "StoppingError",
    "Subscription",
    "SystemError",
    "TimeoutError",
    "TooManyError",
    "TrimmedError",
    "UnavailableError",
    "UnknownIdError",
    "UnknownSessionError",
    "UnsupportedError",
    "Verdict",
    "VersionError",
    "connect",
    "format_sse",
]
