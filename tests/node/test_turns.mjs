// SPDX-License-Identifier: Apache-2.0
// No call into the addon takes long, and the loop of the app does not stand still: with everything under load, and
// with the daemon stopped.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pause, packageFile, sponson, withClient } from "./kit.mjs";

const CALL_MS = 5,
  DELAY_MS = 5,
  LOAD_MS = 1500,
  LINES = 40,
  TRIES = 3;
const native = createRequire(import.meta.url)(packageFile("sponson.node"));

const clock = createRequire(import.meta.url)(join(process.env.SPONSON_BIN, "thread_clock.node"));

/** The call that took the most CPU time of this thread. */
const longest = { ms: 0, name: "" };
function measure(prototype, name) {
  const call = prototype[name];
  prototype[name] = function (...values) {
    const before = clock.now();
    try {
      return call.apply(this, values);
    } finally {
      const ms = clock.now() - before;
      if (ms > longest.ms) Object.assign(longest, { ms, name });
    }
  };
}
for (const Class of [native.Client, native.Producer, native.Reader, native.Question, native.Sse])
  for (const name of Object.getOwnPropertyNames(Class.prototype))
    if (name !== "constructor") measure(Class.prototype, name);

/** On a machine that others use too, something may take longer than it needs; what is too long is so each time.
 *  check: resolves with what is wrong, or with nothing. */
async function inTries(check) {
  let trouble;
  for (let i = 0; i < TRIES; i++) if (!(trouble = await check())) return;
  assert.fail(trouble);
}

async function load(client, ms) {
  const producers = await Promise.all([1, 2, 3].map(() => client.producer()));
  const until = Date.now() + ms;
  const readers = Array.from({ length: LINES }, async (_, i) => {
    for await (const event of client.subscribe(`s${i % 10}`, { otherwise: "wait" }))
      if (event.data === "end") break;
  });
  const follow = (async () => {
    for await (const item of client.follow()) if (item.data === "end" && item.session === "s9") break;
  })();
  await Promise.all(
    producers.map(async (producer, number) => {
      for (let i = 0; Date.now() < until; i++) {
        const events = Array.from({ length: 2000 }, (_, j) => ({ data: `${j}`.padEnd(number === 0 ? 2000 : 60) }));
        await producer.publishMany(`s${i % 10}`, events);
      }
    }),
  );
  await producers[0].publish("big", { data: "x".repeat(4 << 20) });
  for (let i = 0; i < 10; i++) await producers[0].publish(`s${i}`, { data: "end" });
  const wide = sponson.formatEvent({ data: "€".repeat(1 << 20) });
  assert.equal(new sponson.SseParser().push(wide)[0].data.length, 1 << 20);
  await Promise.all([...readers, follow]);
  for await (const session of client.sessions()) assert.ok(session.seq > 0);
  await client.stats();
}

withClient("each call into the addon is short", (client) =>
  inTries(async () => {
    longest.ms = 0;
    await load(client, LOAD_MS);
    console.log(`longest call: ${longest.name}, ${longest.ms.toFixed(2)} ms`);
    return longest.ms > 0 && longest.ms < CALL_MS ? "" : `${longest.name} took ${longest.ms} ms`;
  }),
);

/** The delay of the loop at p99, in milliseconds, while an app that is paced does its work. */
async function delayWhile(client, work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const ignore = () => {};
  const producer = await Promise.race([client.producer(), pause(50).then(() => null)]);
  delay.enable();
  for (const due = Date.now() + LOAD_MS; Date.now() < due;) {
    work(producer).catch(ignore);
    client.health({ signal: AbortSignal.timeout(100) }).catch(ignore);
    await pause(2);
  }
  delay.disable();
  return delay.percentile(99) / 1e6;
}

withClient("the loop is as quick with the daemon stopped as with it running", async (client, stage) => {
  const kept = await client.producer();
  const work = async () => kept.publish("s", { data: "x".repeat(1000) }, { signal: AbortSignal.timeout(500) });
  await inTries(async () => {
    const running = await delayWhile(client, work);
    stage.daemon.child.kill("SIGSTOP");
    const stopped = await delayWhile(client, work);
    stage.daemon.child.kill("SIGCONT");
    const words = `delay at p99: running ${running.toFixed(2)} ms, stopped ${stopped.toFixed(2)} ms`;
    console.log(words);
    return stopped <= running + DELAY_MS ? "" : words;
  });
});
