# SPDX-License-Identifier: Apache-2.0
"""The exceptions: one class for each error code of the library, all of them Errors.

Their names follow from the codes: SPN_E_UNKNOWN_SESSION is UnknownSessionError. A test compares them with the
list in the library.
"""
from __future__ import annotations

import builtins
from typing import ClassVar

from . import _sponson
from ._records import Ack, Published


class Error(Exception):
    """What went wrong: `code` is its name in the library, and str() describes it for a person.

    An event that was not stored raises too. `ack` is its result then; of publish_many, `acks` has those of all
    of its events up to the first that was not taken.
    """

    code: ClassVar[str] = ""
    ack: Ack | Published | None = None
    acks: list[Ack] | None = None


class ConflictError(Error):
    """The session has another event with this id: the data, the type, or whether it closes, is different."""

    code = "SPN_CONFLICT"


class NomemError(Error, MemoryError):
    """Out of memory."""

    code = "SPN_E_NOMEM"


class InvalidError(Error, ValueError):
    """Invalid argument."""

    code = "SPN_E_INVALID"


class SystemError(Error):
    """System call failed."""

    code = "SPN_E_SYSTEM"


class TimeoutError(Error, builtins.TimeoutError):
    """Timed out."""

    code = "SPN_E_TIMEOUT"


class UnavailableError(Error):
    """No sidecar is answering."""

    code = "SPN_E_UNAVAILABLE"


class BackpressureError(Error):
    """The in-flight window is full."""

    code = "SPN_E_BACKPRESSURE"


class EndError(Error):
    """No more items."""

    code = "SPN_E_END"


class ForkedError(Error):
    """Used in a forked child of the process that opened it."""

    code = "SPN_E_FORKED"


class TooManyError(Error):
    """Too many events or questions are waiting."""

    code = "SPN_E_TOO_MANY"


class ProtocolError(Error):
    """Not a valid message of this protocol."""

    code = "SPN_E_PROTOCOL"


class VersionError(Error):
    """Protocol version not supported."""

    code = "SPN_E_VERSION"


class UnsupportedError(Error):
    """Not offered by this sidecar."""

    code = "SPN_E_UNSUPPORTED"


class StaleTokenError(Error):
    """Producer token is not known."""

    code = "SPN_E_STALE_TOKEN"


class FencedError(Error):
    """Another client has opened this producer id."""

    code = "SPN_E_FENCED"


class DeniedError(Error):
    """Not taken on this socket."""

    code = "SPN_E_DENIED"


class BadSessionError(Error, ValueError):
    """Session id is not 1-255 bytes of UTF-8 without control characters."""

    code = "SPN_E_BAD_SESSION"


class BadIdError(Error, ValueError):
    """Event id is empty, too long, or has a NUL, CR or LF."""

    code = "SPN_E_BAD_ID"


class BadTypeError(Error, ValueError):
    """Event type has a NUL, CR or LF, or is too long."""

    code = "SPN_E_BAD_TYPE"


class BadDataError(Error, ValueError):
    """Event data has a CR, which an event stream cannot carry."""

    code = "SPN_E_BAD_DATA"


class EventTooLargeError(Error):
    """Event is larger than the limit."""

    code = "SPN_E_EVENT_TOO_LARGE"


class BadNoteError(Error, ValueError):
    """Note is too large."""

    code = "SPN_E_BAD_NOTE"


class BadReasonError(Error, ValueError):
    """Reason is too long, not plain text, or the sidecar's own."""

    code = "SPN_E_BAD_REASON"


class BadAttributesError(Error, ValueError):
    """Session attributes are too large or invalid."""

    code = "SPN_E_BAD_ATTRIBUTES"


class BadPrefixError(Error, ValueError):
    """Prefix is too long or not UTF-8."""

    code = "SPN_E_BAD_PREFIX"


class BadPositionError(Error):
    """Position is not of this log."""

    code = "SPN_E_BAD_POSITION"


class UnknownSessionError(Error):
    """No such session."""

    code = "SPN_E_UNKNOWN_SESSION"


class UnknownIdError(Error):
    """No such event id in the session."""

    code = "SPN_E_UNKNOWN_ID"


class OtherLifeError(Error):
    """The session has another life now."""

    code = "SPN_E_OTHER_LIFE"


class TrimmedError(Error):
    """Requested events are no longer retained."""

    code = "SPN_E_TRIMMED"


class ClosedError(Error):
    """The session is closed."""

    code = "SPN_E_CLOSED"


class DeletedError(Error):
    """The session was deleted or has expired."""

    code = "SPN_E_DELETED"


class LostError(Error):
    """Accepted, but lost before it was durable."""

    code = "SPN_E_LOST"


class ConditionError(Error):
    """A condition of the entry does not hold."""

    code = "SPN_E_CONDITION"


class DependentError(Error):
    """The entry it depends on was refused."""

    code = "SPN_E_DEPENDENT"


class IoError(Error):
    """Storage failed."""

    code = "SPN_E_IO"


class DiskFullError(Error):
    """No room left on the disk."""

    code = "SPN_E_DISK_FULL"


class CorruptError(Error):
    """Damaged data."""

    code = "SPN_E_CORRUPT"


class NewerFormatError(Error):
    """Database has a newer format than this program knows."""

    code = "SPN_E_NEWER_FORMAT"


class InUseError(Error):
    """Already in use by another process."""

    code = "SPN_E_IN_USE"


class PathError(Error):
    """Path is missing, too long or not accessible."""

    code = "SPN_E_PATH"


class StoppingError(Error):
    """The sidecar is stopping."""

    code = "SPN_E_STOPPING"


class LimitError(Error):
    """A limit of the sidecar is reached."""

    code = "SPN_E_LIMIT"


class QuotaFullError(Error):
    """The quota is reached and nothing can be deleted."""

    code = "SPN_E_QUOTA_FULL"


class GoneError(Error):
    """The database was removed or replaced while it was in use."""

    code = "SPN_E_GONE"


class OlderFormatError(Error):
    """Database has an older format than this program reads."""

    code = "SPN_E_OLDER_FORMAT"


_BY_CODE = {each.code: each for each in Error.__subclasses__()}
BY_NUMBER = {number: _BY_CODE[name] for name, number, _ in _sponson.ERRORS if name in _BY_CODE}
_TEXTS = {name: text for name, _, text in _sponson.ERRORS}
STORED = ("stored", "duplicate", "sent")  # the results that are no errors


def error_of(code: str) -> Error:
    """The exception of a code, described by its text in the library."""
    return _BY_CODE.get(code, Error)(_TEXTS.get(code, code))


def error_of_result(ack: Ack | Published) -> Error | None:
    """Why an event was not stored; None: it is stored."""
    if ack.result in STORED:
        return None
    error = ConflictError("the session has another event with this id") if ack.code is None else error_of(ack.code)
    error.ack = ack
    return error
