// SPDX-License-Identifier: Apache-2.0
// Publishing: results, ids, levels, conditions, what closes, what depends on something, order under backpressure.
import assert from "node:assert/strict";
import { codeOf, sponson, take, toArray, withClient, inTime } from "./kit.mjs";

const dataOf = async (client, session) => (await toArray(client.replay(session))).map((event) => event.data);

withClient("an event is stored, is a duplicate, is a conflict", async (client) => {
  const producer = await client.producer();
  assert.deepEqual(
    { ...(await producer.publish("s", { id: "1", data: "a", type: "t" })) },
    {
      ticket: 1,
      result: "stored",
      id: "1",
    },
  );
  assert.equal((await producer.publish("s", { id: "1", data: "a", type: "t" })).result, "duplicate");
  const error = await producer.publish("s", { id: "1", data: "b", type: "t" }).catch((caught) => caught);
  assert.ok(error instanceof sponson.ConflictError && error instanceof sponson.SponsonError);
  assert.deepEqual([error.code, error.ticket, error.result], ["SPN_CONFLICT", 3, "conflict"]);
  const { id } = await producer.publish("s", { data: "c" });
  assert.equal(id, (await client.last("s")).id);
  assert.deepEqual(await dataOf(client, "s"), ["a", "c"]);
  assert.deepEqual(
    (({ taken, stored, duplicates, conflicts, unacknowledged }) => [
      taken,
      stored,
      duplicates,
      conflicts,
      unacknowledged,
    ])(producer.counters()),
    [4, 2, 1, 1, 0],
  );
});

withClient("bytes and texts come back as they were", async (client) => {
  const producer = await client.producer();
  const long = ["x".repeat(8191), "é".repeat(5000), "y".repeat(1 << 20), "😀".repeat(2047)];
  const cases = ["", "\n", "ü€😀", ...long];
  for (const data of cases) {
    await producer.publish("s", { data, note: "n" });
    await producer.publish("s", { data: Buffer.from(data), note: Buffer.from([0, 255]) });
  }
  const texts = await dataOf(client, "s");
  assert.deepEqual(
    texts,
    cases.flatMap((data) => [data, data]),
  );
  const [first, second] = await take(2, client.subscribe("s", { as: "bytes" }));
  assert.deepEqual([first.note.toString(), [...second.note]], ["n", [0, 255]]);
  assert.ok(Buffer.isBuffer(first.data));
  await producer.publish("b", { data: new Uint8Array([0xff, 0xfe, 0x61]).subarray(1) });
  const [bytes] = await take(1, client.subscribe("b", { as: "bytes" }));
  assert.deepEqual([...bytes.data], [0xfe, 0x61]);
  const [text] = await take(1, client.subscribe("b"));
  assert.equal(text.data, "\ufffda");
});

withClient("markers, resets, retries", async (client) => {
  const producer = await client.producer();
  await producer.publish("s", { kind: "marker", id: "m", retryMs: 7 });
  await producer.publish("s", { data: "a", retryMs: 0 });
  await producer.publish("s", { kind: "reset" });
  const items = await toArray(client.replay("s"));
  assert.deepEqual(
    items.map(({ kind, retryMs }) => [kind, retryMs]),
    [
      ["marker", 7],
      ["event", 0],
      ["reset", undefined],
    ],
  );
  assert.equal((await client.last("s")).id, "");
  const [event] = await take(1, client.subscribe("s"));
  assert.equal(event.data, "a");
});

withClient("conditions: one of many is first", async (client) => {
  const producers = await Promise.all([1, 2, 3, 4].map(() => client.producer()));
  const tries = producers.map((each, i) => codeOf(each.publish("s", { id: `${i}`, data: "x" }, { ifNew: true })));
  assert.deepEqual((await Promise.all(tries)).sort(), [
    "SPN_E_CONDITION",
    "SPN_E_CONDITION",
    "SPN_E_CONDITION",
    "none",
  ]);
  const [producer] = producers;
  const { life, seq } = await client.last("s");
  assert.equal(seq, 1);
  assert.equal(await codeOf(producer.publish("s", { data: "y" }, { ifSeq: 0 })), "SPN_E_CONDITION");
  assert.equal(await codeOf(producer.publish("s", { data: "y" }, { ifSeq: 1, life })), "none");
  assert.equal(await codeOf(producer.publish("s", { data: "y" }, { life: "f".repeat(32) })), "SPN_E_OTHER_LIFE");
  assert.equal(await codeOf(producer.publish("none", { data: "y" }, { ifSeq: 3 })), "SPN_E_UNKNOWN_SESSION");
});

withClient("what depends on an entry that is refused is refused", async (client) => {
  const producer = await client.producer();
  await producer.publish("s", { data: "a" });
  const lost = producer.publish("s", { data: "b" }, { ifNew: true });
  const behind = producer.publish("s", { data: "c" }, { dependsOn: lost });
  const behindThat = producer.publish("s", { data: "d" }, { dependsOn: behind });
  assert.deepEqual(await Promise.all([lost, behind, behindThat].map(codeOf)), [
    "SPN_E_CONDITION",
    "SPN_E_DEPENDENT",
    "SPN_E_DEPENDENT",
  ]);
  assert.equal(await codeOf(producer.publish("s", { data: "e" }, { dependsOn: lost })), "SPN_E_DEPENDENT");
  const good = producer.publish("s", { data: "f" });
  assert.equal((await producer.publish("s", { data: "g" }, { dependsOn: good })).result, "stored");
  assert.equal((await producer.publish("s", { data: "h" }, { dependsOn: good })).result, "stored");
  const invalid = producer.publish("s", { data: "\r" });
  assert.deepEqual(
    await Promise.all([invalid, producer.publish("s", { data: "i" }, { dependsOn: invalid })].map(codeOf)),
    ["SPN_E_BAD_DATA", "SPN_E_DEPENDENT"],
  );
  assert.deepEqual(await dataOf(client, "s"), ["a", "f", "g", "h"]);
});

withClient("what it depends on is decided while it waits for room", async (client) => {
  const producer = await client.producer({ windowBytes: 1000 });
  const data = "x".repeat(900);
  let before = producer.publish("s", { data });
  for (let i = 0; i < 10; i++) before = producer.publish("s", { data }, { dependsOn: before });
  assert.equal((await before).result, "stored");
  const lost = producer.publish("s", { data }, { ifNew: true });
  const behind = producer.publish("s", { data }, { dependsOn: lost });
  const last = producer.closeSession("s", { dependsOn: behind });
  assert.deepEqual(await Promise.all([lost, behind, last].map(codeOf)), [
    "SPN_E_CONDITION",
    "SPN_E_DEPENDENT",
    "SPN_E_DEPENDENT",
  ]);
});

withClient("an event that closes; closes, deletes, touches, attributes", async (client) => {
  const producer = await client.producer();
  await producer.setSession(
    "s",
    { ttlMs: 60_000, idleCloseMs: 50_000, contentType: "a/b", note: "n" },
    { ifNew: true },
  );
  const info = await client.session("s");
  assert.deepEqual(
    [info.ttlMs, info.idleCloseMs, info.contentType, info.note.toString()],
    [60_000, 50_000, "a/b", "n"],
  );
  assert.equal((await producer.touchSession("s")).result, "stored");
  await producer.publish("s", { data: "a" }, { closes: true, reason: "done" });
  assert.deepEqual((({ state, reason }) => [state, reason])(await client.session("s")), ["closed", "done"]);
  const error = await producer.publish("s", { data: "b" }).catch((caught) => caught);
  assert.ok(error instanceof sponson.ClosedError);
  assert.equal((await producer.closeSession("s")).result, "duplicate");
  await producer.deleteSession("s", { life: info.life });
  assert.equal(await codeOf(client.last("s")), "SPN_E_UNKNOWN_SESSION");
  assert.equal(await codeOf(producer.closeSession("s")), "SPN_E_UNKNOWN_SESSION");
  assert.equal(await codeOf(producer.touchSession("s")), "SPN_E_UNKNOWN_SESSION");
});

withClient("many: in order, those that cannot be are named, others go on", async (client) => {
  const producer = await client.producer({ windowEvents: 100 });
  const events = Array.from({ length: 3000 }, (_, i) => ({ data: `${i}` }));
  events[1500] = { data: "\r" };
  const before = producer.publish("s", { data: "before" });
  const many = producer.publishMany("s", events);
  const after = producer.publish("s", { data: "after" });
  const acks = await many;
  assert.equal(acks.length, 3000);
  assert.equal(acks[1500].error.code, "SPN_E_BAD_DATA");
  assert.equal(acks[1500].result, "refused");
  assert.ok(acks.every(({ result, id }, i) => i === 1500 || (result === "stored" && id.length > 0)));
  await Promise.all([before, after]);
  const data = await dataOf(client, "s");
  const expected = ["before", ...events.map((event) => event.data).filter((each) => each !== "\r"), "after"];
  assert.deepEqual(data, expected);
  assert.deepEqual(await producer.publishMany("s", []), []);
});

withClient(
  "while the daemon stands still: nothing is refused, what is aborted is not published, order stays",
  async (client, stage) => {
    const producer = await client.producer({ windowEvents: 10 });
    stage.daemon.child.kill("SIGSTOP");
    const abort = new AbortController();
    const all = [];
    for (let i = 0; i < 50; i++) {
      const data = Buffer.from(`${i}`);
      const signal = i === 30 ? abort.signal : undefined;
      all.push(producer.publish("s", { data }, { signal }));
      data.fill(0x78); /* it was copied */
    }
    abort.abort(new Error("no more"));
    await assert.rejects(all[30], /no more/);
    stage.daemon.child.kill("SIGCONT");
    const results = await inTime("all have a result", Promise.allSettled(all));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 49);
    assert.deepEqual(
      await dataOf(client, "s"),
      Array.from({ length: 50 }, (_, i) => `${i}`).filter((each) => each !== "30"),
    );
    assert.equal(
      await codeOf(producer.publish("s", { data: "x" }, { signal: AbortSignal.abort() })),
      20 /* AbortError */,
    );
  },
);

withClient("who publishes when a result comes is after all who published before", async (client, stage) => {
  const producer = await client.producer({ windowEvents: 600 });
  const sent = [];
  const publish = (data) => {
    sent.push(data);
    return producer.publish("s", { data });
  };
  stage.daemon.child.kill("SIGSTOP");
  const all = Array.from({ length: 3000 }, (_, i) => publish(`${i}`).then(() => publish(`after ${i}`)));
  stage.daemon.child.kill("SIGCONT");
  await inTime("all have a result", Promise.all(all));
  assert.deepEqual(await dataOf(client, "s"), sent);
});

withClient("one signal for many: Node does not warn of a leak, and all hear it", async (client, stage) => {
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on("warning", warn);
  const abort = new AbortController();
  const { signal } = abort;
  const producer = await client.producer({ windowEvents: 1 });
  await Promise.all(Array.from({ length: 100 }, () => producer.publish("s", { data: "x" }, { signal })));
  stage.daemon.child.kill("SIGSTOP");
  const all = Array.from({ length: 100 }, () => producer.publish("s", { data: "x" }, { signal }));
  const reading = Array.from({ length: 100 }, () =>
    client.subscribe("never", { otherwise: "wait", signal }).next(),
  );
  const results = Promise.allSettled([...all, ...reading]);
  const reason = new Error("enough");
  abort.abort(reason);
  for (const result of await inTime("all hear it", results))
    assert.deepEqual(result, { status: "rejected", reason });
  stage.daemon.child.kill("SIGCONT");
  process.off("warning", warn);
  assert.deepEqual(warnings, []);
});

withClient("flush waits for what was published before", async (client) => {
  const producer = await client.producer();
  await producer.flush();
  let done = 0;
  for (let i = 0; i < 100; i++) void producer.publish("s", { data: "x" }).then(() => done++);
  await producer.flush();
  assert.equal(done, 100);
});

for (const options of [{ level: "none" }, { latestOnly: true }])
  withClient(`${JSON.stringify(options)}: taken at once, refusals are told`, async (client) => {
    const producer = await client.producer(options);
    const told = new Promise((resolve) => (producer.onrefused = resolve));
    assert.equal((await producer.publish("s", { data: "a" })).result, "taken");
    await producer.flush();
    await client.closeSession("s").catch(async () => {
      /* level none: it may be on its way still */
      for await (const event of client.subscribe("s", { otherwise: "wait" })) {
        assert.equal(event.data, "a");
        break;
      }
      await client.closeSession("s");
    });
    await producer.publish("s", { data: "b" });
    const error = await inTime("it is told", told);
    assert.ok(error instanceof sponson.ClosedError);
  });

withClient("latest only: the newest gets through", async (client, stage) => {
  const producer = await client.producer({ latestOnly: true, windowEvents: 1 });
  await producer.publish("s", { data: "first" });
  await producer.flush();
  stage.daemon.child.kill("SIGSTOP");
  const acks = [];
  for (let i = 0; i < 1000; i++) acks.push(await producer.publish("s", { data: `${i}` }));
  assert.ok(acks.some(({ ticket }) => ticket === 0));
  stage.daemon.child.kill("SIGCONT");
  await inTime("flushed", producer.flush());
  const data = await dataOf(client, "s");
  assert.equal(data.at(-1), "999");
  assert.equal(data.length + producer.counters().replaced, 1001);
});

withClient("an id that is opened again: the one before is fenced, and learns it", async (client) => {
  const id = "00112233445566778899aabbccddeeff";
  const first = await client.producer({ id });
  await first.publish("s", { data: "a" });
  const second = await client.producer({ id });
  assert.equal(second.committed, 1);
  assert.equal(await inTime("told", codeOf(first.publish("s", { data: "b" }))), "SPN_E_FENCED");
  assert.equal(await codeOf(first.publish("s", { data: "b" })), "SPN_E_FENCED");
  assert.equal((await second.publish("s", { data: "c" })).ticket, 2);
  await first.close();
});

withClient("close: what has no result is counted, and its promise fails", async (client, stage) => {
  const producer = await client.producer();
  await producer.publish("s", { data: "a" });
  stage.daemon.child.kill("SIGSTOP");
  const left = [
    codeOf(producer.publish("s", { data: "b" })),
    codeOf(producer.publishMany("s", [{ data: "c" }, { data: "d" }])),
  ];
  assert.equal(await producer.close({ timeoutMs: 50 }), 3);
  assert.deepEqual(await Promise.all(left), ["SPN_E_TIMEOUT", "SPN_E_TIMEOUT"]);
  assert.equal(await producer.close(), 3); /* the same close */
  assert.equal(await codeOf(producer.publish("s", { data: "e" })), "SPN_E_INVALID");
  stage.daemon.child.kill("SIGCONT");
});

/** As if it had been sent to a worker. */
function detached() {
  const bytes = new Uint8Array(100).fill(65);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

withClient("what the app does with its bytes after the call changes nothing", async (client) => {
  const producer = await client.producer({ windowEvents: 1 });
  const bytes = (text) => new Uint8Array(Buffer.from(text));
  const given = {
    session: bytes("s"),
    id: bytes("id"),
    data: bytes("data"),
    type: bytes("type"),
    note: bytes("note"),
    reason: bytes("reason"),
  };
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(65);
  const { session, id, data, type, note, reason } = given;
  const acks = [
    producer.publish("s", { id, data: "taken at once" }),
    producer.publish(session, { id: bytes("2"), data, type, note }),
    producer.publish("s", { data: shared }),
    producer.publishMany(session, [{ data }, { data: shared, id: bytes("many") }]),
    producer.setSession(session, { note, contentType: type }),
    producer.publish("s", { id: "last", data: "" }, { closes: true, reason }),
  ];
  for (const each of [...Object.values(given), shared]) each.fill("#".charCodeAt(0));
  assert.equal((await acks[0]).id, "id");
  await Promise.all(acks);
  const events = await toArray(client.replay("s"));
  assert.deepEqual(
    events.map((event) => event.data),
    ["taken at once", "data", "AAAA", "data", "AAAA", ""],
  );
  assert.deepEqual([events[1].type, events[1].note, events[4].id], ["type", "note", "many"]);
  const info = await client.session("s");
  assert.deepEqual([info.contentType, String(info.note), info.reason], ["type", "note", "reason"]);
});

withClient("bytes that were detached are refused, at once or when there is room, and only they", async (client) => {
  for (const windowEvents of [undefined, 1]) {
    const producer = await client.producer({ windowEvents });
    const first = producer.publish("s", { data: "a" });
    const bad = [{ data: detached() }, { id: detached(), data: "" }, { note: detached(), data: "" }];
    const refused = bad.map((event) => producer.publish("s", event));
    const batch = producer.publishMany("s", [{ data: "b" }, ...bad, { data: "c" }]);
    for (const each of refused) await assert.rejects(each, /^TypeError: (data|id|note) must be .* not detached/);
    await first;
    assert.deepEqual(
      (await inTime("the batch", batch)).map(({ result }) => result),
      ["stored", "refused", "refused", "refused", "stored"],
    );
    await producer.close();
  }
  assert.deepEqual(await dataOf(client, "s"), ["a", "b", "c", "a", "b", "c"]);
});

withClient("a producer that is closed says so, however it was closed", async (client, stage) => {
  const producer = await client.producer();
  await producer.close();
  assert.equal(await codeOf(producer.publish("s", { data: "" })), "SPN_E_INVALID");
  const other = await sponson.connect({ socketDir: stage.directory });
  const second = await other.producer();
  await other.close();
  assert.equal(await codeOf(second.publish("s", { data: "" })), "SPN_E_INVALID");
  assert.throws(() => second.counters(), sponson.InvalidError);
});
