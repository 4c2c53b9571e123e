// SPDX-License-Identifier: Apache-2.0
// Processes that end in the middle of everything, each in another way and at another moment: none hangs or crashes,
// and the daemon goes on.
//   node test_exits.mjs [PROCESSES [SEED]]
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { draws, runApp, withClient } from "./kit.mjs";

const [processes = 14, seed = randomInt(1 << 30)] = process.argv.slice(2).map(Number);
console.log(`processes ${processes}, seed ${seed}`);
const any = draws(seed);

/** What an app does first: nothing waits at its end. */
const work = `
  const c = await sponson.connect({ socketDir: dir });
  const p = await c.producer();
  const none = await c.producer({ level: "none" });
  const ignore = () => {};
  const work = async () => {
    for (;;) {
      p.publish("s", { data: "x" }).catch(ignore);
      none.publish("s", { data: "y" }).catch(ignore);
      c.health().catch(ignore);
      await new Promise((done) => setTimeout(done, 1));
    }
  };
  const reading = c.subscribe("s", { otherwise: "wait" });
  const read = async () => { for await (const event of reading); };
  read().catch(ignore);
  work().catch(ignore);
  await new Promise((done) => setTimeout(done, DELAY));
`;

/** How it ends, and what its parent sees of that. */
const ends = [
  ["process.exit(4);", { status: 4, signal: null }],
  ["throw new Error('on purpose');", { status: 1, signal: null }],
  ["process.kill(process.pid, 'SIGKILL'); setInterval(ignore, 1000);", { status: null, signal: "SIGKILL" }],
  ["process.kill(process.pid, 'SIGTERM'); setInterval(ignore, 1000);", { status: null, signal: "SIGTERM" }],
  ["c.close().then(() => process.exit(5)); gc();", { status: 5, signal: null }],
  [
    "process.on('exit', () => { try { c.subscribe('t'); } catch {} }); process.exit(6);",
    { status: 6, signal: null },
  ],
  [
    `const { Worker } = await import("node:worker_threads");
     new Worker("process.exit(1)", { eval: true });
     process.exit(7);`,
    { status: 7, signal: null },
  ],
];

withClient("they end, and the daemon goes on", async (client, stage) => {
  for (let i = 0; i < processes; i++) {
    const [end, expected] = ends[i % ends.length];
    const source = work.replace("DELAY", String(any(20))) + end;
    const { status, signal, output } = await runApp(stage, source, { flags: ["--expose-gc"] });
    assert.deepEqual({ status, signal }, expected, `${end}\n${output}`);
    assert.doesNotMatch(output, /Assertion|FATAL|Segmentation/);
  }
  assert.equal((await client.health()).status, "healthy");
  assert.ok((await client.last("s")).seq > processes);
});
