// SPDX-License-Identifier: Apache-2.0
// What goes wrong in apps, again and again in one process: it neither hangs nor grows.
//   node --expose-gc test_rounds.mjs [ROUNDS [SEED]]
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { collect, draws, inTime, isSanitized, pause, sponson, until, withClient } from "./kit.mjs";

const [rounds = 300, seed = randomInt(1 << 30)] = process.argv.slice(2).map(Number);
const GC_EVERY = 25;
const GROWTH_MAX = 12 << 20; /* of a heap that breathes */
console.log(`rounds ${rounds}, seed ${seed}`);
const any = draws(seed);

const descriptors = () => readdirSync("/proc/self/fd").length;

/** Runs a fault so often; the memory and the descriptors are as after the first half. */
async function repeat(round) {
  let rss = 0,
    fds = 0;
  for (let i = 0; i < rounds; i++) {
    await inTime(`round ${i}`, round(i));
    if (i % GC_EVERY === 0) await collect();
    if (i === Math.floor(rounds / 2)) {
      await collect();
      [rss, fds] = [process.memoryUsage.rss(), descriptors()];
    }
  }
  await until("descriptors are given back", async () => {
    await collect();
    return descriptors() <= fds + 8;
  });
  const grown = process.memoryUsage.rss() - rss;
  console.log(`grown by ${(grown / (1 << 20)).toFixed(1)} MiB`);
  assert.ok(isSanitized || grown < GROWTH_MAX, `grown by ${grown} bytes`);
}

withClient("a client, its producer and its subscription are forgotten", (_, stage) =>
  repeat(async (i) => {
    const client = await sponson.connect({ socketDir: stage.directory });
    const producer = await client.producer();
    await producer.publish("s", { data: `${i}` });
    await client.subscribe("s", { from: "earliest" }).next();
  }),
);

withClient("closed twice, in any order", (_, stage) =>
  repeat(async () => {
    const client = await sponson.connect({ socketDir: stage.directory });
    const producer = await client.producer();
    const sub = client.subscribe("s", { otherwise: "wait" });
    const closes = [() => client.close(), () => producer.close(), () => sub.close()];
    const order = Array.from({ length: 6 }, () => closes[any(3)]);
    await Promise.all(order.map((close) => close()));
    for (const close of closes) await close();
  }),
);

withClient("iterators that are dropped half-way", async (client) => {
  const producer = await client.producer();
  await producer.publishMany(
    "s",
    Array.from({ length: 1000 }, (_, i) => ({ data: `${i}`.padEnd(50) })),
  );
  await repeat(async (i) => {
    const iterators = [client.subscribe("s"), client.replay("s"), client.follow(), client.sessions()];
    const iterator = iterators[i % 4];
    for (let step = any(5); step >= 0; step--) await iterator.next();
    if (any(2) === 0) await iterator.return();
    if (i % 4 !== 3) return;
    for await (const event of client.subscribe("s")) if (any(10) === 0 || event.seq > 900) break;
  });
});

withClient("aborted in the middle of an await", async (client, stage) => {
  const producer = await client.producer({ windowEvents: 4 });
  await producer.publish("s", { data: "a" });
  await repeat(async (i) => {
    const abort = new AbortController();
    const { signal } = abort;
    if (i % 50 === 0) stage.daemon.child.kill("SIGSTOP");
    const asked = [
      producer.publish("s", { data: "b" }, { signal }),
      producer.publishMany("s", [{ data: "c" }, { data: "d" }, { data: "e" }], { signal }),
      producer.flush({ signal }),
      client.last("s", { signal }),
      client.session("s", { signal }),
      client.publishOnce("s", { id: `${i}`, data: "f" }, { signal }),
      client.subscribe("never", { otherwise: "wait", signal }).next(),
      client.replay("s", { signal }).next(),
      client.producer({ signal }),
      client.health({ signal }),
    ];
    if (any(2) === 0) await pause(any(3));
    abort.abort();
    if (i % 50 === 25) stage.daemon.child.kill("SIGCONT");
    for (const { status, reason } of await Promise.allSettled(asked))
      assert.ok(status === "fulfilled" || reason === signal.reason, reason);
  });
  stage.daemon.child.kill("SIGCONT");
  await inTime("the producer goes on", producer.publish("s", { data: "end" }));
});

withClient("collected in any order, with the client first", (_, stage) =>
  repeat(async (i) => {
    let client = await sponson.connect({ socketDir: stage.directory });
    let parts = [
      await client.producer(),
      client.subscribe("s", { otherwise: "wait" }),
      client.replay("s"),
      client.follow(),
    ];
    if (i % 3 === 0) await client.close();
    if (i % 3 === 1) client = null;
    while (parts.length > 0) {
      parts.splice(any(parts.length), 1);
      if (any(8) === 0) globalThis.gc();
    }
    parts = null;
    client = null;
  }),
);

withClient("who waits is not collected, also if nobody has what it is asked of", async (client, stage) => {
  const woken = [];
  const wake = ({ value }) => woken.push(value.data);
  for (let i = 0; i < 50; i++) void client.subscribe("late", { otherwise: "wait" }).next().then(wake);
  let stored = false;
  const publish = async () => {
    const producer = await client.producer();
    stage.daemon.child.kill("SIGSTOP");
    void producer.publish("late", { data: "x" }).then(() => (stored = true));
  };
  await publish();
  await collect();
  stage.daemon.child.kill("SIGCONT");
  await until("all are woken", () => stored && woken.length === 50);
  assert.deepEqual(woken, Array(50).fill("x"));
});
