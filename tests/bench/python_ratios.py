#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""python_ratios.py BUILD [--tiny]: the Python package beside the C client, in one run with one sidecar.

Each round measures both, one after the other, so that a machine that others use disturbs both. Prints the medians
and the ratios. `bare asyncio` is a future for each event that a callback ends, and nothing else: what no library
can be faster than.
"""
import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1])
TINY = "--tiny" in sys.argv[2:]
sys.path.insert(0, str(BUILD / "client" / "python" / "package"))
import sponson  # noqa: E402
from sponson import sync  # noqa: E402

ROUNDS = 1 if TINY else 7
EVENTS = 2000 if TINY else 200000
AWAITED = 1000 if TINY else 100000
ALONE = 20 if TINY else 500
READERS = 50 if TINY else 1000
FANOUTS = 2 if TINY else 20
TASKS = 64 if TINY else 4096
DATA = "x" * 256
READY_S = 60


def bench(*words):
    """The C client: its command line measures itself."""
    done = subprocess.run(
        [BUILD / "bin" / "sponson", "bench", *map(str, words), "--running", "--json"], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


# -- throughput, in events a second ----------------------------------------------------------------


def c_events():
    return bench("publish", "--count", EVENTS, "--sessions", 1, "--size", len(DATA))["events_per_second"]


async def many(client, producer):
    started = time.perf_counter()
    await producer.publish_many("many", [DATA] * EVENTS)
    return EVENTS / (time.perf_counter() - started)


async def shared_by_tasks(one):
    """Awaits `one` for each event, in so many tasks."""

    async def task():
        for _ in range(AWAITED // TASKS + 1):
            await one()

    started = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(TASKS)))
    return (AWAITED // TASKS + 1) * TASKS / (time.perf_counter() - started)


async def awaited(client, producer):
    return await shared_by_tasks(lambda: producer.publish("awaited", DATA))


async def bare_asyncio(client, producer):
    loop = asyncio.get_running_loop()
    waiting = []

    def end():
        ended = waiting[:]
        waiting.clear()
        for future in ended:
            future.set_result(None)

    def one():
        future = loop.create_future()
        if not waiting:
            loop.call_soon(end)
        waiting.append(future)
        return future

    return await shared_by_tasks(one)


def sync_sends(client, producer):
    started = time.perf_counter()
    for _ in range(EVENTS):
        producer.send("sends", DATA)
    assert producer.flush().unacknowledged == 0
    return EVENTS / (time.perf_counter() - started)


def sync_many(client, producer):
    started = time.perf_counter()
    producer.publish_many("sync-many", [DATA] * EVENTS)
    return EVENTS / (time.perf_counter() - started)


# -- latency, in microseconds ----------------------------------------------------------------------


def c_alone():
    return bench("latency", "--count", ALONE)["ack_p50_us"]


async def alone(client, producer):
    times = []
    for _ in range(ALONE):
        started = time.perf_counter()
        await producer.publish("alone", DATA)
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def sync_alone(client, producer):
    times = []
    for _ in range(ALONE):
        started = time.perf_counter()
        producer.publish("sync-alone", DATA)
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


# -- one event to many subscriptions on one loop, in microseconds until the last has it ------------


def c_fanout():
    """From the acknowledgement, to which the time until it is added."""
    got = bench("fanout", "--rounds", FANOUTS, "--subscribers", READERS, "--clients", 1, "--processes", 1)
    return got["last_p50_us"] + got["ack_p50_us"]


async def fanout(client, producer):
    """The publisher is a process of its own, as it is there, and tells when it published."""
    async with sponson.connect() as readers_client:
        left = 0
        ended = None

        async def read():
            nonlocal left
            async for item in readers_client.subscribe("fanout", start="now", otherwise="wait"):
                if item.kind == "event":
                    left -= 1
                    if left == 0:
                        ended.set_result(time.monotonic())
                elif item.kind == "caught_up":
                    ready.append(None)

        await producer.publish("fanout", DATA)
        ready = []
        tasks = [asyncio.create_task(read()) for _ in range(READERS)]
        async with asyncio.timeout(READY_S):
            while len(ready) < READERS:
                await asyncio.sleep(0.001)
        publisher = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(BUILD), "--publish", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        times = []
        for _ in range(FANOUTS):
            left = READERS
            ended = asyncio.get_running_loop().create_future()
            publisher.stdin.write(b"go\n")
            last = await ended
            times.append((last - float(await publisher.stdout.readline())) * 1e6)
        publisher.stdin.close()
        await publisher.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return statistics.median(times)


def publish_when_told():
    with sync.connect() as client, client.producer() as producer:
        for _ in sys.stdin:
            started = time.monotonic()
            producer.publish("fanout", DATA)
            print(started, flush=True)


# -- the table -------------------------------------------------------------------------------------

# (what, the C client, Python, the ratio that is wanted, whether it is the least)
ROWS = [
    ("publish_many, events/s", c_events, many, 0.25, True),
    ("one awaited future an event, events/s", c_events, awaited, 0.1, True),
    ("bare asyncio, events/s", c_events, bare_asyncio, None, True),
    ("sync send and flush, events/s", c_events, sync_sends, 0.25, True),
    ("sync publish_many, events/s", c_events, sync_many, 0.25, True),
    ("one in flight, us", c_alone, alone, 1.3, False),
    ("sync, one in flight, us", c_alone, sync_alone, 1.3, False),
    ("one event to all of the subscriptions, us", c_fanout, fanout, 3.0, False),
]


def measure(function):
    if not asyncio.iscoroutinefunction(function):
        with sync.connect() as client, client.producer() as producer:
            return function(client, producer)

    async def main():
        async with sponson.connect() as client, await client.producer() as producer:
            return await function(client, producer)

    return asyncio.run(main())


def print_row(what, c, python, wanted, least):
    ratios = sorted(there / here for here, there in zip(c, python))
    ratio = statistics.median(ratios)
    verdict = "" if wanted is None else "met" if (ratio >= wanted) == least or ratio == wanted else "missed"
    bound = "" if wanted is None else f"{'>=' if least else '<='} {wanted}"
    print(
        f"| {what} | {statistics.median(c):,.0f} | {statistics.median(python):,.0f} | {ratio:.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {bound} | {verdict} |"
    )


def compare():
    print("| what | C | Python | ratio | wanted | |\n|---|---|---|---|---|---|")
    for what, c, python, wanted, least in ROWS:
        pairs = [(c(), measure(python)) for _ in range(ROUNDS)]
        print_row(what, [pair[0] for pair in pairs], [pair[1] for pair in pairs], wanted, least)
        sys.stdout.flush()


def main():
    with tempfile.TemporaryDirectory(prefix="spn-ratios-") as home:
        os.environ.update(SPONSON_SOCKET_DIR=home, SPONSON_DATA_DIR=home)
        log = open(os.path.join(home, "log"), "wb")
        daemon = subprocess.Popen([BUILD / "bin" / "sponsond", "--retention-events", "1000"], stderr=log)
        try:
            sync.connect(timeout=30).close()
            compare()
        finally:
            daemon.terminate()
            daemon.wait()
            log.close()


if "--publish" in sys.argv:
    publish_when_told()
else:
    main()
