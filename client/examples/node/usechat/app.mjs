// SPDX-License-Identifier: Apache-2.0
// What is the app's own: its chats, and its model. Here you are the model: each line that you type in the terminal is
// a piece of the answer, and an empty line ends it.
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { MockLanguageModelV3 } from "ai/test";

/** By their ids: { messages, streamId }. They are in the memory of this process; an app has a database. */
export const chats = new Map();

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function* answer() {
  yield { type: "stream-start", warnings: [] };
  yield { type: "text-start", id: "1" };
  for (;;) {
    const { value: line } = await lines.next();
    if (!line) break;
    yield { type: "text-delta", id: "1", delta: `${line} ` };
  }
  yield { type: "text-end", id: "1" };
  const usage = { inputTokens: {}, outputTokens: {} };
  yield { type: "finish", finishReason: { unified: "stop", raw: "stop" }, usage };
}

export const model = new MockLanguageModelV3({
  doStream: async () => ({ stream: Readable.toWeb(Readable.from(answer())) }),
});
