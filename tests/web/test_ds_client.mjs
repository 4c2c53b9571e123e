// SPDX-License-Identifier: Apache-2.0
// The protocol's own client (@durable-streams/client): creates, appends, reads, follows and resumes, dropped before its
// first event and after it.
import assert from "node:assert/strict";
import { begin, restart } from "./ds/begin.mjs";
import { needModule, run, until } from "./stage.mjs";

const { DurableStream, IdempotentProducer } = await needModule("@durable-streams/client");
// The client's producer repeats nothing by itself, but may be given a fetch that does.
const repeating = async (...words) => {
  for (;;)
    try {
      return await fetch(...words);
    } catch {
      await new Promise((done) => setTimeout(done, 20));
    }
};
const FAST = { initialDelay: 20, maxDelay: 100, multiplier: 1.3 };

function create(stage, name, options = {}) {
  return DurableStream.create({ url: stage.url(`/v1/stream/${name}`), contentType: "application/json", backoffOptions: FAST, ...options });
}

/** Follows the stream as one reader that is told to go on after each failure, and collects. */
function follow(stream, live, items) {
  const reader = { offset: "-1", stops: false };
  const go = async () => {
    while (!reader.stops) {
      try {
        const response = await stream.stream({ offset: reader.offset, live, json: true });
        reader.response = response;
        response.subscribeJson((batch) => {
          items.push(...batch.items);
          reader.offset = batch.offset;
        });
        await response.closed;
        if (response.streamClosed) return;
      } catch (error) {
        reader.error = error; // a connection that broke in the middle
      }
    }
  };
  reader.done = go();
  return reader;
}

/** One reader that is dropped before there is anything, and after each append. */
async function followThroughDrops(stage, live) {
  const gateway = await begin(stage);
  const stream = await create(stage, "s");
  const items = [];
  const reader = follow(stream, live, items);
  await until("the reader is there", () => reader.response);
  await restart(gateway);
  await stream.append(JSON.stringify({ n: 0 }));
  await until("the first", () => items.length === 1);
  for (let n = 1; n < 4; n += 1) {
    await restart(...(n % 2 ? [stage.daemon, gateway] : [gateway]));
    await stream.append(JSON.stringify({ n }));
    await until(`the event ${n}`, () => items.length === n + 1);
  }
  await stream.close({ body: JSON.stringify({ n: 4 }) });
  await reader.done;
  await until("the last batch, which may come after the end", () => items.length >= 5);
  assert.deepEqual(items.map((item) => item.n), [0, 1, 2, 3, 4]);
}

await run({
  async createsAppendsReadsAndResumes(stage) {
    const gateway = await begin(stage);
    const stream = await create(stage, "a/b", { ttlSeconds: 3600 });
    await stream.append(JSON.stringify({ text: "one" }));
    const first = await stream.stream({ live: false });
    assert.deepEqual(await first.json(), [{ text: "one" }]);
    await restart(gateway, stage.daemon);
    await stream.append(JSON.stringify({ text: "two" }));
    const rest = await stream.stream({ live: false, offset: first.offset });
    assert.deepEqual(await rest.json(), [{ text: "two" }]);
    assert.equal((await stream.head()).offset, rest.offset);
    assert.equal((await DurableStream.head({ url: stream.url })).contentType, "application/json");
    await stream.delete();
    await assert.rejects(stream.stream({ live: false }));
  },

  async followsAnEventStreamThroughDrops(stage) {
    await followThroughDrops(stage, "sse");
  },

  async followsLongPollsThroughDrops(stage) {
    await followThroughDrops(stage, "long-poll");
  },

  async producersAppendOnceThroughDrops(stage) {
    const gateway = await begin(stage);
    const stream = await create(stage, "p");
    const failures = [];
    const onError = (error) => failures.push(error);
    const producer = new IdempotentProducer(stream, "writer", { lingerMs: 1, maxBatchBytes: 64, fetch: repeating, onError });
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    for (const n of numbers) {
      producer.append(JSON.stringify({ n }));
      if (n === 0 || n === 50) {
        await restart(gateway);
        await producer.flush();
      }
    }
    await producer.flush();
    await producer.close();
    assert.deepEqual(failures, []);
    const messages = await (await stream.stream({ live: false })).json();
    assert.deepEqual(messages.map((message) => message.n), numbers);
  },
});
