// SPDX-License-Identifier: Apache-2.0
// sponson/mcp, beside what the SDK's own tests show (test_suites.mjs).
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf, draws, inTime, packageFile, pause, runApp, sponson, staged, withClient } from "./kit.mjs";

const { SponsonEventStore } = await import(packageFile("mcp.mjs"));

const note = (data) => ({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data } });

/** What a replay sends: [id, message] of each. */
async function replayed(store, id) {
  const sent = [];
  const streamId = await inTime(
    "the replay",
    store.replayEventsAfter(id, { send: async (...event) => void sent.push(event) }),
  );
  return { streamId, sent };
}

withClient("a replay sends what came later in the stream, and never a priming event", async (client) => {
  const store = new SponsonEventStore({ client, session: "a" });
  const ids = [];
  const stored = [
    ["x", {}],
    ["x", note(1)],
    ["y", {}],
    ["y", note(2)],
    ["x", note(3)],
    ["_GET_stream", note(4)],
    ["x", {}],
    ["x", note(5)],
  ];
  for (const [stream, message] of stored) ids.push(await store.storeEvent(stream, message));
  for (const [i, [stream]] of stored.entries()) {
    assert.ok(ids[i].startsWith(`${stream}~`));
    assert.equal(await store.getStreamIdForEventId(ids[i]), stream);
    const later = stored.map(([of, message], j) => [of, [ids[j], message]]).slice(i + 1);
    const expected = later.filter(([of, [, message]]) => of === stream && message.method).map(([, event]) => event);
    assert.deepEqual(await replayed(store, ids[i]), { streamId: stream, sent: expected });
  }
});

withClient("a message comes back as it was", async (client) => {
  const store = new SponsonEventStore({ client, session: "a" });
  const messages = ["a\r\nb\rc", "\ud800", "x\udc00y", "\0", "\u2028", "😀", "id: 1\n\ndata: 2", ""].map(note);
  messages.push({ jsonrpc: "2.0", id: 1, result: { nested: [1, null, { "~": true }] } });
  const first = await store.storeEvent("odd~name~", {});
  const ids = [];
  for (const message of messages) ids.push(await store.storeEvent("odd~name~", message));
  const { streamId, sent } = await replayed(store, first);
  assert.equal(streamId, "odd~name~");
  assert.deepEqual(
    sent,
    messages.map((message, i) => [ids[i], message]),
  );
});

withClient("an id that is unknown, of another MCP session, or no id", async (client) => {
  const store = new SponsonEventStore({ client, session: "a" });
  const other = new SponsonEventStore({ client, session: "b" });
  assert.equal(await store.getStreamIdForEventId("x~1"), undefined); // there is nothing yet
  const id = await store.storeEvent("_GET_stream", note(1));
  const others = await other.storeEvent("_GET_stream", note("secret"));
  for (const unknown of [
    others,
    "",
    "~",
    "x",
    "x~",
    id.slice(0, -1),
    `${id}x`,
    "a\0~b",
    "a\n~b",
    "q~".repeat(4000),
    "\ud800~",
    undefined,
    7,
  ]) {
    assert.equal(await store.getStreamIdForEventId(unknown), undefined, String(unknown));
    if (typeof unknown === "string")
      assert.match(await codeOf(replayed(store, unknown)), /^SPN_E_(UNKNOWN_ID|BAD_ID)$/, unknown);
  }
  assert.deepEqual((await replayed(store, id)).sent, []);
});

withClient("an app that was restarted goes on with the session", async (client, stage) => {
  const app = `
    const { SponsonEventStore } = await import(${JSON.stringify(packageFile("mcp.mjs"))});
    const client = await sponson.connect({ socketDir: dir });
    const store = new SponsonEventStore({ client, session: "a" });
    console.log(await store.storeEvent("x", {}));
    await store.storeEvent("x", { jsonrpc: "2.0", method: "before" });
    process.kill(process.pid, "SIGKILL");`;
  const { signal, output } = await runApp(stage, app);
  assert.equal(signal, "SIGKILL");
  const store = new SponsonEventStore({ client, session: "a" });
  await store.storeEvent("x", { jsonrpc: "2.0", method: "after" });
  const { sent } = await replayed(store, output.trim());
  assert.deepEqual(
    sent.map(([, { method }]) => method),
    ["before", "after"],
  );
});

const steps = async (count) => {
  for (let i = 0; i < count; i++) await null;
};

/** What the SDK does with a store and one stream: one reader at a time, and what it got. */
class Transport {
  reader = null;

  constructor(store) {
    this.store = store;
  }

  /** On the stream of a GET: stored whether somebody reads or not. Given to who reads when it is stored. */
  async send(message) {
    const id = await this.store.storeEvent("_GET_stream", message);
    this.reader?.push([id, message]);
  }

  /** On the stream of a POST: not sent without a reader. Given to who read when it was sent. */
  async sendRelated(message) {
    const { reader } = this;
    const id = await this.store.storeEvent("_GET_stream", message);
    if (reader === this.reader) reader.push([id, message]);
  }

  async resume(lastEventId) {
    const got = [];
    await this.store.replayEventsAfter(lastEventId, { send: async (...event) => void got.push(event) });
    await steps(5); // as if others stood between the store and the SDK
    this.reader = got;
    return got;
  }
}

/** A client whose acknowledgements and replays come late, some of them in one turn of the loop: acknowledgements in
 *  their order, and ends of replays anywhere between. */
function lateClient(client, any) {
  const acks = [],
    ends = [];
  const late = (queue, value) =>
    new Promise((resolve) => {
      queue.push(() => resolve(value));
      if (acks.length + ends.length === 1) setTimeout(flush, any(3));
    });
  let delay = 0;
  const flush = () => {
    delay = any(40);
    for (let some = 1 + any(acks.length + ends.length); some > 0; some--)
      (any(acks.length + ends.length) < acks.length ? acks : ends).shift()();
    if (acks.length + ends.length > 0) setTimeout(flush, any(3));
  };
  const replaced = (object, functions) =>
    new Proxy(object, {
      get: (_, name) =>
        functions[name] ?? (typeof object[name] === "function" ? object[name].bind(object) : object[name]),
    });
  const publish =
    (producer) =>
    async (...words) => {
      const ack = await late(acks, await producer.publish(...words));
      await steps(delay); // so that the end of a replay may be known before
      return ack;
    };
  return replaced(client, {
    producer: async (...words) => {
      const producer = await client.producer(...words);
      return replaced(producer, { publish: publish(producer) });
    },
    replay: async function* (...words) {
      yield* client.replay(...words);
      await late(ends);
    },
  });
}

/** Events one after the other and several at a time, while the reader comes back again and again. */
async function resumeAgainAndAgain(store, any, rounds, how) {
  const transport = new Transport(store);
  let isOver = false,
    sent = 0;
  let last = await store.storeEvent("_GET_stream", {});
  const sending = (async () => {
    while (!isOver) {
      const some = how === "send" || transport.reader !== null ? 1 + any(3) : 0;
      await Promise.all(Array.from({ length: some }, () => transport[how](note(++sent))));
      if (any(3) === 0) await pause(any(3));
      else await new Promise(setImmediate);
    }
  })();
  const got = [];
  for (let round = 0; round < rounds; round++) {
    const events = await transport.resume(last);
    if (any(2) === 0) await pause(any(4));
    transport.reader = null;
    got.push(...events.map(([, message]) => message.params.data));
    last = events.at(-1)?.[0] ?? last;
  }
  isOver = true;
  await sending;
  got.push(...(await replayed(store, last)).sent.map(([, message]) => message.params.data));
  assert.deepEqual(
    got,
    Array.from({ length: sent }, (_, i) => i + 1),
  );
  return sent;
}

for (const how of ["send", "sendRelated"])
  withClient(
    `between a replay and what comes next nothing is missing, and nothing comes twice: ${how}`,
    async (client) => {
      const any = draws(1);
      const store = new SponsonEventStore({ client: lateClient(client, any), session: "a" });
      const sent = await resumeAgainAndAgain(store, any, 200, how);
      assert.ok(sent > 100, `${sent} events`);
    },
  );

withClient("the same while the daemon is killed", async (client, stage) => {
  const going = resumeAgainAndAgain(new SponsonEventStore({ client, session: "a" }), draws(2), 300, "send");
  for (let kill = 0; kill < 3; kill++) {
    await pause(50);
    await stage.daemon.kill();
    await stage.daemon.start();
  }
  await inTime("all is read", going);
});

withClient("a session is deleted with what is in it, and its store stores nothing more", async (client) => {
  const store = new SponsonEventStore({ client, session: "a", ttlMs: 5000, prefix: "tool/" });
  const id = await store.storeEvent("x", {});
  assert.equal((await client.session("tool/a")).ttlMs, 5000);
  const under = store.storeEvent("x", note(1));
  await store.delete();
  await under;
  assert.equal(await codeOf(client.session("tool/a")), "SPN_E_UNKNOWN_SESSION");
  assert.equal(await store.getStreamIdForEventId(id), undefined);
  assert.equal(await codeOf(store.storeEvent("x", note(2))), "SPN_E_INVALID");
  assert.equal(await codeOf(client.session("tool/a")), "SPN_E_UNKNOWN_SESSION");
});

withClient("deleted before anything was stored, and twice", async (client) => {
  const store = new SponsonEventStore({ client, session: "a" });
  await store.delete();
  await store.delete();
});

withClient("a replay to a client that is slow takes as long as it takes", async (client) => {
  const timeoutMs = 200;
  const store = new SponsonEventStore({ client, session: "a", timeoutMs });
  const id = await store.storeEvent("x", {});
  await Promise.all(Array.from({ length: 200 }, (_, i) => store.storeEvent("x", note(i))));
  const sent = [];
  const send = async (_, { params }) => {
    if (sent.push(params.data) % 100 === 0) await pause(timeoutMs);
  };
  await inTime("the replay", store.replayEventsAfter(id, { send }));
  assert.deepEqual(
    sent,
    Array.from({ length: 200 }, (_, i) => i),
  );
});

withClient(
  "events that are trimmed in the middle of a replay: an error, not a hole",
  async (client) => {
    const store = new SponsonEventStore({ client, session: "a" });
    const more = () => Promise.all(Array.from({ length: 400 }, () => store.storeEvent("x", note("y".repeat(20_000)))));
    const id = await store.storeEvent("x", {});
    await more();
    let isFirst = true;
    const send = async () => {
      if (!isFirst) return;
      isFirst = false;
      await more();
    };
    assert.equal(await codeOf(inTime("the replay", store.replayEventsAfter(id, { send }))), "SPN_E_TRIMMED");
  },
  ["--retention-events=401"],
);

withClient(
  "a message over the event limit is refused, and the next one is not",
  async (client) => {
    const store = new SponsonEventStore({ client, session: "a" });
    const id = await store.storeEvent("x", {});
    assert.equal(await codeOf(store.storeEvent("x", note("a".repeat(2000)))), "SPN_E_EVENT_TOO_LARGE");
    await store.storeEvent("x", note("b"));
    assert.deepEqual(
      (await replayed(store, id)).sent.map(([, { params }]) => params.data),
      ["b"],
    );
  },
  ["--event-data-max=1024"],
);

staged(
  "without a sidecar: an error in time, and the process ends",
  async (stage) => {
    const app = `
    const { SponsonEventStore } = await import(${JSON.stringify(packageFile("mcp.mjs"))});
    const store = new SponsonEventStore({ session: "a", timeoutMs: 200 });
    const send = async () => {};
    for (const ask of [() => store.storeEvent("x", {}), () => store.getStreamIdForEventId("x~1"),
                       () => store.replayEventsAfter("x~1", { send }), () => store.delete()])
      await ask().catch((error) => console.log(error.code));`;
    const { status, output } = await runApp(stage, app, { env: { SPONSON_SOCKET_DIR: stage.directory } });
    assert.equal(output, "SPN_E_TIMEOUT\n".repeat(4));
    assert.equal(status, 0);
  },
  null,
);

test("a store without an MCP session is refused, and bad arguments by their name", async () => {
  const client = sponson.open({ socketDir: "/nowhere" });
  const wrong = [
    [undefined, /options/],
    [null, /options/],
    [{}, /session/],
    [{ session: undefined }, /session/],
    [{ session: "" }, /session/],
    [{ session: 7 }, /session/],
    [{ session: "a", prefix: 1 }, /prefix/],
    [{ session: "a", client: {} }, /client/],
    [{ session: "a", ttlMs: "1" }, /ttlMs/],
    [{ session: "a", ttlMs: -1 }, /ttlMs/],
    [{ session: "a", timeoutMs: NaN }, /timeoutMs/],
  ];
  for (const [options, words] of wrong)
    assert.throws(() => new SponsonEventStore(options), words, JSON.stringify(options));
  const store = new SponsonEventStore({ client, session: "a" });
  await assert.rejects(store.storeEvent(1, {}), /streamId/);
  await assert.rejects(store.storeEvent("x", "text"), /message/);
  await assert.rejects(store.storeEvent("x", null), /message/);
  await assert.rejects(store.replayEventsAfter(undefined, { send: () => {} }), /lastEventId/);
  await assert.rejects(store.replayEventsAfter("x~1", {}), /send/);
  await client.close();
  assert.equal(await codeOf(store.storeEvent("x", {})), "SPN_E_INVALID");
});
