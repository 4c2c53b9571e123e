// SPDX-License-Identifier: Apache-2.0
// The model of this example: recorded answers. A real one would be asked over HTTP, and answer with such a stream.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const PACE_MS = 50;
const recording = readFileSync(new URL("model.sse", import.meta.url), "utf8");
const answers = recording.split(/(?<=data: \[DONE\]\n\n)/).map((answer) => answer.trimEnd().split("\n\n"));

/** The events of the answer to the last question, without the first `skip` ones. */
export async function* model(questions, skip) {
  for (const event of answers[(questions.length - 1) % answers.length].slice(skip)) {
    await sleep(PACE_MS);
    yield event;
  }
}
