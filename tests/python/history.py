# SPDX-License-Identifier: Apache-2.0
"""Was anything lost, stored twice, or put out of order? Judges what was sent and acknowledged by the dump of the
log, and what readers got by the same."""
from __future__ import annotations

import collections
from typing import Iterable


class History:
    def __init__(self) -> None:
        self.sent: dict[str, tuple[int, int, str]] = {}  # data: producer, number, session
        self.acked: set[str] = set()

    def send(self, producer: int, number: int, session: str) -> str:
        """The data of a producer's next event."""
        data = f"{producer}:{number}"
        self.sent[data] = (producer, number, session)
        return data

    def ack(self, data: str) -> None:
        """The producer was told that it is stored."""
        self.acked.add(data)

    def judge(self, dumped: Iterable[tuple[str, int, str]]) -> list[str]:
        """The troubles of a log: (session, seq, data) of its events, in its order."""
        troubles = []
        seen: set[str] = set()
        newest: dict[tuple[int, str], int] = collections.defaultdict(lambda: -1)
        seqs: dict[str, int] = collections.defaultdict(int)
        for session, seq, data in dumped:
            producer, number, sent_to = self.sent.get(data, (-1, -1, ""))
            if sent_to != session:
                troubles.append(f"foreign: {data} in {session}")
            elif data in seen:
                troubles.append(f"doubled: {data} in {session}")
            elif number < newest[producer, session]:
                troubles.append(f"reordered: {data} after {newest[producer, session]} in {session}")
            newest[producer, session] = max(number, newest[producer, session])
            seqs[session] += 1
            if seq != seqs[session]:
                troubles.append(f"misnumbered: {data} has {seq}, not {seqs[session]}")
            seen.add(data)
        troubles += [f"lost: {data}" for data in sorted(self.acked - seen)]
        return troubles


def compare(got: list[tuple[int, str]], stored: list[tuple[int, str]]) -> list[str]:
    """The troubles of a reader of one session, who should have all that is stored, once and in order."""
    if got == stored:
        return []
    first = next((i for i, pair in enumerate(zip(got, stored)) if pair[0] != pair[1]), min(len(got), len(stored)))
    return [
        f"a reader has {len(got)} of {len(stored)} events, and at {first}: {got[first:first + 2]} for "
        f"{stored[first:first + 2]}"
    ]
