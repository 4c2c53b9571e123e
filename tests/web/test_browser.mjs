// SPDX-License-Identifier: Apache-2.0
// What a browser makes of the gateway's streams: it stops at 204; a slow reader gets the tail of a closed session;
// the gateway's own events arrive; a URL that expires is renewed.
import assert from "node:assert/strict";
import { follow, metric, noted, openBrowser, openGateway, openPage, servePage } from "./browser.mjs";
import { block } from "./recipes.mjs";
import { run, serve, until } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const RETRY_MS = 20; // of stored events: browsers of these tests come back at once

/** A gateway without tokens, and a page that may read from it. */
async function openAll(stage, daemonWords = [], gatewayWords = []) {
  await stage.startDaemon(daemonWords);
  const origin = await servePage(stage);
  const gateway = await openGateway(stage, ["--insecure-loopback", "--allow-origin", origin, ...gatewayWords]);
  const page = await openPage(await openBrowser(stage), origin);
  return { gateway, page };
}

async function publish(url, body, headers = {}) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200);
}

const numbered = (count) =>
  Array.from({ length: count }, (_, i) => ({ id: String(i + 1), data: `event ${i + 1}`, retry: RETRY_MS }));
const pairs = (events) => events.map(({ id, data }) => [id, data]);

async function life(url) {
  return (await fetch(url, { method: "HEAD" })).headers.get("sponson-life");
}

/** Waits for something in the page. */
const inPage = (page, check, ...words) => page.waitForFunction(check, { polling: 20 }, ...words);

/** Halts the page: it takes nothing until what is returned is called. */
async function halt(page) {
  const session = await page.createCDPSession();
  await session.send("Debugger.enable");
  const halted = new Promise((done) => session.once("Debugger.paused", done));
  const statement = session.send("Runtime.evaluate", { expression: "debugger" }).catch(() => {});
  await halted;
  return () => Promise.all([session.send("Debugger.resume"), statement]);
}

await run({
  async aClosedSessionStopsTheBrowser(stage) {
    const { page } = await openAll(stage);
    const url = stage.url("/v1/sessions/s");
    await publish(url, numbered(3));
    await page.evaluate(follow, [
      { url },
      { url: `${url}?active=1` },
      { url: stage.url("/v1/sessions/none?active=1") },
    ]);
    await inPage(page, () => window.readers[0].events.length === 3 && window.readers[1].events.length === 3);
    await publish(url, { id: "4", data: "event 4", retry: RETRY_MS }, { "Stream-Closed": "true" });
    await inPage(page, () => window.readers.every(({ source }) => source.readyState === EventSource.CLOSED));
    const readers = await noted(page);
    for (const reader of readers.slice(0, 2)) {
      assert.deepEqual(reader.events, pairs(numbered(4)));
      assert.equal(reader.opens, 1);
    }
    assert.deepEqual([readers[2].opens, readers[2].events], [0, []]);
    for (const answer of [await fetch(url, { headers: { "Last-Event-ID": "4" } }), await fetch(`${url}?active=1`)])
      assert.equal(answer.status, 204);
  },

  async aSlowReaderOfAClosedSessionGetsItsTail(stage) {
    const { gateway, page } = await openAll(stage, ["--retention-bytes", "64M"]);
    const url = stage.url("/v1/sessions/s");
    const [count, size] = [400, 64 * 1024]; // 25 MB: more than the sockets and the browser hold
    await page.evaluate(follow, [{ url }]);
    await inPage(page, () => window.readers[0].opens === 1);
    const goOn = await halt(page);
    const body = Array.from(
      { length: count },
      (_, i) => `id: ${i + 1}\nretry: ${RETRY_MS}\ndata: ${"x".repeat(size)}\n\n`,
    ).join("");
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/event-stream", "Stream-Closed": "true" },
      body,
    });
    assert.equal(answer.status, 200);
    assert.equal((await fetch(url, { method: "HEAD" })).headers.get("sponson-state"), "closed");
    await until(
      "the stream is held up",
      async () => (await metric(gateway, 'sponson_http_streams{phase="behind"}')) === 1,
    );
    const written = await metric(gateway, "sponson_http_events_written_total");
    assert(written < count, `${written} of ${count} events were written`);
    await goOn();
    await inPage(page, () => window.readers[0].source.readyState === EventSource.CLOSED);
    const [reader] = await page.evaluate(() =>
      window.readers.map(({ opens, events }) => ({ opens, events: events.map(([id, data]) => [id, data.length]) })),
    );
    assert.deepEqual(reader, { opens: 1, events: Array.from({ length: count }, (_, i) => [String(i + 1), size]) });
    console.log(`${written} of ${count} events were written when the session was closed`);
  },

  async gapResetAndEndArrive(stage) {
    const [count, kept] = [50, 10];
    const { page } = await openAll(stage, ["--retention-events", String(kept)], ["--wait-unknown", "200ms"]);
    const [url, other] = [stage.url("/v1/sessions/s"), stage.url("/v1/sessions/other")];
    await publish(url, numbered(count));
    await publish(other, numbered(2));
    const before = await life(other);
    assert.equal((await fetch(other, { method: "DELETE" })).status, 204);
    await publish(other, numbered(3));
    await page.evaluate(follow, [
      { url: `${url}?after=spn:${await life(url)}:5` },
      { url: `${url}?after=nobody` },
      { url: `${other}?after=spn:${before}:1` },
    ]);
    await inPage(page, (wanted) => window.readers.every(({ events }, i) => events.length === wanted[i]), [
      kept,
      kept,
      3,
    ]);
    assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
    // They come back, wait for the session, and are stopped.
    const areStopped = () =>
      window.readers.slice(0, 2).every(({ source }) => source.readyState === EventSource.CLOSED);
    await inPage(page, areStopped);
    const gone = [
      ["sponson-end", { reason: "deleted" }],
      ["sponson-reset", { reason: "SPN_E_UNKNOWN_SESSION", missing: 0 }],
      ["sponson-end", { reason: "unknown" }],
    ];
    const readers = await noted(page);
    assert.deepEqual(
      readers.map(({ notes }) => notes),
      [
        [["sponson-gap", { reason: "trimmed", missing: count - kept - 5 }], ...gone],
        [["sponson-reset", { reason: "SPN_E_UNKNOWN_ID", missing: count - kept }], ...gone],
        [["sponson-reset", { reason: "SPN_E_OTHER_LIFE", missing: 0 }]],
      ],
    );
    const retained = pairs(numbered(count)).slice(-kept);
    assert.deepEqual(
      readers.map(({ events }) => events),
      [retained, retained, pairs(numbered(3))],
    );
  },

  async aUrlThatExpiresIsRenewed(stage) {
    await stage.startDaemon();
    const key = newKey(stage);
    let url;
    let renewals = 0;
    const origin = await servePage(stage, (request, response) => {
      renewals++;
      response.end(`${url}?token=${sign(key, "s", "r", 2)}`);
    });
    await openGateway(stage, ["--key-file", key.path, "--allow-origin", origin]);
    url = stage.url("/v1/sessions/s");
    const page = await openPage(await openBrowser(stage), origin);
    await page.evaluate(`
      window.events = [];
      ${block("URLs that expire", "js").replace("export ", "")};
      const fresh = async () => (await fetch("/url")).text();
      follow(fresh, (event) => window.events.push([event.lastEventId, event.data]));
    `);
    let count = 0;
    const write = { Authorization: `Bearer ${sign(key, "s", "w", 600)}` };
    const publishOne = () => publish(url, { id: String(++count), data: `event ${count}` }, write);
    await until("the URL was fetched again", () => publishOne().then(() => renewals >= 2));
    for (let i = 0; i < 20; i++) await publishOne();
    await inPage(page, (wanted) => window.events.length >= wanted, count);
    assert.deepEqual(await page.evaluate(() => window.events), pairs(numbered(count)));
    console.log(`${count} events, ${renewals} URLs`);
  },
});
