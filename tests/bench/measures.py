# SPDX-License-Identifier: Apache-2.0
"""One function per figure. Each measures once, on servers of its own, and returns what was found.

A Lab runs them, keeps what they found and gives the medians. Figures that are compared with each
other are measured in turn, so that what else happens on the machine meets both.
"""
import dataclasses
import statistics
import time

from http_servers import (Gateway, Nchan, Reference, browser, free_port, need_nchan,
                          need_reference)
from servers import Failed, NotAvailable, Redis, Sidecar, has_redis, run_json

DATA_BYTES = 256
IN_FLIGHT = 16384  # of one client, and what the bare limit is given too
BIG = "--quota=32G"  # for databases that the default quota would not hold


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is done for a figure."""
    runs: int
    publish: int         # events at full speed
    redis: int           # the same for Redis, which is slower
    new_sessions: int
    latency: int         # events, one in flight
    one_each: int        # events of 50 producers, one in flight each
    rate_s: float        # how long a rate is offered
    replay: int          # events of the session that is read: no more than are retained
    replay_of_1000: int  # the same where 999 others lie between
    rounds: int
    subscribers: int
    shared: int          # subscriptions that share one client
    many_sessions: int
    known_sessions: int
    hot_sessions: int
    log_events: int      # what a start finds
    log_sessions: int
    load_s: float        # how long it is loaded before it is killed
    idle_s: float
    http_readers: int    # of one session, over HTTP
    http_rounds: int
    http_posts: int
    http_messages: int   # to a browser
    reference_posts: int # the same for the reference server, which is much slower
    quota: str           # for the steady state
    combinations: tuple  # clients and pipeline depths for Redis
    batches: tuple       # for the bare limit
    plot_sessions: tuple
    plot_rates: tuple


FULL = Sizes(
    runs=5, publish=2_000_000, redis=500_000, new_sessions=1_000_000, latency=5000,
    one_each=100_000, rate_s=10, replay=50_000, replay_of_1000=3000, rounds=50, subscribers=1000,
    shared=10_000, many_sessions=100_000, known_sessions=1_000_000, hot_sessions=10_000,
    log_events=10_000_000, log_sessions=1_000_000, load_s=3, idle_s=60, http_readers=5000,
    http_rounds=30, http_posts=50_000, http_messages=400, reference_posts=2000, quota="512M",
    combinations=tuple((c, p) for c in (1, 4, 16, 50) for p in (16, 128, 512, 1024)),
    batches=(16, 64, 256, 1024, 4096), plot_sessions=(1, 10, 100, 1000, 10_000, 100_000),
    plot_rates=(1000, 5000, 10_000, 25_000, 50_000, 100_000, 200_000, 400_000))

QUICK = dataclasses.replace(
    FULL, runs=1, publish=1_000_000, redis=200_000, latency=2000, one_each=30_000, rate_s=4,
    replay_of_1000=1000, rounds=20, many_sessions=100_000, log_events=1_000_000,
    log_sessions=100_000, load_s=2, idle_s=10, http_rounds=10, http_posts=20_000,
    http_messages=200, reference_posts=1000,
    combinations=((4, 128), (16, 128), (16, 1024), (50, 16), (50, 128)),
    plot_sessions=(1, 100, 10_000, 100_000), plot_rates=(1000, 10_000, 50_000, 100_000, 200_000))

# So that a test can run all of it. No figure of it means anything.
TINY = dataclasses.replace(
    QUICK, publish=2000, redis=2000, new_sessions=1000, latency=20, one_each=200, rate_s=0.02,
    replay=200, replay_of_1000=2, rounds=2, subscribers=4, shared=8, many_sessions=50,
    known_sessions=200, hot_sessions=20, log_events=1000, log_sessions=50, load_s=0.1, idle_s=0.1,
    http_readers=20, http_rounds=2, http_posts=100, http_messages=5, reference_posts=50, quota="4M",
    combinations=((2, 16),), batches=(64,), plot_sessions=(1, 10), plot_rates=(20_000,))


def payload(lab, stream):
    return {"file": lab.stream} if stream else {"size": DATA_BYTES}


# -- publishing --------------------------------------------------------------------------------

def publish(lab, sessions, stream=False, count=None, **more):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("publish", sessions=sessions, count=count or lab.sizes.publish,
                             **payload(lab, stream), **more)


def best_of(lab, name, combinations, run):
    """Which settings are best is looked for once; then they are measured like everything else."""
    if name not in lab.best:
        tried = [(run(*combination)["events_per_second"], combination)
                 for combination in combinations]
        lab.best[name] = max(tried)[1]
        lab.say(f"{name}: best with {lab.best[name]}")
    return run(*lab.best[name])


def bare_publish(lab):
    def run(batch):
        return run_json([lab.bin / "bare_limit", "publish", DATA_BYTES, batch, lab.sizes.publish,
                         IN_FLIGHT], env=lab.env)
    return best_of(lab, "the bare limit's batch", [(b,) for b in lab.sizes.batches], run)


def redis_xadd(lab, clients, pipeline, keys=1000, stream=False, count=None, **more):
    with Redis(lab) as redis:
        return redis.load("xadd", clients=clients, pipeline=pipeline, keys=keys,
                          count=count or lab.sizes.redis, **payload(lab, stream), **more)


def redis_publish(lab, keys=1000, stream=False, count=None):
    why = has_redis(lab)
    if why:
        raise NotAvailable(why)
    return best_of(lab, "Redis's clients and pipeline", lab.sizes.combinations,
                   lambda clients, pipeline: redis_xadd(lab, clients, pipeline, keys, stream, count))


def new_sessions(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("sessions", count=lab.sizes.new_sessions)


# -- latency -----------------------------------------------------------------------------------

def latency(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("latency", count=lab.sizes.latency)


def one_shot(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("oneshot", count=lab.sizes.latency)


def bare_latency(lab):
    found = run_json([lab.bin / "bare_limit", "latency", DATA_BYTES, lab.sizes.latency],
                     env=lab.env)
    found["sum_p50_us"] = found["commit_p50_us"] + found["round_trip_p50_us"]
    return found


def one_each(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("publish", producers=50, in_flight=1, sessions=50,
                             count=lab.sizes.one_each)


def one_shot_each(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("oneshot", producers=50, count=lab.sizes.one_each)


def bare_one_each(lab):
    return run_json([lab.bin / "bare_limit", "each", DATA_BYTES, 50, lab.sizes.one_each],
                    env=lab.env)


def redis_one_each(lab):
    why = has_redis(lab)
    if why:
        raise NotAvailable(why)
    return redis_xadd(lab, 50, 1, keys=50, count=lab.sizes.one_each)


def offered(lab, rate):
    return publish(lab, 1000, count=max(1, int(rate * lab.sizes.rate_s)), rate=rate)


def redis_offered(lab, rate):
    why = has_redis(lab)
    if why:
        raise NotAvailable(why)
    return redis_xadd(lab, 4, IN_FLIGHT // 4, count=max(1, int(rate * lab.sizes.rate_s)), rate=rate)


# -- reading -----------------------------------------------------------------------------------

def replay(lab, others, count):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("replay", others=others, count=count)


def redis_xrange(lab):
    why = has_redis(lab)
    if why:
        raise NotAvailable(why)
    with Redis(lab) as redis:
        return redis.load("xrange", keys=1, count=lab.sizes.replay)


def fanout(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("fanout", rounds=lab.sizes.rounds, subscribers=lab.sizes.subscribers)


def follow(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("follow", sessions=1000, count=lab.sizes.publish)


def fanout_shared(lab):
    with Sidecar(lab) as sidecar:
        return sidecar.bench("fanout", rounds=lab.sizes.rounds, subscribers=lab.sizes.shared,
                             clients=1)


# -- over HTTP ---------------------------------------------------------------------------------

def http_fanout(lab, size):
    """Nothing is on disk before nchan has given it to its readers, so one commit is not counted."""
    commit = bare_latency(lab)["commit_p50_us"]
    with Sidecar(lab) as sidecar, Gateway(lab, sidecar) as gateway:
        found = gateway.fanout("/v1/sessions/s?from=now", "/v1/sessions/s", size=size,
                               readers=lab.sizes.http_readers, rounds=lab.sizes.http_rounds)
        return {**found, "commit_p50_us": commit,
                "less_commit_us": max(0.0, found["last_p50_us"] - commit)}


def nchan_fanout(lab, size):
    need_nchan()
    with Nchan(lab) as nchan:
        return nchan.fanout("/read", "/write", size=size, readers=lab.sizes.http_readers,
                            rounds=lab.sizes.http_rounds)


def http_post(lab):
    with Sidecar(lab) as sidecar, Gateway(lab, sidecar, free_port()) as gateway:
        return gateway.load("post", gateway.at, "/v1/sessions/s", size=DATA_BYTES,
                            count=lab.sizes.http_posts)


def reference_post(lab):
    need_reference()
    with Reference(lab) as reference:
        return reference.load("post", reference.at, "/v1/stream/s", size=DATA_BYTES, put=1,
                              count=lab.sizes.reference_posts)


def http_browser(lab):
    return browser(lab, 1, lab.sizes.http_messages)


# -- memory, start, idle -----------------------------------------------------------------------

def memory_per_session(lab):
    """A full window of 128 ids each. What does not grow with sessions (queues, both generations) is
    made to stand before, with 1,000 others."""
    sessions = lab.sizes.many_sessions
    with Sidecar(lab, BIG) as sidecar:
        sidecar.bench("publish", sessions=1000, count=min(1_200_000, sessions * 128), size=16)
        before = sidecar.rss_anon()
        sidecar.bench("publish", sessions=sessions, count=sessions * 128, size=16)
        return {"bytes": (sidecar.rss_anon() - before) / sessions, "sessions": sessions}


def memory_idle(lab):
    """Known sessions are on disk; hot ones have a tracker in memory. Idle is a sidecar whose index is
    complete: by default that is a minute after the last event, here a second."""
    known, hot = lab.sizes.known_sessions, lab.sizes.hot_sessions
    with Sidecar(lab, BIG, f"--hot-sessions={hot}", "--row-interval=1000") as sidecar:
        sidecar.bench("sessions", count=known)
        return {"mb": settled_rss(sidecar, lab) / 1e6, "known": known, "hot": hot}


def settled_rss(sidecar, lab):
    time.sleep(min(3.0, lab.sizes.idle_s))
    return sidecar.rss_anon()


def start_warm(lab):
    sizes = lab.sizes
    with Sidecar(lab, BIG) as sidecar:
        sidecar.bench("publish", sessions=sizes.log_sessions, count=sizes.log_events)
        sidecar.stop()
        return {"seconds": sidecar.start(), "events": sizes.log_events,
                "sessions": sizes.log_sessions}


def start_after_kill(lab):
    """Killed while a client publishes as fast as it goes, on top of a log as large as start_warm's."""
    sizes = lab.sizes
    with Sidecar(lab, BIG) as sidecar:
        sidecar.bench("publish", sessions=sizes.log_sessions, count=sizes.log_events)
        load = lab.start(sidecar.command("publish", sessions=1000, count=4_000_000_000))
        time.sleep(sizes.load_s)
        sidecar.kill()
        load.kill()
        load.wait()
        return {"seconds": sidecar.start(), "events": sizes.log_events,
                "sessions": sizes.log_sessions}


def idle(lab):
    with Sidecar(lab) as sidecar:
        time.sleep(min(1.0, lab.sizes.idle_s))
        before = sidecar.wake_ups()
        time.sleep(lab.sizes.idle_s)
        return {"per_s": (sidecar.wake_ups() - before) / lab.sizes.idle_s,
                "mb": sidecar.rss_anon() / 1e6, "over_s": lab.sizes.idle_s}


def write_amplification(lab):
    """Past the quota the oldest must go as fast as new ones come."""
    with Sidecar(lab, f"--quota={lab.sizes.quota}") as sidecar:
        unit = {"M": 1 << 20, "G": 1 << 30}[lab.sizes.quota[-1]]
        fill = int(lab.sizes.quota[:-1]) * unit // DATA_BYTES
        before = sidecar.written()
        first = sidecar.bench("publish", sessions=1000, count=fill // 4)
        untrimmed = (sidecar.written() - before) / (first["events"] * DATA_BYTES)
        sidecar.bench("publish", sessions=1000, count=fill)
        before, passed_before = sidecar.written(), sidecar.passed()
        steady = sidecar.bench("publish", sessions=1000, count=2 * fill)
        payload = steady["events"] * DATA_BYTES
        return {"ratio": (sidecar.written() - before) / payload,
                "passed": (sidecar.passed() - passed_before) / payload,
                "untrimmed": untrimmed, "quota": lab.sizes.quota, "events": steady["events"],
                "events_per_second": steady["events_per_second"]}


# -- all of them -------------------------------------------------------------------------------

# Those of one row are compared, and measured in turn.
GROUPS = (
    {"publish_1000": lambda lab: publish(lab, 1000),
     "publish_many": lambda lab: publish(lab, lab.sizes.many_sessions),
     "bare_publish": bare_publish,
     "redis_publish": redis_publish,
     "publish_stream": lambda lab: publish(lab, 1000, stream=True),
     "redis_stream": lambda lab: redis_publish(lab, stream=True)},
    {"new_sessions": new_sessions,
     "redis_new": lambda lab: redis_publish(lab, keys=lab.sizes.new_sessions)},
    {"latency": latency, "one_shot": one_shot, "bare_latency": bare_latency},
    {"one_each": one_each, "one_shot_each": one_shot_each, "redis_one_each": redis_one_each,
     "bare_one_each": bare_one_each},
    {"offered_50000": lambda lab: offered(lab, 50_000)},
    {"replay_9": lambda lab: replay(lab, 9, lab.sizes.replay),
     "replay_0": lambda lab: replay(lab, 0, lab.sizes.replay),
     "replay_999": lambda lab: replay(lab, 999, lab.sizes.replay_of_1000),
     "redis_xrange": redis_xrange},
    {"fanout": fanout},
    {"follow": follow},
    {"fanout_shared": fanout_shared},
    {"http_fanout": lambda lab: http_fanout(lab, 100),
     "nchan_fanout": lambda lab: nchan_fanout(lab, 100)},
    {"http_fanout_16k": lambda lab: http_fanout(lab, 16384),
     "nchan_fanout_16k": lambda lab: nchan_fanout(lab, 16384)},
    {"http_post": http_post, "reference_post": reference_post},
    {"http_browser": http_browser},
    {"memory_per_session": memory_per_session},
    {"memory_idle": memory_idle},
    {"start_warm": start_warm, "start_after_kill": start_after_kill},
    {"idle": idle},
    {"write_amplification": write_amplification},
)


def median_of(runs):
    """Of each figure that is a number in all of them."""
    found = dict(runs[-1])
    for key, value in found.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[key] = statistics.median(run[key] for run in runs)
    return found


def run_group(lab, group):
    """Name -> median, or why there is none."""
    runs = {name: [] for name in group}
    failed = {}
    for _ in range(lab.sizes.runs):
        for name, measure in group.items():
            if name in failed:
                continue
            lab.say(name)
            try:
                runs[name].append(lab.quiet.measure(lambda: measure(lab)))
            except (NotAvailable, Failed) as why:
                failed[name] = why
    return {name: failed.get(name) or median_of(found) for name, found in runs.items()}
