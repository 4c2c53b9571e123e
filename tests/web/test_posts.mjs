// SPDX-License-Identifier: Apache-2.0
// POSTs through nginx while the gateway is killed again and again: what was answered with 2xx is there afterwards,
// and a POST that is repeated with its Idempotency-Key, or with its own ids, is stored once.
//   node test_posts.mjs [SECONDS [SEED]]
// Nobody holds the gateway's socket: while there is no gateway, nginx is refused.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { draws } from "./draws.mjs";
import { needNginx, startNginx } from "./recipes.mjs";
import { pause, run } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const [seconds = 6, seed = randomInt(1 << 30)] = process.argv.slice(2).map(Number);
const POSTERS = 12, SESSIONS = 4;

/** The kinds of POST: a body for the events' data, and the headers that make it safe to repeat. */
const KINDS = [
  (data) => ({ events: [data], headers: {}, body: data, repeats: false }),
  (data) => ({ events: [data], headers: { "idempotency-key": data }, body: data, repeats: true }),
  (data) => {
    const events = [0, 1, 2].map((index) => `${data}.${index}`);
    const body = JSON.stringify(events.map((each) => ({ data: each })));
    const headers = { "idempotency-key": data, "content-type": "application/json" };
    return { events, headers, body, repeats: true };
  },
  (data) => {
    const events = [0, 1, 2].map((index) => `${data}.${index}`);
    const body = async (request) => {
      for (const each of events) {
        request.write(`id: ${each}\ndata: ${each}\n\n`);
        await pause(3);
      }
      request.end();
    };
    return { events, headers: { "content-type": "text/event-stream" }, body, repeats: true };
  },
];

class Campaign {
  constructor(server, key) {
    Object.assign(this, { server, key, isOver: false, kills: 0, posts: 0, failed: 0, met: 0, events: [] });
  }

  async post(session, { headers, body }) {
    const kills = this.kills;
    const all = { ...headers, authorization: `Bearer ${sign(this.key, session, "w", 3600)}` };
    this.posts++;
    let status = 0;
    try {
      const answer = await this.server.fetch(`/v1/sessions/${session}`, { method: "POST", headers: all, body });
      status = answer.status;
      assert.ok(status === 200 || status >= 500, `${status}: ${await answer.text()}`);
      if (status === 200) await answer.text();
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
    if (status !== 200) this.failed++;
    if (status !== 200 && kills !== this.kills) this.met++; /* it was on its way when the gateway was killed */
    return status === 200;
  }

  async poster(number, any) {
    try {
      await this.postAll(number, any);
    } finally {
      this.isOver = true; /* also for the others, if it failed */
    }
  }

  async postAll(number, any) {
    for (let count = 0; !this.isOver; count++) {
      const session = `s${any(SESSIONS)}`;
      const post = KINDS[any(KINDS.length)](`p${number}-${count}`);
      let isStored = await this.post(session, post);
      while (!isStored && post.repeats) {
        await pause(10);
        isStored = await this.post(session, post);
      }
      this.events.push(...post.events.map((data) => ({ session, data, isStored })));
      if (!isStored) await pause(10);
    }
  }

  async killer(gateway, any, due) {
    while (Date.now() < due && !this.isOver) {
      await pause(20 + any(250));
      this.kills++;
      await gateway.kill();
      await gateway.start();
    }
    this.isOver = true;
  }

  async check() {
    const stored = new Map();
    for (let number = 0; number < SESSIONS; number++) {
      const token = sign(this.key, `s${number}`, "r", 3600);
      const headers = { accept: "application/json", authorization: `Bearer ${token}` };
      const page = await (await this.server.fetch(`/v1/sessions/s${number}?limit=1000000`, { headers })).json();
      assert.equal(page.missing, 0);
      for (const { data } of page.events) {
        const name = `s${number} ${data}`;
        stored.set(name, (stored.get(name) ?? 0) + 1);
      }
    }
    for (const { session, data, isStored } of this.events) {
      const times = stored.get(`${session} ${data}`) ?? 0;
      stored.delete(`${session} ${data}`);
      assert.ok(times === 1 || (times === 0 && !isStored), `${session}: ${data} is there ${times} times`);
    }
    assert.deepEqual([...stored.keys()], [], "nobody sent these");
  }
}

needNginx();
await run({
  async whatWasAnsweredIsThere(stage) {
    await stage.startDaemon();
    const key = newKey(stage);
    const gateway = await stage.startPlainGateway(["--key-file", key.path]);
    const server = await startNginx(stage, { socket: gateway.socket, app: 1, hasKeys: true });
    const campaign = new Campaign(server, key);
    const began = Date.now();
    const posters = Array.from({ length: POSTERS }, (_, index) => campaign.poster(index, draws(seed + index + 1)));
    const killer = campaign.killer(gateway, draws(seed), began + seconds * 1000);
    const ends = await Promise.allSettled([killer, ...posters]);
    for (const { reason } of ends) if (reason) throw reason;
    await campaign.check();
    const { kills, posts, failed, met, events } = campaign;
    const took = ((Date.now() - began) / 1000).toFixed(1);
    console.log(`seed ${seed}: ${took} s, ${kills} kills, ${posts} POSTs of ${events.length} events, ${failed} ` +
      `failed, of which ${met} were on their way at a kill`);
    assert.ok(kills > 0 && met > 0, "no POST met a kill");
  },
});
