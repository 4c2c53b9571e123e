# SPDX-License-Identifier: Apache-2.0
"""What the library returns and takes, as named tuples. The extension fills them: it compares their fields with its
own list when the package is imported.

A life is a session from its opening to its end: 32 hexadecimal digits, or "" if it is not known. Times that end
with _ms are milliseconds; since 1970, if they are no spans. Text that is not UTF-8 has lone surrogates
("surrogateescape"),
and becomes the same bytes again when it is published.
"""
from __future__ import annotations

from typing import Literal, NamedTuple, Union

from . import _sponson

Level = Literal["none", "accepted", "durable"]
Otherwise = Literal["fail", "restart", "wait", "restart+wait"]
State = Literal["live", "closed", "damaged"]
Result = Literal["stored", "duplicate", "conflict", "refused", "lost", "sent"]


class Cursor(NamedTuple):
    """Names one event of one life of a session, here and in every copy. seq 0 is before the first event."""

    life: str
    seq: int

    def __str__(self) -> str:
        return _sponson.format_cursor(self.life, self.seq)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The reverse of str(); InvalidError if it is not a cursor's text."""
        return cls(*_sponson.parse_cursor(text))


class LogCursor(NamedTuple):
    """A position in the log of one database: see Client.follow."""

    database: bytes
    position: int


class Event(NamedTuple):
    """A server-sent event, or a marker or reset, which has no data. The sidecar fills in what follows the note."""

    kind: Literal["event", "marker", "reset"] = "event"
    id: str = ""
    type: str = ""
    data: str = ""
    retry_ms: int | None = None
    resets_id: bool = False
    note: bytes = b""
    seq: int = 0
    position: int = 0
    life: str = ""
    time_ms: int = 0
    closes: bool = False
    reason: str = ""

    @property
    def cursor(self) -> Cursor:
        """Where a subscription goes on after this event."""
        return Cursor(self.life, self.seq)


class Verdict(NamedTuple):
    """The first item: where a subscription begins. why: None, or SPN_E_TRIMMED, SPN_E_UNKNOWN_ID,
    SPN_E_OTHER_LIFE."""

    kind: Literal["verdict"]
    why: str | None
    missing: int
    seq: int
    life: str
    newest: int
    state: State
    reason: str
    id: str
    start: Literal["earliest", "id", "seq", "now", "position"]
    after: str
    after_life: str
    after_seq: int
    database: bytes


class Gap(NamedTuple):
    """Events that were trimmed before they could be delivered: `missing`, of the log positions first to last."""

    kind: Literal["gap"]
    missing: int
    seq: int
    life: str
    first: int
    last: int
    database: bytes


class CaughtUp(NamedTuple):
    """What was the newest when the subscription began has been delivered."""

    kind: Literal["caught_up"]
    seq: int
    life: str
    database: bytes


class End(NamedTuple):
    """The last item. why: SPN_E_CLOSED (all is delivered), SPN_E_DELETED, SPN_E_UNKNOWN_SESSION and others."""

    kind: Literal["end"]
    why: str
    missing: int
    seq: int
    life: str
    newest: int
    state: State
    reason: str
    database: bytes


class Attributes(NamedTuple):
    """What holds of a session beside its events. 0: the sidecar's time to live; never closed for being idle."""

    ttl_ms: int = 0
    idle_close_ms: int = 0
    content_type: str = ""
    note: bytes = b""


class Entry(NamedTuple):
    """An entry of the log. Each has an event; only that of an event or a marker has data. seq is the position."""

    kind: Literal["event", "marker", "reset", "open", "close", "delete", "expire", "attributes", "touch"]
    session: str
    life: str
    seq: int
    missing: int
    event: Event
    reason: str
    attributes: Attributes | None
    database: bytes

    @property
    def cursor(self) -> LogCursor:
        """Where follow goes on after this entry."""
        return LogCursor(self.database, self.seq)


Item = Union[Event, Verdict, Gap, CaughtUp, End]
LogItem = Union[Entry, Verdict, Gap, CaughtUp, End]


class Options(NamedTuple):
    """Conditions of an entry, and whether an event closes its session."""

    if_new: bool = False
    if_seq: int | None = None
    life: str | None = None
    depends: int = 0
    closes: bool = False
    reason: str = ""


class Ack(NamedTuple):
    """How an event of a producer ended: "stored" or "duplicate"; "sent" where no result comes (see Producer)."""

    ticket: int
    result: Result
    id: str
    code: str | None


class Published(NamedTuple):
    """What became of an event without a producer, and where its session stands."""

    result: Result
    code: str | None
    state: State
    life: str
    seq: int
    position: int
    id: str


class Last(NamedTuple):
    """Where a session stands: the id in force after its newest event, and that event's numbers."""

    id: str
    seq: int
    life: str
    position: int
    time_ms: int
    state: State

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.life, self.seq)


class Session(NamedTuple):
    """A session in the list."""

    name: str
    last_id: str
    life: str
    epoch: int
    seq: int
    markers: int
    position: int
    bytes: int
    opened_ms: int
    last_ms: int
    duplicates: int
    conflicts: int
    state: State
    reason: str
    content_type: str
    ttl_ms: int
    idle_close_ms: int


class SessionInfo(NamedTuple):
    """All that is known of one session."""

    session: Session
    first_seq: int
    markers: int
    life_first_seq: int
    note: bytes


class Health(NamedTuple):
    """The sidecar's state."""

    status: Literal["healthy", "degraded", "stopping"]
    reason: str
    version: str
    pid: int
    instance: int
    uptime_ms: int
    durable: int
    checkpoint: int


class Counters(NamedTuple):
    """What a producer has counted."""

    taken: int
    stored: int
    duplicates: int
    conflicts: int
    refused: int
    lost: int
    resent: int
    backpressure: int
    unacknowledged: int
    pending: int
    replaced: int


RECORDS: dict[str, type] = {
    each.__name__: each
    for each in (
        Event,
        Verdict,
        Gap,
        CaughtUp,
        End,
        Entry,
        Attributes,
        Options,
        Published,
        Last,
        Session,
        SessionInfo,
        Health,
        Counters,
    )
}
