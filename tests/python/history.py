# SPDX-License-Identifier: Apache-2.0
"""Was anything lost, stored twice, or put out of order? Gathers what was sent and acknowledged for history-judge, which
compares it with the log; and compares what readers got with the same log."""
from __future__ import annotations

import subprocess
from typing import Iterable

from stage import BIN


class History:
    def __init__(self) -> None:
        self.acked = 0
        self._producers = 0
        self._lines: list[str] = []

    def send(self, producer: int, number: int, session: str) -> str:
        """The data of a producer's next event."""
        self._producers = max(self._producers, producer + 1)
        self._lines.append(f"sent\t{producer}\t{number + 1}\t{session}")
        return f"#{producer}/{number + 1}# "

    def ack(self, data: str) -> None:
        """The producer was told that it is stored."""
        producer, number = data.strip("# ").split("/")
        self._lines.append(f"acked\t{producer}\t{number}\tstored")
        self.acked += 1

    def judge(self, entries: Iterable[dict]) -> None:
        """Fails on any trouble in the log's events."""
        log = [f"entry\t{e['position']}\t{e['seq']}\t{e['session']}\t{e['id']}\t{e['data']}" for e in entries]
        text = "\n".join([*self._lines, *log, ""])
        judge = [BIN / "history-judge", str(self._producers)]
        done = subprocess.run(judge, input=text, capture_output=True, text=True, check=False)
        print(done.stdout.strip())
        assert done.returncode == 0, done.stdout + done.stderr


def compare(got: list[tuple[int, str]], stored: list[tuple[int, str]]) -> list[str]:
    """The troubles of a reader of one session, who should have all that is stored, once and in order."""
    if got == stored:
        return []
    first = next((i for i, pair in enumerate(zip(got, stored)) if pair[0] != pair[1]), min(len(got), len(stored)))
    return [
        f"a reader has {len(got)} of {len(stored)} events, and at {first}: {got[first:first + 2]} for "
        f"{stored[first:first + 2]}"
    ]
