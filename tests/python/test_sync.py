# SPDX-License-Identifier: Apache-2.0
"""The synchronous façade, against the real daemon."""
import gc
import random
import signal
import threading
import time

import pytest

import sponson
from sponson import Attributes, CaughtUp, Cursor, End, Event, _sync_producer, sync
from stage import WAIT_S, is_asleep


@pytest.fixture
def client(stage):
    with sync.connect() as client:
        yield client


def read(subscription, kind="caught_up", timeout=20):
    found = [subscription.next(timeout)]
    while found[-1].kind != kind:
        found.append(subscription.next(timeout))
    return found


def data_of(items):
    return [item.data for item in items if isinstance(item, Event)]


def test_publishing(client):
    with client.producer() as producer:
        assert producer.publish("s", "one", id="1") == (1, "stored", "1", None)
        assert producer.publish("s", "one", id="1").result == "duplicate"
        with pytest.raises(sponson.ConflictError):
            producer.publish("s", "two", id="1")
        with pytest.raises(sponson.ConditionError) as caught:
            producer.publish("s", "x", if_new=True)
        assert caught.value.ack.ticket == 4
        assert producer.publish("s", "x", closes=True, reason="r").id.endswith("-5")
        with pytest.raises(sponson.ClosedError):
            producer.publish("s", "x")
    assert data_of(client.replay("s")) == ["one", "x"]


def test_sending_without_waiting(client):
    producer = client.producer()
    first = producer.send("s", "a", if_new=True)
    second = producer.send("s", "b", depends=first)
    assert (producer.result(second).result, producer.result(first).result) == ("stored", "stored")
    assert producer.result(first).ticket == first  # again
    third = producer.send("s", "c", if_new=True)
    fourth = producer.send("s", "d", depends=third)
    counters = producer.flush(20)
    assert (counters.stored, counters.refused, counters.unacknowledged) == (2, 2, 0)
    with pytest.raises(sponson.DependentError):
        producer.result(fourth)
    # The results were collected meanwhile: the same of what the library does not know any more.
    with pytest.raises(sponson.DependentError):
        producer.send("s", "e", depends=third)
    fifth = producer.send("s", "f", depends=producer.send("s", "g"))
    producer.result(fifth)
    assert producer.result(producer.send("s", "h", depends=fifth - 1)).result == "stored"
    assert producer.result(producer.send("s", "i", depends=fifth)).result == "stored"
    assert data_of(client.replay("s")) == ["a", "b", "g", "f", "h", "i"]


def test_many(client):
    with client.producer() as producer:
        acks = producer.publish_many("s", (str(i) for i in range(70000)))
        assert [ack.ticket for ack in acks] == list(range(1, 70001))
        assert {ack.result for ack in acks} == {"stored"}
        with pytest.raises(sponson.BadDataError) as caught:
            producer.publish_many("t", ["a", "b\r", "c"])
        assert [ack.result for ack in caught.value.acks] == ["stored"]
    assert data_of(client.replay("t")) == ["a"]
    assert len(data_of(client.replay("s"))) == 65536  # the sidecar's default


def test_no_result_is_dropped_with_a_small_window(client):
    producer = client.producer(window_events=3)
    sent = [producer.send("a", str(i)) for i in range(100)]
    acks = producer.publish_many("b", [str(i) for i in range(1000)])
    assert [ack.ticket for ack in acks] == list(range(101, 1101))
    assert [producer.result(ticket).ticket for ticket in sent] == sent


@pytest.mark.parametrize("window_events", [3, 0])
def test_a_call_that_waits_gets_its_results(client, monkeypatch, window_events):
    """However many others there are meanwhile, and though no more are kept than that."""
    monkeypatch.setattr(_sync_producer, "KEPT_MAX", 8)
    producer = client.producer(window_events=window_events)
    failures = []

    def run(work):
        try:
            work()
        except Exception as error:  # shown by the test's own thread
            failures.append(error)

    def singles():
        for i in range(100):
            assert producer.publish("c", str(i)).result == "stored"
            with pytest.raises(sponson.ConditionError):
                producer.publish("c", "x", if_new=True)

    def several():
        for round in range(10):  # every second one is a duplicate
            events = [Event(data="x", id=f"{round}-{i // 2}") for i in range(200)]
            acks = producer.publish_many(str(threading.get_ident()), events)
            assert [ack.result for ack in acks] == ["stored", "duplicate"] * 100

    threads = [threading.Thread(target=run, args=(work,)) for work in [singles] * 4 + [several] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures and not any(thread.is_alive() for thread in threads)
    assert producer.counters().stored == 4 * 100 + 2 * 1000


def test_results_of_old_tickets_are_not_known(client, monkeypatch):
    """But those that a call waits for are."""
    monkeypatch.setattr(_sync_producer, "KEPT_MAX", 10)
    producer = client.producer(window_events=4)
    refused = producer.send("s", "x", if_seq=7)
    for i in range(40):
        producer.send("s", str(i), if_seq=None if i % 2 else 7)  # ends that differ: no run is longer than one
    producer.flush(WAIT_S)
    producer._waits[0] = refused + 36  # another thread
    known = [producer.result(ticket).result for ticket in range(refused + 32, refused + 41, 2)]
    assert known == ["stored"] * 5
    for call in (lambda: producer.result(refused), lambda: producer.send("s", "x", depends=refused)):
        with pytest.raises(sponson.InvalidError, match=f"ticket {refused}"):
            call()
    for i in range(40):
        producer.send("s", str(i), if_seq=None if i % 2 else 7)
    assert producer.result(refused + 36).result == "stored"
    del producer._waits[0]
    producer.flush(WAIT_S)
    for i in range(8):
        producer.publish("s", str(i))
    with pytest.raises(sponson.InvalidError):
        producer.result(refused + 36)
    assert len(producer._results._runs) <= 14


def test_calls_that_end_early_keep_no_results(client, stage):
    producer = client.producer()
    stage.stop()
    for call in (
        lambda: producer.publish("s", "x", timeout=0.01),
        lambda: producer.publish_many("s", list("xyz"), timeout=0.01),
        lambda: producer.result(1, timeout=0.01),
    ):
        for _ in range(5):
            with pytest.raises(sponson.TimeoutError):
                call()
    stage.go_on()
    kept = producer.send("s", "y")
    assert producer.flush(WAIT_S).stored == 21
    assert producer.result(kept).result == "stored"
    assert not producer._waits


def test_results_that_were_lost_end_the_waits_for_them(client, monkeypatch):
    """Ctrl-C came when they had been taken, and none comes after them."""
    producer = client.producer(window_events=3)
    tickets = [producer.send("s", str(i)) for i in range(3)]
    producer._client._wait(lambda: producer._core.flush() or None, WAIT_S)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(producer._results, "add", interrupt)
        producer.result(tickets[0])
    assert producer.send("s", "there is room", timeout=WAIT_S) == tickets[-1] + 1
    for ticket in tickets:
        with pytest.raises(sponson.InvalidError, match="none that is known"):
            producer.result(ticket, timeout=WAIT_S)
    assert producer.result(tickets[-1] + 1, timeout=WAIT_S).result == "stored"


class Sends:
    """Sends an event when the collector finds it."""

    def __init__(self, send):
        self.send = send
        self.cycle = self

    def __del__(self):
        self.send()


def test_a_finalizer_may_not_interrupt_the_producer_that_it_calls(client):
    """Wherever it comes: it raises, or sends; and nothing else is lost."""
    producer = client.producer()
    ends = []

    def send():
        try:
            ends.append(producer.send("s", "x"))
        except RuntimeError as error:
            ends.append(str(error))

    def work():
        for at in range(1, 100):
            gc.collect()
            gc.set_threshold(0)
            Sends(send)
            gc.set_threshold(at)
            producer.publish("s", "y", timeout=WAIT_S)
            gc.set_threshold(0)
        gc.collect()

    before = gc.get_threshold()
    thread = threading.Thread(target=work, daemon=True)
    gc.freeze()  # the collector is fast then
    try:
        thread.start()
        thread.join(WAIT_S)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert not thread.is_alive()
    refused = [end for end in ends if isinstance(end, str)]
    assert len(ends) == 99 and set(refused) == {
        "a finalizer or a signal's handler called the producer that it interrupted"
    }
    assert producer.flush(WAIT_S).stored == 99 + 99 - len(refused)


def test_the_results_that_are_known():
    """Against a dictionary, which forgets each ticket when it may."""
    for seed in range(200):
        chance = random.Random(seed)
        results = _sync_producer._Results(chance.choice([0, 5, 2**40]))
        first = results.newest + 1
        ended, needed = {}, first
        for _ in range(200):
            if chance.random() < 0.7:
                count = chance.choice([1, 1, 2, 30])
                end = chance.choice([None, ("stored", None), ("duplicate", None), ("refused", "SPN_E_CONDITION")])
                ended.update(dict.fromkeys(range(first, first + count), end))
                if end is not None:  # or Ctrl-C took them
                    results.add(first, count, *end)
                first += count
            else:
                needed = max(needed, chance.randrange(needed, first + 1))
                results.forget(needed)
                runs = {i for i in range(needed + 1, first) if ended[i] != ended[i - 1]}
                assert len(results._runs) <= len(runs) + 1, seed
            for ticket in range(needed, first + 2):
                assert results.find(ticket) == ended.get(ticket), (seed, ticket)


def test_levels_and_latest_only(client, stage):
    none = client.producer(level="none")
    assert none.publish("n", "x").result == "sent"
    assert [ack.result for ack in none.publish_many("n", ["y", "z"])] == ["sent", "sent"]
    assert none.close() == 0
    accepted = client.producer(level="accepted")
    assert accepted.publish("a", "x").result == "stored"
    latest = client.producer(latest_only=True, window_events=2)
    stage.stop()
    for i in range(100):
        latest.publish("l", str(i))
    assert latest.counters().replaced > 90
    stage.go_on()
    latest.flush(20)
    assert data_of(client.replay("l"))[-1] == "99"


def test_without_room_it_waits_until_the_timeout(client, stage):
    producer = client.producer(window_events=2)
    stage.stop()
    for i in range(2):
        producer.send("s", str(i))
    started = time.monotonic()
    with pytest.raises(sponson.TimeoutError):
        producer.send("s", "late", timeout=0.05)
    assert 0.05 <= time.monotonic() - started < 5
    stage.go_on()
    assert producer.publish("s", "2").result == "stored"
    assert data_of(client.replay("s")) == ["0", "1", "2"]


def test_reading(client):
    with client.producer() as producer:
        producer.publish_many("s", [Event(data=str(i), id=f"i{i}") for i in range(5)])
        life = client.last("s").life
        for how, expected in (
            ({}, 5),
            ({"after": "i2"}, 2),
            ({"after": Cursor(life, 4)}, 1),
            ({"start": "now"}, 0),
        ):
            assert len(data_of(read(client.subscribe("s", **how)))) == expected
        with client.subscribe("s") as items:
            found = read(items)
            assert isinstance(found[-1], CaughtUp)
            with pytest.raises(sponson.TimeoutError):
                items.next(0.02)
            producer.close_session("s", reason="over")
            rest = list(items)
            assert isinstance(rest[-1], End) and rest[-1].reason == "over"
        log = read(client.follow())
        assert [item.kind for item in log][:3] == ["verdict", "open", "event"]
        assert read(client.follow(after=log[2].cursor))[1].event.data == "1"
    with pytest.raises(sponson.UnknownSessionError):
        list(client.replay("none"))


def test_questions_and_one_shots(client):
    done = client.publish("s", "x", id="1", if_new=True)
    assert (done.result, done.seq) == ("stored", 1)
    with pytest.raises(sponson.ConditionError) as caught:
        client.publish("s", "y", id="2", if_new=True)
    assert caught.value.ack.life == done.life
    assert client.set_attributes("s", Attributes(content_type="a/b", note=b"n")).result == "stored"
    info = client.session("s")
    assert (info.session.content_type, info.note, client.last("s").id) == ("a/b", b"n", "1")
    assert client.touch("s").result == "stored"
    assert [each.name for each in client.sessions()] == ["s"]
    assert client.health().status == "healthy" and client.stats()["sponson_events_durable_total"] > 0
    assert client.close_session("s", reason="r").state == "closed"
    assert client.delete_session("s", life=done.life).result == "stored"
    producer = client.producer()
    producer.set_attributes("t", Attributes(ttl_ms=10000))
    assert producer.touch("t").result == producer.close_session("t").result == "stored"
    assert producer.delete_session("t").result == "stored"
    assert (producer.committed, client.data_max, client.closed) == (0, 4 * 1024 * 1024, False)


def test_many_threads_wait_for_one_client(client):
    """Each has its own session and its own waits; one of them only waits."""
    idle = client.subscribe("idle", otherwise="wait")
    idler = threading.Thread(target=lambda: list(idle))
    idler.start()
    failures = []

    def work(number):
        try:
            producer = client.producer(timeout=60)
            items = client.subscribe(f"s-{number}", otherwise="wait")
            for i in range(100):
                producer.publish(f"s-{number}", str(i), timeout=60)
                while (item := items.next(60)).kind != "event":
                    pass
                assert item.data == str(i)
                assert client.last(f"s-{number}", timeout=60).seq == i + 1
        except Exception as error:  # shown by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures and not any(thread.is_alive() for thread in threads)
    idle.close()
    idler.join(20)
    assert not idler.is_alive()


@pytest.mark.parametrize("what", ["subscription", "client"])
def test_closing_wakes_whoever_waits(stage, what):
    """By itself: not when the client is stepped again for another reason, such as a heartbeat."""
    for _ in range(10):
        client = sync.connect()
        items = client.subscribe("none", otherwise="wait") if what == "subscription" else None
        client.health()
        wait = items.next if items else lambda: client._wait(lambda: client._core.ready() and None, None)
        ended = []

        def work():
            with pytest.raises((StopIteration, sponson.InvalidError)):
                wait()
            ended.append(client._core.turns)

        thread = threading.Thread(target=work)
        thread.start()
        while not is_asleep(thread):
            pass
        turns = client._core.turns
        (items or client).close()
        thread.join(30)
        if ended == [turns]:
            return
    raise AssertionError("each time the client was stepped first")


class Handled(Exception):
    """Raised by the handler of a signal."""


def raise_handled(number, frame):
    raise Handled


def test_a_signal_that_another_thread_gets_interrupts_a_wait(client):
    """By itself: Python handles it in its main thread, whose poll it did not interrupt."""
    items = client.subscribe("none", otherwise="wait")
    main = threading.main_thread()
    before = signal.signal(signal.SIGUSR1, raise_handled)
    turns = []

    def work():
        while not is_asleep(main):
            pass
        turns.append(client._core.turns)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    try:
        for _ in range(5):
            client.health()
            thread = threading.Thread(target=work)
            thread.start()
            with pytest.raises(Handled):
                items.next(WAIT_S)
            thread.join()
            if client._core.turns == turns[-1]:
                return
    finally:
        signal.signal(signal.SIGUSR1, before)
    raise AssertionError("each time the client was stepped first")


def test_closing_ends_the_waits_of_other_threads(stage):
    client = sync.connect()
    failures = []

    def wait(items):
        with pytest.raises(sponson.InvalidError) as caught:
            items.next()
        failures.append(caught.value)

    threads = [threading.Thread(target=wait, args=(client.subscribe("none", otherwise="wait"),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    client.health()
    client.close()
    client.close()
    for thread in threads:
        thread.join(20)
    assert len(failures) == 5
    with pytest.raises(sponson.InvalidError):
        client.health()


def test_without_a_sidecar(bare):
    with pytest.raises(sponson.TimeoutError, match="no sidecar is answering"):
        sync.connect(timeout=0.05)
    with pytest.raises(sponson.UnavailableError):
        sync.connect(at_once=True)
    with sync.connect(timeout=0) as client:
        with pytest.raises(sponson.TimeoutError):
            client.health(timeout=0.05)
        bare.start()
        assert client.health(timeout=20).status == "healthy"
        producer = client.producer(timeout=20)
        producer.send("s", "0")
        bare.kill()
        producer.send("s", "1")
        bare.start()
        assert producer.flush(30).stored == 2
        assert producer.close() == 0 and producer.close() == 0
