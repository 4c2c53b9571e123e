// SPDX-License-Identifier: Apache-2.0
// Reading: every start and verdict, gaps, ends, streams, the log, and who is slow.
import assert from "node:assert/strict";
import { codeOf, collect, inTime, sponson, take, toArray, until, withClient } from "./kit.mjs";

const HEAP_NOISE = 200_000; // bytes

async function fill(client, session, count, options) {
  const producer = await client.producer();
  await producer.publishMany(
    session,
    Array.from({ length: count }, (_, i) => ({ id: `${i + 1}`, data: `d${i + 1}` })),
  );
  if (options?.close !== undefined) await producer.closeSession(session, { reason: options.close });
  return producer;
}
const datas = (events) => events.map((event) => event.data);
const kinds = (items) => items.map((item) => item.kind);
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => `d${first + i}`);
const wordOf = (item) => [item.kind, item.why, item.missing, item.seq];

withClient("all starts, of a session that is closed", async (client) => {
  await fill(client, "s", 5, { close: "over" });
  const { life } = await client.last("s");
  const read = async (options) => datas(await toArray(client.subscribe("s", options)));
  assert.deepEqual(await read(), range(1, 5));
  for (const after of ["", null, undefined]) assert.deepEqual(await read({ after }), range(1, 5));
  assert.deepEqual(await read({ from: "earliest" }), range(1, 5));
  assert.deepEqual(await read({ after: "2" }), range(3, 5));
  assert.deepEqual(await read({ after: Buffer.from("2") }), range(3, 5));
  assert.deepEqual(await read({ cursor: `spn:${life}:3` }), range(4, 5));
  assert.deepEqual(await read({ cursor: { life, seq: 0 } }), range(1, 5));
  assert.deepEqual(await read({ from: "now" }), []);
  const [event] = await take(1, client.subscribe("s", { after: "3" }));
  assert.deepEqual(await read({ cursor: event }), ["d5"]);
  assert.deepEqual(await read({ cursor: event.cursor }), ["d5"]);
});

withClient("an end says why, once; then there is no more", async (client) => {
  await fill(client, "s", 5, { close: "over" });
  const sub = client.subscribe("s", { after: "4" });
  assert.equal((await sub.next()).value.data, "d5");
  assert.equal((await sub.next()).done, true);
  assert.deepEqual(
    [sub.end.why, sub.end.reason, sub.end.state, sub.end.seq],
    ["SPN_E_CLOSED", "over", "closed", 5],
  );
  assert.deepEqual(wordOf(sub.verdict), ["verdict", "SPN_OK", 0, 4]);
  const unknown = client.subscribe("s", { after: "99" });
  assert.equal(await codeOf(unknown.next()), "SPN_E_UNKNOWN_ID");
  assert.equal((await unknown.next()).done, true);
  assert.equal(await codeOf(client.subscribe("none").next()), "SPN_E_UNKNOWN_SESSION");
  assert.equal(
    await codeOf(client.subscribe("s", { cursor: { life: "1".repeat(32), seq: 1 } }).next()),
    "SPN_E_OTHER_LIFE",
  );
});

withClient("otherwise: restart, wait", async (client) => {
  await fill(client, "s", 3, { close: "" });
  const restarted = client.subscribe("s", { after: "99", otherwise: "restart" });
  assert.deepEqual(datas(await toArray(restarted)), range(1, 3));
  assert.equal(restarted.verdict.why, "SPN_E_UNKNOWN_ID");
  const other = client.subscribe("s", { cursor: { life: "1".repeat(32), seq: 1 }, otherwise: ["restart", "wait"] });
  assert.deepEqual(datas(await toArray(other)), range(1, 3));
  assert.equal(other.verdict.why, "SPN_E_OTHER_LIFE");
  const waiting = client.subscribe("later", { otherwise: "wait" });
  const first = waiting.next();
  await client.publishOnce("later", { id: "1", data: "now" });
  assert.equal((await inTime("it is opened", first)).value.data, "now");
  await waiting.close();
});

withClient("items: verdict, events, markers, caught up, end", async (client) => {
  const producer = await fill(client, "s", 1);
  await producer.publish("s", { kind: "marker", id: "m" });
  const sub = client.subscribe("s", { items: true });
  assert.deepEqual(kinds(await Promise.all([1, 2, 3, 4].map(async () => (await sub.next()).value))), [
    "verdict",
    "event",
    "marker",
    "caughtUp",
  ]);
  await producer.deleteSession("s");
  const rest = await toArray(sub);
  assert.deepEqual(rest.map(wordOf), [["end", "SPN_E_DELETED", 0, 2]]);
});

withClient(
  "retention: what is gone before the start, and in the middle",
  async (client) => {
    const producer = await fill(client, "s", 100);
    await until("they are hidden", async () => (await client.session("s")).firstSeq === 91);
    const sub = client.subscribe("s", { after: "" });
    const events = await take(2, sub);
    assert.deepEqual([events[0].data, events[0].missing, events[1].missing], ["d91", 90, 0]);
    assert.deepEqual(wordOf(sub.verdict).slice(0, 3), ["verdict", "SPN_E_TRIMMED", 90]);
    const gone = client.replay("s");
    assert.deepEqual(datas(await toArray(gone)), range(91, 100));
    assert.equal(gone.missing, 90);
    const slow = client.subscribe("s", { items: true, windowBytes: 1000 });
    assert.equal((await slow.next()).value.kind, "verdict");
    await producer.publishMany(
      "s",
      Array.from({ length: 3000 }, () => ({ data: "x".repeat(200) })),
    );
    await producer.closeSession("s");
    const items = await toArray(slow);
    const gap = items.find((item) => item.kind === "gap");
    assert.ok(gap.missing > 0);
    const seen = items.filter((item) => item.kind === "event").length;
    const all = items.reduce((sum, item) => sum + (item.kind === "gap" ? item.missing : 0), 90 + seen);
    assert.equal(all, 3100);
  },
  ["--retention-events", "10"],
);

withClient("a slow reader holds nobody up, and its inbox is bounded", async (client) => {
  const slow = client.subscribe("s", { otherwise: "wait" });
  const quick = client.subscribe("s", { otherwise: "wait" });
  const first = slow.next();
  const producer = await client.producer();
  const sending = producer.publishMany(
    "s",
    Array.from({ length: 20_000 }, (_, i) => ({ data: `${i}`.padEnd(100) })),
  );
  assert.equal((await take(20_000, quick)).length, 20_000);
  await sending;
  assert.ok(slow.inbox.size <= 256 + 64, `${slow.inbox.size} unread`); /* and a portion */
  assert.equal((await first).value.data.trim(), "0");
  const rest = await take(19_999, slow);
  assert.deepEqual(
    rest.map((event) => event.seq),
    Array.from({ length: 19_999 }, (_, i) => i + 2),
  );
});

withClient("web streams: of events, and of the text of an event stream", async (client) => {
  const producer = await fill(client, "s", 3);
  await producer.publish("s", { kind: "marker", id: "m" });
  await producer.publish("s", { id: "e", data: "last", type: "t" }, { closes: true });
  assert.deepEqual(datas(await toArray(client.subscribe("s").readable())), [...range(1, 3), "last"]);
  const text = await new Response(client.subscribe("s", { after: "2" }).eventStream()).text();
  assert.equal(text, "id: 3\ndata: d3\n\nid: m\n\nid: e\nevent: t\ndata: last\n\n");
  const parsed = await toArray(sponson.parseEvents(client.subscribe("s").eventStream()));
  assert.deepEqual(kinds(parsed), ["event", "event", "event", "marker", "event"]);
  const idle = client.subscribe("open", { otherwise: "wait" }).eventStream({ heartbeatMs: 5 }).getReader();
  for (let i = 0; i < 2; i++)
    assert.equal(Buffer.from((await inTime("a beat", idle.read())).value).toString(), ":\n\n");
  await idle.cancel();
  const cancelled = client.subscribe("s").readable().getReader();
  await cancelled.read();
  await cancelled.cancel();
});

withClient("an event that comes after a beat is the next one, and beats leave nothing behind", async (client) => {
  const producer = await client.producer();
  const stream = client.subscribe("s", { otherwise: "wait" }).eventStream({ heartbeatMs: 1 }).getReader();
  const read = async () => Buffer.from((await inTime("bytes", stream.read())).value).toString();
  const used = [];
  for (let beat = 1; beat <= 1400; beat++) {
    assert.equal(await read(), ":\n\n");
    if (beat % 700 > 0) continue;
    await collect();
    used.push(process.memoryUsage().heapUsed);
  }
  await producer.publish("s", { id: "1", data: "x" });
  let bytes = await read();
  while (bytes === ":\n\n") bytes = await read();
  assert.equal(bytes, "id: 1\ndata: x\n\n");
  await stream.cancel();
  assert.ok(used[1] - used[0] < HEAP_NOISE, `heap: ${used}`);
});

withClient("abort: in the middle of a wait, and with items unread; the reason is thrown once", async (client) => {
  const abort = new AbortController();
  const sub = client.subscribe("s", { otherwise: "wait", signal: abort.signal });
  const next = sub.next();
  abort.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
  assert.equal((await sub.next()).done, true);
  await fill(client, "s", 10, { close: "" });
  const second = new AbortController();
  const seen = [];
  await assert.rejects(async () => {
    for await (const event of client.subscribe("s", { signal: second.signal })) {
      seen.push(event.data);
      if (seen.length === 3) second.abort(new Error("enough"));
    }
  }, /enough/);
  assert.deepEqual(seen, range(1, 3));
  assert.throws(() => client.subscribe("s", { signal: AbortSignal.abort(new Error("before")) }), /before/);
});

withClient("return, close and dispose end it for everybody who waits", async (client) => {
  for (const end of [(sub) => sub.return(), (sub) => sub.close(), (sub) => sub[Symbol.asyncDispose]()]) {
    const sub = client.subscribe("s", { otherwise: "wait" });
    const waiting = [sub.next(), sub.next()];
    await end(sub);
    await end(sub);
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ done }) => done),
      [true, true],
    );
  }
  const sub = client.subscribe("s", { otherwise: "wait" });
  const waiting = codeOf(sub.next());
  await client.close();
  assert.equal(await waiting, "SPN_E_INVALID");
  assert.throws(() => client.subscribe("s"), sponson.InvalidError);
});

withClient("replay: up to the newest; after an id, after a cursor; who is unknown", async (client) => {
  await fill(client, "s", 1000);
  const { life } = await client.last("s");
  assert.equal((await toArray(client.replay("s"))).length, 1000);
  assert.deepEqual(datas(await toArray(client.replay("s", { after: "998" }))), range(999, 1000));
  assert.deepEqual(datas(await toArray(client.replay("s", { cursor: `spn:${life}:999` }))), ["d1000"]);
  assert.equal(await codeOf(client.replay("s", { after: "x" }).next()), "SPN_E_UNKNOWN_ID");
  assert.equal(await codeOf(client.replay("none").next()), "SPN_E_UNKNOWN_SESSION");
  assert.equal((await take(5, client.replay("s"))).length, 5);
});

withClient(
  "the log: opens, events, attributes, touches, closes, deletes, and goes on from an item",
  async (client) => {
    const producer = await fill(client, "a.s", 1);
    await client.publishOnce("b.s", { id: "1", data: "x" });
    await producer.setSession("a.s", { contentType: "c/d", note: "n" });
    await producer.touchSession("a.s");
    await producer.closeSession("a.s", { reason: "why" });
    await producer.deleteSession("a.s");
    const items = [];
    for await (const item of client.follow({ prefix: "a.", touches: true })) {
      if (item.kind === "caughtUp") break;
      items.push(item);
    }
    const seen = kinds(items).filter((kind) => kind !== "touch");
    assert.deepEqual(seen.at(-1), "delete");
    assert.equal(seen[0], "verdict");
    assert.ok(
      items.slice(1).every((item) => item.session === "a.s" && item.database.length === 32 && item.position > 0),
    );
    const other = [];
    for await (const item of client.follow({ prefix: "b." })) {
      if (item.kind === "caughtUp") break;
      other.push(item);
    }
    assert.deepEqual(kinds(other), ["verdict", "open", "event"]);
    const after = client.follow({ after: other[1] });
    await after.next();
    assert.deepEqual((({ kind, data, session }) => [kind, data, session])((await after.next()).value), [
      "event",
      "x",
      "b.s",
    ]);
    await after.close();
    const bad = client.follow({ after: { database: "1".repeat(32), position: 1 } });
    assert.deepEqual((({ kind, why }) => [kind, why])((await bad.next()).value), ["end", "SPN_E_BAD_POSITION"]);
    const live = client.follow({ from: "now" });
    await live.next();
    await live.next();
    await producer.setSession("c", { idleCloseMs: 60_000, note: Buffer.from("n") });
    const [open, attributes] = [(await live.next()).value, (await live.next()).value];
    assert.deepEqual(
      [open.kind, attributes.kind, attributes.attributes],
      [
        "open",
        "attributes",
        {
          ttlMs: 0,
          idleCloseMs: 60_000,
          contentType: "",
          note: "n",
        },
      ],
    );
    await live.close();
  },
);

withClient("a signal that is aborted while the arguments are read, and the reason null", async (client, stage) => {
  const producer = await client.producer();
  const reason = new Error("mine");
  const asks = [
    (abort, signal) =>
      client
        .subscribe("never", {
          signal,
          get otherwise() {
            return abort("wait");
          },
        })
        .next(),
    (abort, signal) =>
      client
        .follow({
          signal,
          get from() {
            return abort("now");
          },
        })
        .next(),
    (abort, signal) =>
      producer.publish(
        "s",
        {
          get data() {
            return abort("x");
          },
        },
        { signal },
      ),
    (abort, signal) =>
      producer.publishMany(
        "s",
        [
          {
            get data() {
              return abort("x");
            },
          },
        ],
        { signal },
      ),
    (abort, signal) =>
      sponson.connect({
        signal,
        get socketDir() {
          return abort(`${stage.directory}/none`);
        },
      }),
  ];
  for (const ask of asks) {
    const controller = new AbortController();
    const abort = (value) => (controller.abort(reason), value);
    const error = await inTime(
      `${ask}`,
      ask(abort, controller.signal).catch((caught) => caught),
    );
    assert.equal(error, reason, `${ask}`);
  }
  const controller = new AbortController();
  const next = client.subscribe("never", { otherwise: "wait", signal: controller.signal }).next();
  controller.abort(null);
  assert.equal(await next.catch((caught) => caught), null);
});

withClient("one signal of many calls: no warning, and all end with its reason", async (client, stage) => {
  const controller = new AbortController();
  const { signal } = controller;
  const warnings = [];
  const warned = (warning) => warnings.push(warning);
  process.on("warning", warned);
  const nothing = `${stage.directory}/none`;
  const calls = Array.from({ length: 300 }, (_, i) => [
    client.subscribe(`never${i % 10}`, { otherwise: "wait", signal }).next(),
    ...(i < 20 ? [sponson.connect({ socketDir: nothing, signal })] : []),
  ]).flat();
  await client.health({ signal });
  controller.abort(new Error("enough"));
  for (const { reason } of await inTime("all", Promise.allSettled(calls))) assert.match(String(reason), /enough/);
  await client.health();
  process.off("warning", warned);
  assert.deepEqual(warnings, []);
});

withClient("options are read once: what a getter says the second time is not asked", async (client) => {
  for (const read of ["subscribe", "replay"]) {
    let asked = 0;
    const sub = client[read]("s", {
      get signal() {
        return asked++ > 0 ? 1 : undefined;
      },
    });
    await sub.close();
    assert.equal(asked, 1, read);
  }
});
