# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed again and again under producers and subscribers of both interfaces: nothing is lost, doubled
or reordered, in the log and in what each subscriber got. $SPONSON_KILLS, $SPONSON_PRODUCERS,
$SPONSON_SUBSCRIBERS."""
import asyncio
import os

import pytest

import sponson
from history import History, compare
from sponson import Event, sync
from stage import WAIT_S, aio

KILLS = int(os.environ.get("SPONSON_KILLS", "4"))
PRODUCERS = int(os.environ.get("SPONSON_PRODUCERS", "4"))
SUBSCRIBERS = int(os.environ.get("SPONSON_SUBSCRIBERS", "20"))
SESSIONS = [f"s-{i}" for i in range(5)]
# A one-shot that is sent again is a duplicate as long as its id is in the window: others publish meanwhile.
DAEMON = ("--retention-events", "0", "--retention-bytes", "0", "--window", "16384")
BETWEEN_KILLS = 300  # results, at least


class Campaign:
    def __init__(self, stage):
        self.stage = stage
        self.history = History()
        self.results = 0
        self.over = False
        self.kills = 0

    def acked(self, data):
        self.history.ack(data)
        self.results += 1

    async def publish_one_by_one(self, number):
        """Futures in flight, a hundred at most."""
        async with sponson.connect(timeout=None) as client:
            producer = await client.producer()
            count = 0
            while not self.over:
                sent = []
                for _ in range(100):
                    session = SESSIONS[count % len(SESSIONS)]
                    data = self.history.send(number, count, session)
                    sent.append((data, producer.publish(session, data, id=data)))
                    count += 1
                for data, future in sent:
                    assert (await future).result == "stored"
                    self.acked(data)

    async def publish_many(self, number):
        async with sponson.connect(timeout=None) as client:
            producer = await client.producer()
            count = 0
            while not self.over:
                session = SESSIONS[count % len(SESSIONS)]
                sent = [self.history.send(number, count + i, session) for i in range(51)]
                count += len(sent)
                for data, ack in zip(sent, await producer.publish_many(session, sent)):
                    assert ack.result == "stored"
                    self.acked(data)

    async def publish_once(self, number):
        """One-shots, which are repeated by the library: a repetition may be answered as a duplicate."""
        async with sponson.connect(timeout=None) as client:
            count = 0
            while not self.over:
                session = SESSIONS[count % len(SESSIONS)]
                data = self.history.send(number, count, session)
                assert (await client.publish(session, data, id=data)).result in ("stored", "duplicate")
                self.acked(data)
                count += 1

    def publish_and_wait(self, number):
        with sync.connect(timeout=None) as client, client.producer(timeout=None) as producer:
            count = 0
            while not self.over:
                session = SESSIONS[count % len(SESSIONS)]
                data = self.history.send(number, count, session)
                assert producer.publish(session, data, id=data).result == "stored"
                self.acked(data)
                count += 1

    async def publish_in_a_thread(self, number):
        await asyncio.to_thread(self.publish_and_wait, number)

    async def kill(self):
        for _ in range(KILLS):
            due = self.results + BETWEEN_KILLS
            while self.results < due:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(self.stage.kill)
            self.kills += 1
            await asyncio.to_thread(self.stage.start, *DAEMON)
        self.over = True


async def read(client, session):
    got = []
    async for item in client.subscribe(session, otherwise="wait"):
        if isinstance(item, Event):
            got.append((item.seq, item.data))
        assert item.kind != "gap", item
    assert item.why == "SPN_E_CLOSED", item
    return got


def read_in_a_thread(session):
    with sync.connect(timeout=None) as client:
        return [
            (item.seq, item.data) for item in client.subscribe(session, otherwise="wait") if item.kind == "event"
        ]


def check_dump(stage, history):
    log = [entry for entry in stage.dump() if "data" in entry]
    history.judge(log)
    return {name: [(entry["seq"], entry["data"]) for entry in log if entry["session"] == name] for name in SESSIONS}


@aio
async def test_nothing_is_lost_doubled_or_reordered(bare):
    bare.start(*DAEMON)
    campaign = Campaign(bare)
    ways = (campaign.publish_one_by_one, campaign.publish_many, campaign.publish_in_a_thread, campaign.publish_once)
    async with sponson.connect() as client:
        readers = [asyncio.create_task(read(client, SESSIONS[i % len(SESSIONS)])) for i in range(SUBSCRIBERS)]
        readers += [asyncio.create_task(asyncio.to_thread(read_in_a_thread, session)) for session in SESSIONS[:2]]
        await asyncio.gather(campaign.kill(), *(ways[i % len(ways)](i) for i in range(PRODUCERS)))
        for session in SESSIONS:
            await client.close_session(session)
        got = await asyncio.wait_for(asyncio.gather(*readers), WAIT_S)
    assert campaign.kills == KILLS and campaign.history.acked >= KILLS * BETWEEN_KILLS
    bare.end()
    stored = check_dump(bare, campaign.history)
    for i, one in enumerate(got[:SUBSCRIBERS]):
        assert compare(one, stored[SESSIONS[i % len(SESSIONS)]]) == []
    for i, one in enumerate(got[SUBSCRIBERS:]):
        assert compare(one, stored[SESSIONS[i]]) == []
    print(f"{campaign.kills} kills, {campaign.history.acked} events, {len(got)} readers")


def entry_of(position, session, seq, data):
    return {"position": position, "session": session, "seq": seq, "id": data, "data": data}


# That history-judge is called rightly; what it sees otherwise has tests of its own.
@pytest.mark.parametrize(
    "numbers, trouble",
    [((0, 1, 2), None), ((0, 2), "lost=1"), ((0, 1, 1, 2), "doubled=1"), ((1, 0, 2), "reordered=1")],
)
def test_the_judge(numbers, trouble):
    history = History()
    sent = [history.send(0, number, "s") for number in range(3)]
    for data in sent:
        history.ack(data)
    dumped = [entry_of(i + 1, "s", i + 1, sent[number]) for i, number in enumerate(numbers)]
    if trouble is None:
        history.judge(dumped)
    else:
        with pytest.raises(AssertionError, match=trouble):
            history.judge(dumped)


def test_the_judge_of_readers():
    stored = [(1, "a"), (2, "b"), (3, "c")]
    assert compare(stored, stored) == []
    for got in (
        stored[:2],
        stored[1:],
        stored + [(4, "d")],
        [stored[0], stored[2], stored[1]],
        stored[:1] + stored,
    ):
        assert compare(got, stored)
