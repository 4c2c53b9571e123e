// SPDX-License-Identifier: Apache-2.0
// sponson/resumable-stream, beside what the package's own tests show (test_suites.mjs).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  codeOf,
  draws,
  inTime,
  packageFile,
  pause,
  runApp,
  sponson,
  staged,
  take,
  toArray,
  until,
  withClient,
} from "./kit.mjs";

const { createResumableStreamContext, UnfinishedError } = await import(packageFile("resumable-stream.mjs"));

const session = (id) => `resumable-stream:rs:${id}`;
const streamOf = (chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

/** A context whose promises are in `written`, and its errors in `errors`. */
function contextOf(client, options) {
  const written = [],
    errors = [];
  const waitUntil = (promise) => written.push(promise);
  const context = createResumableStreamContext({
    client,
    waitUntil,
    onError: (error) => errors.push(error),
    ...options,
  });
  return { ...context, errors, end: () => inTime("all is written", Promise.all(written)) };
}

/** A stream whose chunks the test gives one by one. */
function byHand() {
  let controller;
  const canceled = [];
  const stream = new ReadableStream({ start: (c) => (controller = c), cancel: (reason) => canceled.push(reason) });
  return {
    make: () => stream,
    write: (chunk) => controller.enqueue(chunk),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
    canceled,
  };
}

const never = () => assert.fail("a stream was made");
const textOf = async (stream) => (await inTime("the stream ends", toArray(stream))).join("");

const chunks = [
  "",
  "a\r\nb\r\rc\n",
  "\ud800",
  "x\udc00",
  "\ud83d",
  "\ude00",
  "😀",
  "\0\u2028\u{10ffff}",
  "data: x\n\n",
  "\ufeff",
  "",
];

withClient("chunks come as they were written, whatever they hold", async (client) => {
  const context = contextOf(client);
  assert.deepEqual(await toArray(await context.resumableStream("a", () => streamOf(chunks))), chunks);
  assert.deepEqual(context.errors, []);
});

withClient(
  "a chunk over the event limit is split, and never inside a character",
  async (client) => {
    const context = contextOf(client);
    assert.equal(client.dataMax, 1024);
    for (const [id, text] of Object.entries({
      ascii: "a".repeat(50_000),
      pairs: "b" + "😀".repeat(3000),
      worst: "\0".repeat(9999),
      lone: "\ud800".repeat(5000),
    })) {
      const pieces = await toArray(await context.createNewResumableStream(id, () => streamOf([text])));
      assert.equal(pieces.join(""), text);
      assert.ok(pieces.length > text.length / 1024, `${id}: ${pieces.length}`);
      if (id === "pairs") for (const piece of pieces) assert.ok(!/[\ud800-\udbff]$/.test(piece));
    }
  },
  ["--event-data-max=1024"],
);

withClient("skipped characters are counted over chunks and pieces", async (client) => {
  const context = contextOf(client);
  const texts = ["", "ab", "c", "", "x".repeat(70_000), "de"];
  const text = texts.join("");
  const hand = byHand();
  await context.resumableStream("a", hand.make);
  for (const chunk of texts) hand.write(chunk);
  const streams = [];
  const skips = [undefined, 0, 1, 2, 3, 4, 65_537, text.length - 1, text.length, text.length + 5, 2.9];
  for (const skip of skips) streams.push(await context.resumeExistingStream("a", skip));
  hand.end();
  for (const [i, skip] of skips.entries())
    assert.equal(await textOf(streams[i]), text.slice(skip ?? 0), `skip ${skip}`);
});

withClient("what is not read is written all the same; a reader that goes away changes nothing", async (client) => {
  const context = contextOf(client);
  await context.createNewResumableStream("unread", () => streamOf(["a", "b"]));
  await context.end();
  assert.equal(await context.hasExistingStream("unread"), "DONE");
  assert.deepEqual(
    (await toArray(client.replay(session("unread")))).map((event) => event.data),
    ['"a"', '"b"'],
  );

  const hand = byHand();
  const reader = (await context.createNewResumableStream("left", hand.make)).getReader();
  hand.write("a");
  assert.deepEqual(await reader.read(), { value: "a", done: false });
  const other = await context.resumeExistingStream("left");
  await reader.cancel();
  hand.write("b");
  hand.end();
  assert.equal(await textOf(other), "ab");
});

withClient("of an unknown stream, of one that is under way, of one that ended", async (client) => {
  const context = contextOf(client);
  const hand = byHand();
  assert.equal(await context.hasExistingStream("a"), null);
  assert.equal(await context.resumeExistingStream("a"), undefined);
  const stream = await context.createNewResumableStream("a", hand.make);
  assert.equal(await context.hasExistingStream("a"), true);
  hand.end();
  assert.equal(await textOf(stream), "");
  assert.equal(await context.hasExistingStream("a"), "DONE");
  assert.equal(await context.resumeExistingStream("a"), null);
  assert.equal(await context.resumableStream("a", never), null);
  assert.equal(await context.createNewResumableStream("a", never), null);
  const { ttlMs, idleCloseMs } = await client.session(session("a"));
  assert.deepEqual({ ttlMs, idleCloseMs }, { ttlMs: 86_400_000, idleCloseMs: 60_000 });
  assert.equal(await createResumableStreamContext({ client, keyPrefix: "other" }).hasExistingStream("a"), null);
});

withClient("a stream that fails: its readers do, and it is done", async (client) => {
  const context = contextOf(client);
  const hand = byHand();
  const stream = await context.createNewResumableStream("a", hand.make);
  const reader = stream.getReader();
  hand.write("a");
  assert.equal((await reader.read()).value, "a");
  hand.fail(new Error("on purpose"));
  const failed = await reader.read().catch((error) => error);
  assert.ok(failed instanceof UnfinishedError);
  assert.equal(failed.reason, "writer failed");
  await context.end();
  assert.deepEqual(
    context.errors.map((error) => error.message),
    ["on purpose"],
  );
  assert.equal(await context.hasExistingStream("a"), "DONE");

  const bytes = await context.createNewResumableStream("bytes", () => streamOf(["a", new Uint8Array(1)]));
  await assert.rejects(toArray(bytes), UnfinishedError);
  await context.end();
  assert.match(context.errors[1].message, /chunk must be a string/);
});

withClient("a stream that cannot be made never was", async (client) => {
  const context = contextOf(client);
  const makers = {
    throws: () => {
      throw new Error("on purpose");
    },
    nothing: () => undefined,
    locked: () => {
      const stream = streamOf([]);
      stream.getReader();
      return stream;
    },
  };
  for (const [name, make] of Object.entries(makers)) {
    await assert.rejects(context.resumableStream(name, make), Error);
    assert.equal(await context.hasExistingStream(name), null, name);
    assert.equal(await textOf(await context.resumableStream(name, () => streamOf(["x"]))), "x");
  }
  const waitUntil = () => {
    throw new Error("outside of a request");
  };
  const other = createResumableStreamContext({ client, waitUntil });
  await assert.rejects(other.resumableStream("waits", never), /outside of a request/);
  assert.equal(await other.hasExistingStream("waits"), null);
});

withClient("a stream that is deleted in its middle does not come back", async (client) => {
  const context = contextOf(client, { idleCloseMs: 0 }); // no touch tells it
  const hand = byHand();
  const stream = await context.createNewResumableStream("a", hand.make);
  const reader = stream.getReader();
  hand.write("a");
  assert.equal((await reader.read()).value, "a");
  await client.deleteSession(session("a"));
  hand.write("b");
  assert.equal(await codeOf(reader.read()), "SPN_E_DELETED");
  await context.end();
  assert.equal(context.errors[0].code, "SPN_E_UNKNOWN_SESSION");
  assert.equal(hand.canceled.length, 1);
  assert.equal(await context.hasExistingStream("a"), null);
});

withClient("a silent stream that is deleted is canceled with its next touch", async (client) => {
  const context = contextOf(client, { idleCloseMs: 1000 });
  const hand = byHand();
  await context.createNewResumableStream("a", hand.make);
  await client.deleteSession(session("a"));
  await context.end();
  assert.deepEqual(
    hand.canceled.map((error) => error.code),
    ["SPN_E_UNKNOWN_SESSION"],
  );
  assert.equal(await context.hasExistingStream("a"), null);
});

withClient(
  "a stream whose beginning is gone fails; it is not shortened",
  async (client) => {
    const context = contextOf(client);
    const hand = byHand();
    await context.createNewResumableStream("a", hand.make);
    for (let i = 0; i < 50; i++) hand.write(`${i} `);
    await until("all is stored", async () => (await client.session(session("a"))).seq === 50);
    assert.equal(await codeOf(inTime("it fails", toArray(await context.resumeExistingStream("a")))), "SPN_E_TRIMMED");
    hand.end();
    await context.end();
  },
  ["--retention-events=10"],
);

const writerApp = (body) => `
  const { createResumableStreamContext } = await import(${JSON.stringify(packageFile("resumable-stream.mjs"))});
  const client = await sponson.connect({ socketDir: dir });
  ${body}`;

withClient("a writer that dies: its stream ends as idle", async (client, stage) => {
  const app = writerApp(`
    const context = createResumableStreamContext({ client, waitUntil: null, idleCloseMs: 1000 });
    const stream = await context.createNewResumableStream("a", () => new ReadableStream({
      start: (controller) => controller.enqueue("so far"),
    }));
    await stream.getReader().read();
    process.kill(process.pid, "SIGKILL");`);
  assert.equal((await runApp(stage, app)).signal, "SIGKILL");
  const context = contextOf(client);
  assert.equal(await context.hasExistingStream("a"), true);
  const reader = (await context.resumeExistingStream("a")).getReader();
  assert.equal((await reader.read()).value, "so far");
  const failed = await inTime("it ends", reader.read()).catch((error) => error);
  assert.ok(failed instanceof UnfinishedError);
  assert.equal(failed.reason, "idle");
  assert.equal(await context.hasExistingStream("a"), "DONE");
  assert.equal(await context.resumableStream("a", never), null);
});

withClient("a writer that is silent for longer than that is not gone", async (client) => {
  const context = contextOf(client, { idleCloseMs: 1000 });
  const hand = byHand();
  const stream = await context.createNewResumableStream("a", hand.make);
  await pause(2500);
  hand.write("late");
  hand.end();
  assert.equal(await textOf(stream), "late");
});

withClient("processes that ask for a stream at the same time: one makes it, all read it", async (client, stage) => {
  const app = writerApp(`
    const context = createResumableStreamContext({ client, waitUntil: null });
    const made = [];
    const read = async (number) => {
      const make = () => {
        made.push(number);
        return new ReadableStream({
          async pull(controller) {
            controller.enqueue(process.pid + " ");
            if (++this.count === 20) controller.close();
          },
          count: 0,
        });
      };
      let text = "";
      for await (const chunk of await context.resumableStream("at once " + number, make) ?? []) text += chunk;
      return text;
    };
    const texts = await Promise.all(Array.from({ length: 50 }, (_, number) => read(number)));
    console.log(JSON.stringify({ made, texts }));`);
  const apps = await Promise.all([1, 2, 3].map(() => runApp(stage, app)));
  const found = apps.map(({ output }) => JSON.parse(output));
  const made = found.flatMap((each) => each.made).sort((a, b) => a - b);
  assert.deepEqual(
    made,
    Array.from({ length: 50 }, (_, number) => number),
  );
  for (let number = 0; number < 50; number++) {
    const texts = new Set(found.map(({ texts }) => texts[number]).filter((text) => text !== "")); // "": it was done
    assert.equal(texts.size, 1);
    assert.match([...texts][0], /^(\d+ )\1{19}$/);
  }
});

staged(
  "without a sidecar: an error in time, and the process ends",
  async (stage) => {
    const app = `
    const { createResumableStreamContext } = await import(${JSON.stringify(packageFile("resumable-stream.mjs"))});
    const context = createResumableStreamContext({ waitUntil: null, timeoutMs: 200 });
    const never = () => { throw new Error("made"); };
    for (const ask of [() => context.hasExistingStream("a"), () => context.resumeExistingStream("a"),
                       () => context.resumableStream("a", never), () => context.createNewResumableStream("a", never)])
      await ask().catch((error) => console.log(error.code));`;
    const { status, output } = await runApp(stage, app, { env: { SPONSON_SOCKET_DIR: stage.directory } });
    assert.equal(output, "SPN_E_TIMEOUT\n".repeat(4));
    assert.equal(status, 0);
  },
  null,
);

withClient("a stream that was claimed in vain can be made again", async (client, stage) => {
  const context = contextOf(client, { timeoutMs: 300 });
  const stop = () => stage.daemon.child.kill("SIGSTOP");
  const goOn = () => stage.daemon.child.kill("SIGCONT");
  await textOf(await context.resumableStream("first", () => streamOf(["x"])));
  const ask = client.session;
  const vain = {
    "the sidecar stops before the claim": () => stop(),
    "the sidecar stops after the claim": () => {
      client.session = function (...words) {
        delete client.session;
        stop();
        return ask.apply(client, words);
      };
    },
  };
  for (const [id, begin] of Object.entries(vain)) {
    begin();
    assert.equal(await codeOf(context.resumableStream(id, never)), "SPN_E_TIMEOUT", id);
    goOn();
    const stream = await context.resumableStream(id, () => streamOf(["a", "b"]));
    assert.equal(await textOf(stream), "ab", id);
  }
});

withClient("whoever deletes the session ends the source, also when it gives nothing", async (client) => {
  const ways = {
    deleted: (name) => client.deleteSession(name),
    reopened: async (name) => {
      await client.deleteSession(name);
      await client.publishOnce(name, { id: "other", data: "" });
    },
  };
  for (const [id, take] of Object.entries(ways)) {
    const context = contextOf(client, { idleCloseMs: 400 });
    const source = byHand();
    await context.resumableStream(id, source.make);
    await take(session(id));
    await context.end();
    assert.deepEqual([source.canceled.length, context.errors.length], [1, 1], id);
  }
});

withClient("two claim while the sidecar is stopped: one makes the stream, and both read it", async (client, stage) => {
  const other = await sponson.connect({ socketDir: stage.directory });
  const contexts = [client, other].map((each) => contextOf(each));
  for (const [i, context] of contexts.entries())
    await textOf(await context.resumableStream(`first${i}`, () => streamOf([])));
  stage.daemon.child.kill("SIGSTOP");
  const source = byHand();
  let made = 0;
  const asked = contexts.map((context) => context.resumableStream("s", () => (made++, source.make())));
  await pause(50);
  stage.daemon.child.kill("SIGCONT");
  const texts = (await inTime("both", Promise.all(asked))).map(textOf);
  await stage.daemon.kill();
  source.write("a");
  source.write("");
  source.write("b");
  source.end();
  await stage.daemon.start();
  assert.deepEqual([await Promise.all(texts), made], [["ab", "ab"], 1]);
  await other.close();
});

withClient("what a long stream leaves in memory", async (client) => {
  const context = contextOf(client);
  const heaps = [];
  const all = 60_000;
  let written = 0;
  const source = new ReadableStream({
    pull(controller) {
      if (written % 20_000 === 0) {
        globalThis.gc();
        heaps.push(process.memoryUsage().heapUsed);
      }
      controller.enqueue(`${written} `.padEnd(100, "."));
      if (++written === all) controller.close();
    },
  });
  await context.createNewResumableStream("a", () => source);
  await context.end();
  assert.deepEqual(context.errors, []);
  globalThis.gc();
  heaps.push(process.memoryUsage().heapUsed);
  const grown = Math.max(...heaps.slice(2)) - heaps[1];
  assert.ok(grown < 4 << 20, `${grown} bytes: ${heaps}`);
});

withClient("streams of any chunks are read as they were written while the daemon is killed", async (client, stage) => {
  const any = draws(7);
  const context = contextOf(client);
  const letters = ["a", "\r", "\n", "\ud83d", "\ude00", "é", "\0"];
  const text = () => Array.from({ length: any(40) }, () => letters[any(letters.length)]).join("");
  const all = Array.from({ length: 12 }, () => Array.from({ length: 100 }, text));
  const paced = (chunks) => {
    const left = [...chunks];
    return new ReadableStream({
      async pull(controller) {
        await pause(any(10));
        if (left.length > 0) controller.enqueue(left.shift());
        else controller.close();
      },
    });
  };
  const reading = all.map(async (chunks, i) => {
    const first = await context.createNewResumableStream(`s${i}`, () => paced(chunks));
    const skip = any(chunks.join("").length);
    const second = await context.resumeExistingStream(`s${i}`, skip);
    const [whole, rest] = await Promise.all([toArray(first), toArray(second)]);
    assert.deepEqual(whole, chunks);
    assert.equal(rest.join(""), chunks.join("").slice(skip));
  });
  for (let kill = 0; kill < 3; kill++) {
    await pause(100);
    await stage.daemon.kill();
    await stage.daemon.start();
  }
  await inTime("all is read", Promise.all(reading));
  assert.deepEqual(context.errors, []);
});

test("bad arguments are refused by their name", async () => {
  const client = sponson.open({ socketDir: "/nowhere" });
  const wrong = [
    [undefined, /options/],
    [null, /options/],
    [{ waitUntil: 1 }, /waitUntil/],
    [{ keyPrefix: 1 }, /keyPrefix/],
    [{ client: {} }, /client/],
    [{ idleCloseMs: "1" }, /idleCloseMs/],
    [{ idleCloseMs: -1 }, /idleCloseMs/],
    [{ ttlMs: null, client: 1 }, /client/],
    [{ ttlMs: NaN }, /ttlMs/],
    [{ timeoutMs: -5 }, /timeoutMs/],
    [{ onError: 3 }, /onError/],
    [{ publisher: {} }, /publisher/],
    [{ subscriber: {} }, /subscriber/],
  ];
  for (const [options, words] of wrong)
    assert.throws(
      () => createResumableStreamContext(options),
      (error) => words.test(error.message) && (error instanceof TypeError || error instanceof RangeError),
      JSON.stringify(options),
    );
  const context = createResumableStreamContext({ client, waitUntil: null });
  const calls = [
    [() => context.resumableStream(1, never), /streamId/],
    [() => context.resumableStream("a"), /makeStream/],
    [() => context.resumableStream("a", never, "1"), /skipCharacters/],
    [() => context.resumeExistingStream("a", -1), /skipCharacters/],
    [() => context.resumeExistingStream(), /streamId/],
    [() => context.resumeExistingStream("a", NaN), /skipCharacters/],
    [() => context.hasExistingStream(null), /streamId/],
  ];
  for (const [call, words] of calls) await assert.rejects(call(), (error) => words.test(error.message));
  await client.close();
  assert.equal(await codeOf(context.hasExistingStream("a")), "SPN_E_INVALID");
});
