// SPDX-License-Identifier: Apache-2.0
// Gateway and daemon are killed in turn while a browser reads: 20 EventSources over one HTTP/2 connection
// through nginx with the recipe, 6 over plain HTTP/1.1. Each gets every event once, in order.
//
//   test_browser_kills.mjs [KILLS]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { follow, noted, openBrowser, openGateway, openPage, servePage } from "./browser.mjs";
import { needNginx, startNginx } from "./recipes.mjs";
import { pause, run, until } from "./stage.mjs";

const KILLS = Number(process.argv[2] ?? 3);
const SESSIONS = 4;
const [H2_READERS, PLAIN_READERS] = [20, 6]; // a browser opens at most 6 HTTP/1.1 connections to one host
const PACE_MS = 10;

/** Publishes one event after the other until stop(); each is repeated until it is stored. */
class Publisher {
  constructor(stage) {
    Object.assign(this, { stage, counts: new Array(SESSIONS).fill(0), repeats: 0, stopped: false });
    this.done = this.publishAll();
  }

  async publishAll() {
    for (let session = 0; !this.stopped; session = (session + 1) % SESSIONS) {
      const id = String(this.counts[session] + 1);
      while (!(await this.publish(session, id))) this.repeats++;
      this.counts[session]++;
      await pause(PACE_MS);
    }
  }

  async publish(session, id) {
    const answer = await fetch(this.stage.url(`/v1/sessions/s${session}`), {
      method: "POST",
      headers: { "Event-Id": id },
      body: `event ${id}`,
    }).catch(() => pause(PACE_MS));
    return answer?.status === 200;
  }

  stop() {
    this.stopped = true;
    return this.done;
  }
}

const sources = (origin, count) =>
  Array.from({ length: count }, (_, i) => ({ url: `${origin}/v1/sessions/s${i % SESSIONS}` }));

const opens = (readers) => readers.map((reader) => reader.opens);
const readAll = async (pages) => (await Promise.all(pages.map(noted))).flat();

/** Waits until every reader has all that is stored. */
async function caughtUp(pages, publisher) {
  const counts = publisher.counts.slice();
  const have = (wanted) => window.readers.every((reader, i) => reader.events.length >= wanted[i % wanted.length]);
  await Promise.all(pages.map((page) => page.waitForFunction(have, { polling: 20 }, counts)));
  return readAll(pages);
}

/** Waits until every reader has an event that did not exist before. */
async function haveNew(pages, publisher) {
  const before = publisher.counts.slice();
  await until("each session has a new event", () => publisher.counts.every((count, i) => count > before[i]));
  return caughtUp(pages, publisher);
}

/** The gateway is away until nginx has answered an EventSource in its place. Gives how many readers came back. */
async function killGateway(gateway, nginx, publisher, pages) {
  const before = opens(await haveNew(pages, publisher));
  const answered = nginx.log().length;
  await gateway.kill();
  await until("nginx answers for the gateway", () =>
    nginx
      .log()
      .slice(answered)
      .some(([, , status, ofGateway]) => status === "200" && ofGateway === "502"),
  );
  await gateway.start();
  return opens(await haveNew(pages, publisher)).filter((count, i) => count > before[i]).length;
}

/** No stream ends for that. */
async function killDaemon(daemon, publisher, pages) {
  const before = opens(await haveNew(pages, publisher));
  await daemon.kill();
  await daemon.start();
  assert.deepEqual(opens(await haveNew(pages, publisher)), before);
}

/** Its port, and log(): [connection, protocol, status, status of the gateway, path] of each answer. */
async function openNginx(stage, socket, app) {
  const connections = stage.path("connections.log");
  const { port } = await startNginx(stage, { socket, app, hasKeys: true, connections });
  const lines = () => readFileSync(connections, "utf8").split("\n").slice(0, -1);
  return { port, log: () => lines().map((line) => line.split(" ")) };
}

needNginx();
await run({
  async readersOfABrowserOutliveKills(stage) {
    const began = Date.now();
    const daemon = await stage.startDaemon();
    const origin = await servePage(stage, (request, response) => response.writeHead(404).end());
    const gateway = await openGateway(stage, ["--insecure-loopback", "--allow-origin", origin]);
    const nginx = await openNginx(stage, gateway.socket, new URL(origin).port);
    const browser = await openBrowser(stage);
    const secure = `https://localhost:${nginx.port}`;
    const pages = [await openPage(browser, secure), await openPage(browser, origin)];
    await pages[0].evaluate(follow, sources(secure, H2_READERS));
    await pages[1].evaluate(follow, sources(stage.url(""), PLAIN_READERS));
    const publisher = new Publisher(stage);
    const cameBack = [];
    for (let i = 0; i < KILLS; i++) {
      if (i % 2 === 0) cameBack.push(await killGateway(gateway, nginx, publisher, pages));
      else await killDaemon(daemon, publisher, pages);
    }
    await publisher.stop();
    const readers = await caughtUp(pages, publisher);

    readers.forEach((reader, i) => {
      const count = publisher.counts[(i < H2_READERS ? i : i - H2_READERS) % SESSIONS];
      const wanted = Array.from({ length: count }, (_, n) => [String(n + 1), `event ${n + 1}`]);
      assert.deepEqual(reader.events, wanted, `reader ${i}`);
      assert.deepEqual(reader.notes, [], `reader ${i}`);
    });
    const streams = nginx
      .log()
      .filter(([, protocol, , , path]) => protocol === "HTTP/2.0" && path.startsWith("/v1/"));
    assert.equal(new Set(streams.map(([connection]) => connection)).size, 1, "one HTTP/2 connection");
    const held = streams.filter(([, , , ofGateway]) => ofGateway === "502").length;
    const events = publisher.counts.reduce((a, b) => a + b);
    console.log(
      `${KILLS} kills in ${Date.now() - began} ms: ${events} events, ${publisher.repeats} repeated POSTs`,
    );
    console.log(`readers that had to reconnect: ${cameBack} of ${readers.length}; ${held} answers of nginx alone`);
    for (const count of cameBack) assert.equal(count, readers.length);
  },
});
