# SPDX-License-Identifier: Apache-2.0
"""Bad input: the language's own error, with the argument's name; and one class for each code of the library."""
import asyncio
import pathlib
import re

import pytest

import sponson
from sponson import _errors, _sponson, sync
from stage import aio

HEADER = pathlib.Path(__file__).parents[2] / "proto" / "spn_err.h"
E = sponson.Event

# (what is called, its arguments, the exception, what its text begins with)
PRODUCER = [
    ("publish", (5, "x"), {}, TypeError, "session: expected str or bytes, not int"),
    ("publish", (None, "x"), {}, TypeError, "session: expected str or bytes, not NoneType"),
    ("publish", ("s", 5), {}, TypeError, "data: expected str or bytes, not int"),
    ("publish", ("s", {"data": "x"}), {}, TypeError, "data: expected str or bytes, not dict"),
    ("publish", ("s", "x"), {"id": 5}, TypeError, "id: expected str or bytes, not int"),
    ("publish", ("s", "x"), {"type": 5}, TypeError, "type: expected str or bytes, not int"),
    ("publish", ("s", "x"), {"note": 5}, TypeError, "note: expected str or bytes, not int"),
    ("publish", ("s", "x"), {"retry_ms": "5"}, TypeError, "retry_ms: expected int, not str"),
    ("publish", ("s", "x"), {"retry_ms": 1.5}, TypeError, "retry_ms: expected int, not float"),
    ("publish", ("s", "x"), {"retry_ms": True}, TypeError, "retry_ms: expected int, not bool"),
    ("publish", ("s", "x"), {"retry_ms": -1}, ValueError, "retry_ms: expected 0 to 4294967294, not -1"),
    ("publish", ("s", "x"), {"retry_ms": 2**32 - 1}, ValueError, "retry_ms: expected 0 to 4294967294"),
    ("publish", ("s", "x"), {"retry_ms": 10**30}, ValueError, "retry_ms: expected 0 to 4294967294"),
    ("publish", ("s", "x"), {"if_new": "yes"}, TypeError, "if_new: expected bool, not str"),
    ("publish", ("s", "x"), {"if_seq": "1"}, TypeError, "if_seq: expected int, not str"),
    ("publish", ("s", "x"), {"if_seq": -1}, ValueError, "if_seq: expected 0 to"),
    ("publish", ("s", "x"), {"life": 5}, TypeError, "life: expected str or None, not int"),
    ("publish", ("s", "x"), {"life": "5"}, ValueError, "life: expected 32 hexadecimal digits, not '5'"),
    ("publish", ("s", "x"), {"life": ""}, ValueError, "life: expected 32 hexadecimal digits, not ''"),
    ("publish", ("s", "x"), {"closes": 2}, TypeError, "closes: expected bool, not int"),
    ("publish", ("s", "x"), {"reason": 5}, TypeError, "reason: expected str or bytes, not int"),
    ("publish", ("s", "x"), {"depends": "5"}, TypeError, "depends: expected"),
    ("publish", ("s", E(data="x")), {"id": "5"}, TypeError, "id: data is an Event"),
    ("publish", ("s", E(data="x")), {"retry_ms": 5}, TypeError, "retry_ms: data is an Event"),
    ("publish", ("s", E("other")), {}, ValueError, "kind: expected one of event, marker, reset, not 'other'"),
    ("publish", ("s", E(5)), {}, TypeError, "kind: expected str, not int"),
    ("publish", ("s", E(data=5)), {}, TypeError, "data: expected str or bytes, not int"),
    ("publish", ("s", E(resets_id=5)), {}, TypeError, "resets_id: expected bool, not int"),
    ("publish", ("s", E("marker")), {}, sponson.InvalidError, ""),
    ("publish", ("", "x"), {}, sponson.BadSessionError, "session id"),
    ("publish", ("a\nb", "x"), {}, sponson.BadSessionError, "session id"),
    ("publish", (b"\xff", "x"), {}, sponson.BadSessionError, "session id"),
    ("publish", ("s", "x\ry"), {}, sponson.BadDataError, "event data"),
    ("publish", ("s", "x\ud800"), {}, ValueError, "data: has a surrogate"),
    ("publish", ("s", "\ud800" * 70000), {}, ValueError, "data: has a surrogate"),
    ("publish", ("s", E(data="\udfff")), {}, ValueError, "data: has a surrogate"),
    ("publish", ("\ud800", "x"), {}, ValueError, "session: has a surrogate"),
    ("publish", ("s", "x"), {"id": "\ud800"}, ValueError, "id: has a surrogate"),
    ("publish", ("s", "x"), {"type": "\ud800"}, ValueError, "type: has a surrogate"),
    ("publish", ("s", "x"), {"life": "\ud800"}, ValueError, "life: has a surrogate"),
    ("publish", ("s", "x"), {"closes": True, "reason": "\ud800"}, ValueError, "reason: has a surrogate"),
    ("publish_many", ("s", ["\ud800"]), {}, ValueError, "data: has a surrogate"),
    ("publish", ("s", "x"), {"id": "a\nb"}, sponson.BadIdError, "event id"),
    ("publish", ("s", "x"), {"id": "i" * 4097}, sponson.BadIdError, "event id"),
    ("publish", ("s", "x"), {"type": "a\nb"}, sponson.BadTypeError, "event type"),
    ("publish", ("s", "x"), {"note": b"n" * 513}, sponson.BadNoteError, "note"),
    ("publish", ("s", "x"), {"closes": True, "reason": "idle"}, sponson.BadReasonError, "reason"),
    ("publish", ("s", "x" * (4 * 1024 * 1024 + 1)), {}, sponson.EventTooLargeError, "event data has"),
    ("publish_many", ("s", "abc"), {}, TypeError, "events: expected several of them, not str"),
    ("publish_many", ("s", 5), {}, TypeError, "events: "),
    ("publish_many", ("s", [5]), {}, TypeError, "data: expected str or bytes, not int"),
    ("publish_many", (5, ["x"]), {}, TypeError, "session: expected str or bytes, not int"),
    ("close_session", (5,), {}, TypeError, "session: expected str or bytes, not int"),
    ("close_session", ("s",), {"reason": b"\xff"}, sponson.BadReasonError, "reason"),
    ("delete_session", ("s",), {"life": "x"}, ValueError, "life: "),
    ("touch", ("s",), {"if_seq": None, "life": 1}, TypeError, "life: "),
    ("set_attributes", ("s", {}), {}, TypeError, "attributes: expected Attributes, not dict"),
    ("set_attributes", ("s", sponson.Attributes(ttl_ms=-1)), {}, ValueError, "ttl_ms: expected 0 to"),
    ("set_attributes", ("s", sponson.Attributes(content_type=1)), {}, TypeError, "content_type: expected str"),
    ("set_attributes", ("s", sponson.Attributes(note=b"n" * 4097)), {}, sponson.BadAttributesError, ""),
]

CLIENT = [
    ("last", (5,), {}, TypeError, "session: expected str or bytes, not int"),
    ("last", ("",), {}, sponson.BadSessionError, "session id"),
    ("session", (None,), {}, TypeError, "session: expected str or bytes, not NoneType"),
    (
        "publish",
        ("s", "x"),
        {"id": "1", "level": "high"},
        ValueError,
        "level: expected one of none, accepted, durable",
    ),
    ("publish", ("s", "x"), {"id": "1", "level": 2}, TypeError, "level: expected str, not int"),
    ("publish", ("s", 5), {"id": "1"}, TypeError, "data: expected str or bytes, not int"),
    ("publish", ("s", E(data="x", id="1")), {"type": "t"}, TypeError, "type: data is an Event"),
    ("publish", ("s", "x"), {"id": "1", "if_new": True, "if_seq": 1}, sponson.InvalidError, ""),
    ("producer", ("x" * 16,), {}, TypeError, "id: expected bytes, not str"),
    ("producer", (b"short",), {}, ValueError, "id: expected 16 bytes, not 5"),
    ("producer", (), {"level": "high"}, ValueError, "level: expected one of"),
    ("producer", (), {"window_bytes": "1"}, TypeError, "window_bytes: expected int, not str"),
    ("producer", (), {"window_events": -1}, ValueError, "window_events: expected 0 to"),
    ("producer", (), {"window_events": 2**30}, sponson.InvalidError, ""),
    ("producer", (), {"latest_only": 1}, TypeError, "latest_only: expected bool, not int"),
    ("subscribe", (5,), {}, TypeError, "session: expected str or bytes, not int"),
    ("subscribe", ("s",), {"after": 5}, TypeError, "after: expected an id or a Cursor, not int"),
    ("subscribe", ("s",), {"after": "\ud800"}, ValueError, "after: has a surrogate"),
    ("subscribe", ("s",), {"after": ""}, sponson.BadIdError, "event id is empty"),
    ("subscribe", ("s",), {"after": sponson.Cursor("x", 1)}, ValueError, "after: expected 32 hexadecimal digits"),
    ("subscribe", ("s",), {"after": sponson.Cursor("0" * 32, 1)}, sponson.InvalidError, ""),
    ("subscribe", ("s",), {"after": sponson.Cursor("1" * 32, -1)}, ValueError, "after: expected 0 to"),
    ("subscribe", ("s",), {"after": "1", "start": "now"}, ValueError, "start: not together with after"),
    ("subscribe", ("s",), {"start": "later"}, ValueError, "start: expected 'earliest' or 'now'"),
    ("subscribe", ("s",), {"otherwise": "hope"}, ValueError, "otherwise: expected one of fail, restart, wait"),
    ("subscribe", ("s",), {"otherwise": None}, TypeError, "otherwise: expected str, not NoneType"),
    ("subscribe", ("s",), {"window_bytes": -1}, ValueError, "window_bytes: expected 0 to"),
    ("follow", (), {"after": "x"}, TypeError, "after: expected a LogCursor, not str"),
    ("follow", (), {"after": sponson.LogCursor(b"x", 1)}, ValueError, "after: expected 16 bytes, not 1"),
    ("follow", (), {"after": sponson.LogCursor("x", 1)}, TypeError, "after: expected bytes, not str"),
    ("follow", (), {"start": "here"}, ValueError, "start: expected"),
    ("follow", (), {"touches": "no"}, TypeError, "touches: expected bool, not str"),
    ("follow", (), {"prefix": 5}, TypeError, "prefix: expected str or bytes, not int"),
    ("follow", (), {"prefix": b"\xff"}, sponson.BadPrefixError, "prefix"),
]

CONNECT = [
    ((5,), {}, TypeError, "socket_dir: expected a path, not int"),
    (("a\0b",), {}, ValueError, "socket_dir: has a NUL"),
    (("x" * 200,), {}, sponson.PathError, ""),
    ((), {"timeout": "1"}, TypeError, "timeout: expected seconds or None, not str"),
    ((), {"timeout": -1}, ValueError, "timeout: expected 0 or more seconds"),
    ((), {"timeout": float("nan")}, ValueError, "timeout: expected 0 or more seconds"),
    ((), {"at_once": "x"}, TypeError, "at_once: expected bool, not str"),
    ((), {"send_hwm": -1}, ValueError, "send_hwm: expected 0 to"),
    ((), {"send_hwm": 2**31}, ValueError, "send_hwm: expected 0 to"),
    ((), {"read_bytes_max": 5}, sponson.InvalidError, ""),
    ((), {"questions_max": "x"}, TypeError, "questions_max: expected int, not str"),
    ((), {"other": 1}, TypeError, ""),
]


def check(row, error):
    name, kind, text = row[0], row[-2], row[-1]
    assert type(error) is kind, (name, row, repr(error))
    assert str(error).startswith(text), (name, row, repr(error))


async def failure_of(call, arguments, named):
    """Of the call, or of what it returns."""
    try:
        result = call(*arguments, **named)
        if asyncio.iscoroutine(result) or isinstance(result, asyncio.Future):
            await result
    except Exception as error:
        return error
    return None


@aio
async def test_asyncio(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        for owner, table in ((producer, PRODUCER), (client, CLIENT)):
            for row in table:
                check(row, await failure_of(getattr(owner, row[0]), row[1], row[2]))
        assert (await producer.publish("s", "still works")).ticket == 1
        with pytest.raises(ValueError, match="depends: not an earlier event of this producer"):
            producer.publish("s", "x", depends=asyncio.get_running_loop().create_future())
        for value in ("1", -1):
            check(
                ("aclose", type(value), ValueError if value == -1 else TypeError, "timeout: expected"),
                await failure_of(client.aclose, (value,), {}),
            )
        with pytest.raises(TypeError, match="prefix: expected"):
            [each async for each in client.sessions(5)]
        with pytest.raises(TypeError, match="after: expected"):
            [each async for each in client.sessions("", 5)]
    for arguments, named, kind, text in CONNECT:

        async def connect():
            await sponson.connect(*arguments, **named)

        check((named, kind, text), await failure_of(connect, (), {}))


def test_sync(stage):
    with sync.connect() as client:
        producer = client.producer()
        for owner, table in ((producer, PRODUCER), (client, CLIENT)):
            for row in table:
                if "depends" not in row[2]:
                    with pytest.raises(row[3]) as caught:
                        getattr(owner, row[0])(*row[1], **row[2])
                    check(row, caught.value)
        for value, kind in (("1", TypeError), (-1, ValueError), (True, TypeError)):
            with pytest.raises(kind, match="timeout: expected"):
                client.last("s", timeout=value)
        with pytest.raises(TypeError, match="depends: expected int, not str"):
            producer.send("s", "x", depends="5")
        with pytest.raises(TypeError, match="ticket: expected int, not str"):
            producer.result("5")
        assert producer.publish("s", "still works").ticket == 1
    for arguments, named, kind, text in CONNECT:
        with pytest.raises(kind) as caught:
            sync.connect(*arguments, **named)
        check((named, kind, text), caught.value)


@aio
async def test_two_tasks_may_not_wait_for_one_subscription(stage):
    async with sponson.connect() as client:
        items = client.subscribe("s", otherwise="wait")
        first = asyncio.create_task(items.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task waits"):
            await items.__anext__()
        first.cancel()


def test_every_code_of_the_library_is_a_class():
    in_header = re.findall(r'X\((E_\w+), +(\d+), +"(.*)"\)', HEADER.read_text())
    assert len(in_header) > 40
    assert [("SPN_" + name, int(number), text) for name, number, text in in_header] == _sponson.ERRORS[1:]
    for code, number, text in _sponson.ERRORS[1:]:
        name = "".join(word.capitalize() for word in code[len("SPN_E_") :].split("_")) + "Error"
        kind = getattr(sponson, name)
        assert issubclass(kind, sponson.Error) and (kind.code, kind.__name__) == (code, name)
        assert _errors.BY_NUMBER[number] is kind and name in sponson.__all__
        assert str(_errors.error_of(code)) == text and type(_errors.error_of(code)) is kind
    assert set(_errors.BY_NUMBER) == {number for _, number, _ in _sponson.ERRORS[1:]}
    for kind, base in (
        (sponson.TimeoutError, TimeoutError),
        (sponson.InvalidError, ValueError),
        (sponson.BadIdError, ValueError),
        (sponson.NomemError, MemoryError),
    ):
        assert issubclass(kind, base)


def test_texts():
    with pytest.raises(sponson.InvalidError, match="not a cursor"):
        sponson.Cursor.parse("spn:x:1")
    with pytest.raises(TypeError, match="text: expected str or bytes"):
        sponson.Cursor.parse(5)
    with pytest.raises(ValueError, match="life: expected 32"):
        str(sponson.Cursor("x", 1))
    life = "0123456789abcdef" * 2
    assert str(sponson.Cursor(life, 7)) == f"spn:{life}:7"
    assert sponson.Cursor.parse(f"spn:{life}:7") == (life, 7)


def test_event_streams():
    text = b": comment\nid: 1\nevent: t\ndata: a\ndata: b\n\nid: 2\n\nretry: 5\ndata: \xff\n\nid\ndata: r\n\n"
    for size in (1, 7, len(text)):
        parser = sponson.SseParser()
        events = [event for at in range(0, len(text), size) for event in parser.feed(text[at : at + size])]
        assert [(e.kind, e.id, e.type, e.data, e.retry_ms, e.resets_id) for e in events] == [
            ("event", "1", "t", "a\nb", None, False),
            ("marker", "2", "", "", None, False),
            ("event", "", "", "\udcff", 5, False),
            ("event", "", "", "r", None, True),
        ]
        assert parser.last_id == ""
        assert list(sponson.SseParser().feed(b"".join(map(sponson.format_sse, events)))) == events
    parser = sponson.SseParser(event_max=1000)
    large = b"data: " + b"x" * 2000 + b"\n\ndata: next\n\n"
    with pytest.raises(sponson.EventTooLargeError):
        list(parser.feed(large))
    assert [e.data for e in parser.feed(b"")] == ["next"]
    half = parser.feed(b"data: 1\n\ndata: 2\n\n")
    assert next(half).data == "1"
    assert [e.data for e in parser.feed(b"data: 3\n\n")] == ["2", "3"]
    with pytest.raises(TypeError, match="data: expected bytes, not str"):
        parser.feed("data: x\n\n")
    with pytest.raises(TypeError, match="event_max: expected int"):
        sponson.SseParser("x")
    with pytest.raises(sponson.BadDataError):
        sponson.format_sse("a\rb")
    assert sponson.format_sse("x") == b"data: x\n\n"
