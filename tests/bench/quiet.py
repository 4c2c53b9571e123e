# SPDX-License-Identifier: Apache-2.0
"""Who else used the processors while something was measured?

On a machine that others use, too, a figure is worth little unless one knows. With patience a measurement
waits for a quiet moment, and is repeated when somebody came in between. A virtual machine may become
slower without anybody being seen: so a processor's own speed is looked at, too.
"""
import hashlib
import os
import resource
import time

QUIET_SHARE = 0.05     # of all processors, before
DISTURBED_SHARE = 0.2  # and meanwhile: the kernel's own threads write to the disk for us, too
LOOK_S = 0.5
QUIET_S = 2
TICK = os.sysconf("SC_CLK_TCK")


def busy_s():
    """Seconds that all processors have worked, and those that they lost to other virtual machines."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICK


def own_s():
    """Seconds that we have worked, and the processes that we have waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def speed():
    """Megabytes that one processor hashes in a second, just now."""
    block = bytes(1 << 20)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        hashlib.sha256(block).digest()
        best = max(best, len(block) / 1e6 / (time.perf_counter() - started))
    return best


class Quiet:
    def __init__(self, patience_s, say):
        self.left_s = patience_s
        self.say = say
        self.shares = []  # of others, one per measurement
        self.speeds = []  # of a processor, before each

    def wait(self):
        """Until nobody has worked for a while, or patience ends."""
        since = started = time.monotonic()
        while self.left_s > time.monotonic() - started and time.monotonic() - since < QUIET_S:
            before, at = busy_s(), time.monotonic()
            time.sleep(LOOK_S)
            share = (busy_s() - before) / (os.cpu_count() * (time.monotonic() - at))
            if share > QUIET_SHARE:
                since = time.monotonic()
        self.left_s -= time.monotonic() - started

    def measure(self, run):
        """What run() finds, and under "others_share" how much others worked meanwhile."""
        while True:
            self.wait()
            self.speeds.append(speed())
            started, busy, own = time.monotonic(), busy_s(), own_s()
            found = run()
            took = time.monotonic() - started
            others = max(0.0, busy_s() - busy - (own_s() - own))
            share = others / (os.cpu_count() * took)
            if share <= DISTURBED_SHARE or self.left_s <= 0:
                self.shares.append(share)
                return {**found, "others_share": share}
            self.left_s -= took
            self.say(f"again: others used {share:.0%} of the processors")
