// SPDX-License-Identifier: Apache-2.0
// Producers and subscribers in this process while the daemon is killed -9 again and again: nothing is lost, doubled
// or reordered. The log is judged by history-judge, and what each subscriber got is compared with the log.
//   node test_kills.mjs [PRODUCERS [SUBSCRIBERS [KILLS [SEED]]]]
// Subscribers go away in the middle, and come back after the last event that they got.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { draws, inTime, pause, sponson, staged } from "./kit.mjs";

const [producers = 2, subscribers = 20, kills = 4, seed = randomInt(1 << 30)] = process.argv.slice(2).map(Number);
const SESSIONS = 8,
  CLIENTS = 2,
  BURST = 25,
  LEAVES_ONE_IN = 400;
console.log(`producers ${producers}, subscribers ${subscribers}, kills ${kills}, seed ${seed}`);
const any = draws(seed);
const sessionOf = (number) => `s${number % SESSIONS}`;

class Campaign {
  lines = []; /* for history-judge */
  isOver = false;
  stored = 0;
  left = 0;

  async produce(client, number) {
    const producer = await client.producer();
    const waiting = [];
    for (let count = 1; !this.isOver;) {
      for (let i = 0; i < BURST; i++, count++) waiting.push(this.publish(producer, number, count));
      if (waiting.length > 40 * BURST) await Promise.all(waiting.splice(0, BURST));
      await pause(1 + any(4));
    }
    await Promise.all(waiting);
  }

  async publish(producer, number, count) {
    const session = sessionOf(any(SESSIONS));
    this.lines.push(`sent\t${number}\t${count}\t${session}`);
    const { result } = await producer.publish(session, { data: `#${number}/${count}# ..` });
    this.lines.push(`acked\t${number}\t${count}\t${result === "stored" ? "stored" : "not"}`);
    this.stored++;
  }

  /** All events of a session, as one who comes back gets them. */
  async subscribe(client, number) {
    const got = [];
    let last = null;
    for (let isOver = false; !isOver;) {
      const start = last === null ? {} : any(2) === 0 ? { after: last.id } : { cursor: last.cursor };
      isOver = true;
      for await (const event of client.subscribe(sessionOf(number), { ...start, otherwise: "wait" })) {
        assert.equal(event.missing, 0);
        assert.equal(event.seq, got.length + 1);
        got.push(event.data);
        last = event;
        if (any(LEAVES_ONE_IN) === 0) {
          this.left++;
          isOver = false;
          break;
        }
      }
    }
    return got;
  }
}

async function killAgainAndAgain(stage) {
  for (let i = 0; i < kills; i++) {
    await pause(50 + any(250));
    await stage.daemon.kill();
    await pause(any(50));
    await stage.daemon.start();
  }
  await pause(100);
}

async function dump(stage) {
  const child = spawn(join(stage.bin, "sponson"), ["dump", `--data-dir=${stage.path("data")}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const entries = [];
  for await (const line of createInterface({ input: child.stdout })) entries.push(JSON.parse(line));
  assert.deepEqual(await ended, [0, null]);
  return entries.filter((entry) => entry.kind === "event");
}

function judge(stage, campaign, log) {
  const entries = log.map(
    ({ position, seq, session, id, data }) => `entry\t${position}\t${seq}\t${session}\t${id}\t${data}`,
  );
  const input = [...campaign.lines, ...entries, ""].join("\n");
  const { status, stdout, stderr } = spawnSync(join(stage.bin, "history-judge"), [`${producers}`], { input });
  console.log(stdout.toString().trim());
  assert.equal(status, 0, stderr.toString());
}

staged(
  "nothing is lost, doubled or reordered",
  async (stage) => {
    const campaign = new Campaign();
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => sponson.connect({ socketDir: stage.directory })),
    );
    const clientOf = (number) => clients[number % CLIENTS];
    const reading = Promise.all(Array.from({ length: subscribers }, (_, i) => campaign.subscribe(clientOf(i), i)));
    const sending = Promise.all(Array.from({ length: producers }, (_, i) => campaign.produce(clientOf(i), i)));
    await Promise.race([killAgainAndAgain(stage), reading, sending]);
    campaign.isOver = true;
    await inTime("all have a result", sending);
    for (let i = 0; i < SESSIONS; i++) await clients[0].closeSession(sessionOf(i));
    const got = await inTime("all is read", reading);
    await Promise.all(clients.map((client) => client.close()));
    await stage.daemon.kill("SIGTERM");
    const log = await dump(stage);
    judge(stage, campaign, log);
    for (let i = 0; i < subscribers; i++)
      assert.deepEqual(
        got[i],
        log.filter((entry) => entry.session === sessionOf(i)).map((entry) => entry.data),
      );
    assert.ok(campaign.stored > kills * BURST && (campaign.left > 0 || subscribers < 20));
    console.log(`${campaign.stored} events, ${campaign.left} times a subscriber left and came back`);
  },
  ["--retention-events=0", "--retention-bytes=0"],
);
