// SPDX-License-Identifier: Apache-2.0
// node_client: client/node beside the C client (`sponson bench`), one after the other on one daemon, so often.
//   node node_client.mjs BIN PACKAGE [ROUNDS [tiny]]
// BIN has sponsond and sponson, PACKAGE is the package's directory. Prints an object: of each measure the medians
// of both, and `ratio`, Node's figure divided by C's. Node's time ends when the promises are resolved.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Stage } from "../web/stage.mjs";

const [bin, packageDirectory, rounds = "5", tiny] = process.argv.slice(2);
const few = tiny === "tiny";
const EVENTS = few ? 2000 : 200_000,
  SINGLES = few ? 20 : 500,
  READERS = few ? 20 : 1000,
  FANS = few ? 2 : 100;
const SIZE = 256,
  SESSIONS = 100,
  BATCH = 2000;

const sponson = await import(join(packageDirectory, "index.mjs"));
const stage = await Stage.open(bin);
await stage.startDaemon();
const client = await sponson.connect({ socketDir: stage.directory });
const data = "x".repeat(SIZE);
let number = 0;
const fresh = () => `node-${number++}`;

function bench(...words) {
  const { status, stdout, stderr } = spawnSync(join(bin, "sponson"), [
    "bench",
    ...words,
    "--json",
    ...stage.socketWords,
  ]);
  if (status !== 0) throw new Error(`sponson bench ${words[0]}: ${stderr}`);
  return JSON.parse(stdout);
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const usOf = (nanoseconds) => Number(nanoseconds) / 1000;
const now = () => process.hrtime.bigint();

/** Many events, as promises of publishMany; and each as a promise of its own. */
async function eventsPerSecond(publish) {
  const producer = await client.producer();
  const sessions = Array.from({ length: SESSIONS }, fresh);
  const begin = now();
  await publish(producer, sessions);
  const seconds = Number(now() - begin) / 1e9;
  await producer.close();
  return EVENTS / seconds;
}
const inBatches = (producer, sessions) => {
  const all = [];
  for (let i = 0; i < EVENTS; i += BATCH)
    all.push(
      producer.publishMany(
        sessions[(i / BATCH) % SESSIONS],
        Array.from({ length: BATCH }, () => ({ data })),
      ),
    );
  return Promise.all(all);
};
const oneByOne = (producer, sessions) => {
  const all = [];
  for (let i = 0; i < EVENTS; i++) all.push(producer.publish(sessions[i % SESSIONS], { data }));
  return Promise.all(all);
};

async function latencyUs() {
  const producer = await client.producer();
  const session = fresh();
  const times = [];
  for (let i = 0; i < SINGLES; i++) {
    const begin = now();
    await producer.publish(session, { data });
    times.push(usOf(now() - begin));
  }
  await producer.close();
  return median(times);
}

/** From publishing an event until the last of its readers has it. */
async function fanoutUs() {
  const producer = await client.producer();
  const session = fresh();
  await producer.setSession(session, {});
  const readers = Array.from({ length: READERS }, () => client.subscribe(session));
  const times = [];
  for (let i = 0; i < FANS; i++) {
    const all = Promise.all(readers.map((reader) => reader.next()));
    const begin = now();
    await Promise.all([producer.publish(session, { data }), all]);
    times.push(usOf(now() - begin));
  }
  await Promise.all(readers.map((reader) => reader.close()));
  await producer.close();
  return median(times);
}

const publishWords = ["publish", `--count=${EVENTS}`, `--size=${SIZE}`, `--sessions=${SESSIONS}`];
const fanoutWords = [
  "fanout",
  `--rounds=${FANS}`,
  `--size=${SIZE}`,
  `--subscribers=${READERS}`,
  "--clients=1",
  "--processes=1",
];
/** Its times begin with the acknowledgement. */
const fanoutOf = (result) => result.ack_p50_us + result.last_p50_us;
const measures = {
  batches_per_second: [() => bench(...publishWords).events_per_second, () => eventsPerSecond(inBatches)],
  singles_per_second: [() => bench(...publishWords).events_per_second, () => eventsPerSecond(oneByOne)],
  latency_us: [() => bench("latency", `--count=${SINGLES}`, `--size=${SIZE}`).ack_p50_us, latencyUs],
  fanout_us: [() => fanoutOf(bench(...fanoutWords)), fanoutUs],
};
const figures = {};
for (const [name, sides] of Object.entries(measures)) {
  const got = [[], []];
  for (let round = 0; round < Number(rounds); round++)
    for (const [side, measure] of sides.entries()) got[side].push(await measure());
  const [c, node] = got.map(median);
  figures[name] = { c, node, ratio: node / c };
}
console.log(JSON.stringify(figures));
await client.close();
await stage.close();
