// SPDX-License-Identifier: Apache-2.0
// Bad arguments: the language's own error, with the argument's name; and a class for each code.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { codeOf, packageFile, sponson, staged, withClient } from "./kit.mjs";

const native = createRequire(import.meta.url)(packageFile("sponson.node"));

test("each code of sponson.h has a class, with types", () => {
  const types = readFileSync(packageFile("index.d.ts"), "utf8");
  const codes = native.codes.slice(1);
  for (const { name, text } of codes) {
    const Class = Object.values(sponson).find((each) => each?.code === name);
    assert.ok(Class, `no class has the code ${name}`);
    const error = new Class();
    assert.ok(error instanceof sponson.SponsonError && error instanceof Error);
    assert.deepEqual([error.code, error.message, error.name], [name, text, Class.name]);
    assert.equal(sponson[Class.name], Class);
    assert.match(types, new RegExp(`class ${Class.name} `), `${Class.name} has no type`);
    assert.ok(types.includes(`"${name}"`), `${name} has no type`);
  }
  const classes = Object.values(sponson).filter(
    (each) => typeof each === "function" && each.prototype instanceof sponson.SponsonError,
  );
  assert.equal(classes.length, codes.length + 1 /* ConflictError */);
});

test("whatever index.mjs exports has a type", () => {
  const types = readFileSync(packageFile("index.d.ts"), "utf8");
  for (const name of Object.keys(sponson)) assert.match(types, new RegExp(`(class|function|const) ${name}\\b`));
});

/** Calls that are refused: [what is called, the name of the error's class, a word of its text]. */
const text = ["TypeError", "string or a Uint8Array"];
const table = (client, producer) => [
  ...[
    undefined,
    null,
    1,
    {},
    Symbol("s"),
    [],
    new Uint16Array(2),
    new ArrayBuffer(2),
    new DataView(new ArrayBuffer(2)),
  ].flatMap((bad) => [
    [() => producer.publish(bad, { data: "" }), text[0], `session must be a ${text[1]}`],
    [() => producer.publishMany(bad, []), text[0], `session must be a ${text[1]}`],
    [() => producer.closeSession(bad), text[0], `session must be a ${text[1]}`],
    [() => client.subscribe(bad), text[0], `session must be a ${text[1]}`],
    [() => client.replay(bad), text[0], `session must be a ${text[1]}`],
    [() => client.last(bad), text[0], `session must be a ${text[1]}`],
    [() => client.session(bad), text[0], `name must be a ${text[1]}`],
    [() => client.publishOnce(bad, { data: "" }), text[0], `session must be a ${text[1]}`],
    [() => client.setSession(bad, {}), text[0], `session must be a ${text[1]}`],
  ]),
  ...[null, 1, {}, [], new Uint16Array(2)].flatMap((bad) => [
    [() => producer.publish("s", { data: bad }), text[0], `data must be a ${text[1]}`],
    [() => producer.publish("s", { id: bad, data: "" }), text[0], `id must be a ${text[1]}`],
    [() => producer.publish("s", { type: bad, data: "" }), text[0], `type must be a ${text[1]}`],
    [() => producer.publish("s", { note: bad, data: "" }), text[0], `note must be a ${text[1]}`],
    [() => client.publishOnce("s", { id: "1", data: bad }), text[0], `data must be a ${text[1]}`],
    [() => sponson.formatEvent({ data: bad }), text[0], `data must be a ${text[1]}`],
  ]),
  ...[undefined, null, 1, "s"].flatMap((bad) => [
    [() => producer.publish("s", bad), "TypeError", "event must be an object"],
    [() => client.publishOnce("s", bad), "TypeError", "event must be an object"],
    [() => producer.setSession("s", bad), "TypeError", "attributes must be an object"],
    [() => sponson.formatEvent(bad), "TypeError", "event must be an object"],
    [() => producer.publishMany("s", [{ data: "" }, bad]), "TypeError", "events[1] must be an object"],
  ]),
  [() => producer.publishMany("s"), "TypeError", "events must be iterable"],
  [() => producer.publish("s", { data: "", kind: "x" }), "TypeError", "kind must be one of event, marker, reset"],
  ...[-1, 1.5, NaN, Infinity, 2 ** 32].map((bad) => [
    () => producer.publish("s", { data: "", retryMs: bad }),
    "RangeError",
    "retryMs must be",
  ]),
  [() => producer.publish("s", { data: "", retryMs: "1" }), "TypeError", "retryMs must be a number"],
  [() => producer.publish("s", { data: "" }, { ifSeq: -1 }), "RangeError", "ifSeq must be"],
  [() => producer.publish("s", { data: "" }, { ifSeq: 1n }), "TypeError", "ifSeq must be a number"],
  [() => producer.publish("s", { data: "" }, { ifNew: 1 }), "TypeError", "ifNew must be true or false"],
  [() => producer.publish("s", { data: "" }, { closes: "yes" }), "TypeError", "closes must be true or false"],
  ...["", "x".repeat(32), "ABCDEF".repeat(6), 5, {}].map((bad) => [
    () => producer.publish("s", { data: "" }, { life: bad }),
    "TypeError",
    "life must be a string of 32 hexadecimal digits",
  ]),
  [() => producer.publish("s", { data: "" }, { reason: 1, closes: true }), text[0], `reason must be a ${text[1]}`],
  [
    () => producer.publish("s", { data: "" }, { dependsOn: Promise.resolve() }),
    "TypeError",
    "dependsOn must be a promise of this producer",
  ],
  [() => producer.publish("s", { data: "" }, null), "TypeError", "options must be an object"],
  [() => producer.publish("s", { data: "" }, { signal: {} }), "TypeError", "signal must be an AbortSignal"],
  [() => producer.setSession("s", { ttlMs: "1" }), "TypeError", "ttlMs must be a number"],
  [() => producer.setSession("s", { contentType: 1 }), text[0], `contentType must be a ${text[1]}`],
  [() => producer.close({ timeoutMs: "1" }), "TypeError", "timeoutMs must be a number"],
  [() => producer.close({ timeoutMs: NaN }), "RangeError", "timeoutMs must not be negative"],
  [() => client.subscribe("s", { from: "here" }), "TypeError", "from must be one of earliest, now"],
  [() => client.subscribe("s", { otherwise: "x" }), "TypeError", "otherwise must be fail, restart or wait"],
  [
    () => client.subscribe("s", { otherwise: ["wait", "toString"] }),
    "TypeError",
    "otherwise must be fail, restart or wait",
  ],
  [() => client.subscribe("s", { after: "1", from: "now" }), "TypeError", "only one of after, cursor and from"],
  [() => client.subscribe("s", { after: 1 }), text[0], `after must be a ${text[1]}`],
  [() => client.subscribe("s", { cursor: "spn:1" }), "TypeError", "cursor must be"],
  [() => client.subscribe("s", { cursor: { life: 1, seq: 1 } }), "TypeError", "life must be"],
  [() => client.subscribe("s", { cursor: { life: "1".repeat(32), seq: -1 } }), "RangeError", "number must be"],
  [() => client.subscribe("s", { as: "x" }), "TypeError", "as must be text or bytes"],
  [() => client.subscribe("s", { signal: 1 }), "TypeError", "signal must be an AbortSignal"],
  [() => client.subscribe("s", null), "TypeError", "options must be an object"],
  [() => client.subscribe("s", { windowBytes: "1" }), "TypeError", "windowBytes must be a number"],
  [() => client.follow({ after: "x" }), "TypeError", "after must be an object"],
  [() => client.follow({ after: {} }), "TypeError", "after must have a database and a position"],
  [() => client.follow({ prefix: 1 }), text[0], `prefix must be a ${text[1]}`],
  [() => client.follow({ touches: 1 }), "TypeError", "touches must be true or false"],
  [() => client.producer({ level: "x" }), "TypeError", "level must be one of none, accepted, durable"],
  [() => client.producer({ id: "1" }), "TypeError", "id must be a string of 32 hexadecimal digits"],
  [() => client.producer({ windowEvents: -1 }), "RangeError", "windowEvents must be"],
  [() => client.producer({ latestOnly: 1 }), "TypeError", "latestOnly must be true or false"],
  [() => client.producer(null), "TypeError", "options must be an object"],
  [() => client.sessions({ prefix: 5 }).next(), text[0], `prefix must be a ${text[1]}`],
  [() => client.health({ signal: "x" }), "TypeError", "signal must be an AbortSignal"],
  [() => sponson.connect(null), "TypeError", "options must be an object"],
  [() => sponson.connect({ socketDir: 1 }), "TypeError", "socketDir must be a string"],
  [() => sponson.connect({ socketDir: "a\0b" }), "TypeError", "socketDir must be a string without NUL"],
  [() => sponson.connect({ sendHwm: -1 }), "RangeError", "sendHwm must be"],
  [() => sponson.connect({ timeoutMs: -1 }), "RangeError", "timeoutMs must not be negative"],
  [() => new sponson.SseParser({ eventMax: "x" }), "TypeError", "eventMax must be a number"],
  [() => new sponson.SseParser().push(1), "TypeError", "chunk must be a string or a Uint8Array"],
  [() => (producer.onrefused = 1), "TypeError", "onrefused must be a function"],
];

withClient("wrong types and bounds", async (client) => {
  const producer = await client.producer();
  for (const [call, name, words] of table(client, producer)) {
    let error;
    try {
      await call();
    } catch (caught) {
      error = caught;
    }
    assert.equal(error?.constructor.name, name, `${call}: ${error}`);
    assert.ok(error.message.includes(words), `${call}: ${error.message}`);
  }
  assert.equal((await producer.publish("s", { data: "still works" })).result, "stored");
});

withClient("what only the library can know", async (client) => {
  const producer = await client.producer();
  const cases = [
    [producer.publish("", { data: "" }), "SPN_E_BAD_SESSION"],
    [producer.publish("x".repeat(256), { data: "" }), "SPN_E_BAD_SESSION"],
    [producer.publish(Buffer.from([0xff]), { data: "" }), "SPN_E_BAD_SESSION"],
    [producer.publish("s", { data: "", id: "a\nb" }), "SPN_E_BAD_ID"],
    [producer.publish("s", { data: "", type: "a\0" }), "SPN_E_BAD_TYPE"],
    [producer.publish("s", { data: "x".repeat((4 << 20) + 1) }), "SPN_E_EVENT_TOO_LARGE"],
    [producer.publish("s", { data: "", note: "x".repeat(513) }), "SPN_E_BAD_NOTE"],
    [producer.publish("s", { data: "" }, { closes: true, reason: "idle" }), "SPN_E_BAD_REASON"],
    [producer.publish("s", { data: "" }, { ifNew: true, ifSeq: 1 }), "SPN_E_INVALID"],
    [producer.publish("s", { kind: "marker" }), "SPN_E_INVALID"],
    [producer.setSession("s", { contentType: "\n" }), "SPN_E_BAD_ATTRIBUTES"],
    [client.last(""), "SPN_E_BAD_SESSION"],
    [(async () => client.subscribe(""))(), "SPN_E_BAD_SESSION"],
    [(async () => client.follow({ prefix: Buffer.from([0xff]) }))(), "SPN_E_BAD_PREFIX"],
    [sponson.connect({ readBytesMax: 1 }), "SPN_E_INVALID"],
  ];
  for (const [promise, code] of cases) {
    const error = await promise.catch((caught) => caught);
    assert.equal(error.code, code);
    assert.ok(error instanceof sponson.SponsonError && error.message.length > 0);
  }
});

staged("the addon itself takes no wrong object", async (stage) => {
  const room = new Float64Array(64);
  const client = new native.Client({ socketDir: stage.directory }, () => {}, room);
  const producer = new native.Producer(client, undefined);
  const fakes = [
    undefined,
    null,
    1,
    {},
    producer,
    Object.create(native.Client.prototype),
    Object.setPrototypeOf(producer, native.Client.prototype),
  ];
  Object.setPrototypeOf(producer, native.Producer.prototype);
  for (const fake of fakes)
    for (const make of [
      () => new native.Producer(fake),
      () => new native.Reader(fake, 1, 0, "s"),
      () => new native.Question(fake, 1, 0, "s"),
    ])
      assert.throws(make, TypeError);
  for (const Class of [native.Client, native.Producer, native.Reader, native.Question, native.Sse]) {
    assert.throws(() => Class(), TypeError);
    for (const name of Object.getOwnPropertyNames(Class.prototype).filter((each) => each !== "constructor"))
      for (const fake of [
        undefined,
        {},
        Class === native.Client ? producer : client,
        Object.create(Class.prototype),
      ])
        assert.throws(() => Class.prototype[name].call(fake), `${Class.name}.${name}`);
  }
  assert.throws(() => new native.Client({}, () => {}, []));
  assert.throws(() => new native.Client({}, () => {}, new Uint8Array(8)), TypeError);
  assert.throws(() => new native.Client({}, undefined, room));
  await client.close();
  assert.throws(() => client.step(), { code: "SPN_E_INVALID" });
  assert.throws(() => producer.publish("s", 0), { code: "SPN_E_INVALID" });
});

staged(
  "connect: nobody there, not in time, aborted",
  async (stage) => {
    const socketDir = stage.directory;
    assert.equal(await codeOf(sponson.connect({ socketDir, atOnce: true })), "SPN_E_UNAVAILABLE");
    const late = await sponson.connect({ socketDir, timeoutMs: 20 }).catch((error) => error);
    assert.ok(late instanceof sponson.TimeoutError && late.message.includes("20 ms"), late);
    const reason = new Error("enough");
    const abort = new AbortController();
    setImmediate(() => abort.abort(reason));
    await assert.rejects(sponson.connect({ socketDir, signal: abort.signal }), reason);
    const client = sponson.open({ socketDir });
    assert.equal(client.dataMax, 0);
    const asked = client.health();
    const [producer] = await Promise.all([client.producer(), stage.startDaemon()]);
    assert.equal((await producer.publish("s", { data: "a" })).result, "stored");
    assert.equal((await asked).status, "healthy");
    await client.close();
    await client.close();
    await assert.rejects(client.health(), sponson.InvalidError);
  },
  null,
);
