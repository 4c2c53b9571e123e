// SPDX-License-Identifier: Apache-2.0
// How processes and workers end, with what is open; and the daemon that stops, is killed and comes back.
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { once } from "node:events";
import { inTime, packageFile, pause, runApp, sponson, staged, take, toArray, withClient } from "./kit.mjs";

/** Programs that end by themselves, with their status and what they print. */
const apps = {
  "forgets to close everything": [
    `const c = await sponson.connect({ socketDir: dir });
     const p = await c.producer();
     await p.publish("s", { data: "a" });
     const sub = c.subscribe("s");
     await sub.next();
     await c.health();
     console.log("end");`,
    0,
    "end\n",
  ],
  "what is not awaited is published all the same": [
    `const c = await sponson.connect({ socketDir: dir });
     const p = await c.producer();
     for (let i = 0; i < 100; i++) p.publish("left", { data: String(i) });`,
    0,
    "",
  ],
  "a client that nobody awaits": [`sponson.open({ socketDir: dir + "/nothing" }); console.log("end");`, 0, "end\n"],
  "process.exit while everything is under way": [
    `const c = await sponson.connect({ socketDir: dir });
     const p = await c.producer();
     p.publishMany("s", Array.from({ length: 5000 }, () => ({ data: "x" }))).catch(() => {});
     c.subscribe("never", { otherwise: "wait" }).next();
     c.health();
     c.close();
     console.log("end");
     process.exit(3);`,
    3,
    "end\n",
  ],
  "an exception that nobody catches": [
    `const c = await sponson.connect({ socketDir: dir });
     c.subscribe("never", { otherwise: "wait" }).next();
     console.log("end");
     setImmediate(() => { throw new Error("on purpose"); });`,
    1,
    /^end\n[^]*on purpose/,
  ],
  "closes twice, and while it closes": [
    `const c = await sponson.connect({ socketDir: dir });
     const p = await c.producer();
     await Promise.all([c.close(), c.close(), p.close()]);
     await c.close();
     console.log("end");`,
    0,
    "end\n",
  ],
  "await using": [
    `await (async () => {
       const c = await sponson.connect({ socketDir: dir });
       const p = await c.producer();
       await p[Symbol.asyncDispose]();
       await c[Symbol.asyncDispose]();
     })();
     console.log("end");`,
    0,
    "end\n",
  ],
  "an event stream that was dropped after a beat": [
    `const c = await sponson.connect({ socketDir: dir });
     const stream = c.subscribe("never", { otherwise: "wait" }).eventStream({ heartbeatMs: 1 }).getReader();
     await stream.read();
     console.log("end");`,
    0,
    "end\n",
  ],
  "bytes that were detached, and no room": [
    `const c = await sponson.connect({ socketDir: dir });
     const p = await c.producer({ windowEvents: 1 });
     const data = new Uint8Array(100);
     structuredClone(data, { transfer: [data.buffer] });
     p.publish("s", { data: "x" });
     await p.publish("s", { data }).catch((error) => console.log(error.name));`,
    0,
    "TypeError\n",
  ],
};
for (const [name, [source, status, output]] of Object.entries(apps))
  staged(`an app: ${name}`, async (stage) => {
    const ended = await runApp(stage, source);
    assert.deepEqual([ended.signal, ended.status], [null, status], ended.output);
    if (output instanceof RegExp) assert.match(ended.output, output);
    else assert.equal(ended.output, output);
    if (!name.startsWith("what is not awaited")) return;
    const client = await sponson.connect({ socketDir: stage.directory });
    assert.equal((await toArray(client.replay("left"))).length, 100);
    await client.close();
  });

staged("Ctrl-C in the middle of an await ends the process", async (stage) => {
  const source = `
    const c = await sponson.connect({ socketDir: dir });
    setImmediate(() => process.kill(process.pid, "SIGINT"));
    for await (const event of c.subscribe("never", { otherwise: "wait" })) console.log(event);`;
  assert.equal((await runApp(stage, source)).signal, "SIGINT");
});

const workerSource = (dir) => `
  const { parentPort } = require("node:worker_threads");
  (async () => {
    const sponson = await import(${JSON.stringify(packageFile("index.mjs"))});
    const c = await sponson.connect({ socketDir: ${JSON.stringify(dir)} });
    const p = await c.producer();
    const sub = c.subscribe("never", { otherwise: "wait" });
    sub.next();
    await p.publish("w", { data: "from a worker" });
    parentPort.postMessage("ready");
    for (;;) await p.publish("w", { data: "again" });
  })();`;

withClient("workers: each has its own, and is terminated in the middle", async (client, stage) => {
  for (let round = 0; round < 5; round++) {
    const workers = Array.from({ length: 3 }, () => new Worker(workerSource(stage.directory), { eval: true }));
    await inTime("they are ready", Promise.all(workers.map((worker) => once(worker, "message"))));
    await inTime("they end", Promise.all(workers.map((worker) => worker.terminate())));
  }
  assert.ok((await client.last("w")).seq >= 15);
});

withClient("a worker that ends by itself, and forgot to close", async (client, stage) => {
  const worker = new Worker(
    `(async () => {
      const sponson = await import(${JSON.stringify(packageFile("index.mjs"))});
      const c = await sponson.connect({ socketDir: ${JSON.stringify(stage.directory)} });
      const p = await c.producer();
      await p.publish("w", { data: "x" });
    })();`,
    { eval: true },
  );
  const [status] = await inTime("it ends", once(worker, "exit"));
  assert.equal(status, 0);
  assert.equal((await client.last("w")).seq, 1);
});

/** What a worker does to end in the middle of what calls it. It has c, p and an event in the session "w". */
const exits = {
  "a getter": `await p.publish("w", { get data() { process.exit(4); } });`,
  "the body of a loop": `for await (const event of c.subscribe("w")) process.exit(4);`,
  "a signal's listener": `
    const abort = new AbortController();
    const { signal } = abort;
    c.subscribe("w", { signal }).next().catch(() => {});
    p.publish("w", { data: "y" }, { signal }).catch(() => {});
    signal.addEventListener("abort", () => process.exit(4));
    c.close();
    abort.abort();`,
  "a turn": `c.health().then(() => process.exit(4)); for (;;) await p.publish("w", { data: "y" });`,
  "a refusal": `
    const refused = await c.producer({ level: "none" });
    refused.onrefused = () => process.exit(4);
    await c.closeSession("w");
    await refused.publish("w", { data: "y" });
    for (;;) await c.health();`,
  "a close": `c.close(); for (let i = 0; i < 20; i++) sponson.open({ socketDir }).close(); process.exit(4);`,
};
for (const [name, source] of Object.entries(exits))
  staged(`a worker: process.exit in ${name}`, async (stage) => {
    const worker = new Worker(
      `(async () => {
        const sponson = await import(${JSON.stringify(packageFile("index.mjs"))});
        const socketDir = ${JSON.stringify(stage.directory)};
        const c = await sponson.connect({ socketDir });
        const p = await c.producer();
        await p.publish("w", { data: "x" });
        ${source}
      })();`,
      { eval: true },
    );
    assert.deepEqual(await inTime("it ends", once(worker, "exit")), [4]);
  });

withClient("the daemon is killed and starts again: nobody notices but the clock", async (client, stage) => {
  const producer = await client.producer();
  const reading = take(300, client.subscribe("s", { otherwise: "wait" }));
  for (let i = 0; i < 300; i++) {
    const stored = producer.publish("s", { data: `${i}` });
    if (i % 100 === 50) {
      await stage.daemon.kill();
      const asked = client.health();
      await stage.daemon.start();
      assert.equal((await asked).pid, stage.daemon.pid);
    }
    await inTime("it is stored", stored);
  }
  assert.deepEqual(
    (await inTime("all are read", reading)).map(({ data }) => Number(data)),
    Array.from({ length: 300 }, (_, i) => i),
  );
});

withClient(
  "an exception in a callback of the app reaches process.on(uncaughtException), and the client goes on",
  async (client) => {
    const producer = await client.producer({ level: "none" });
    producer.onrefused = () => {
      throw new Error("on purpose");
    };
    await client.publishOnce("s", { id: "1", data: "" }, { closes: true });
    const handlers = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = once(process, "uncaughtException");
    await producer.publish("s", { data: "x" });
    assert.match(String((await inTime("it is caught", caught))[0]), /on purpose/);
    for (const handler of handlers) process.on("uncaughtException", handler);
    assert.equal((await client.health()).status, "healthy");
  },
);

withClient("times that no timer can wait for do not end at once", async (client, stage) => {
  for (const long of [2 ** 31, 1e15, Infinity]) {
    const other = await sponson.connect({ socketDir: stage.directory, timeoutMs: long });
    const producer = await other.producer();
    const stored = producer.publish("s", { data: "x" });
    assert.equal(await producer.close({ timeoutMs: long }), 0);
    await stored;
    const beats = other.subscribe("never", { otherwise: "wait" }).eventStream({ heartbeatMs: long }).getReader();
    const beat = beats.read();
    assert.equal(await Promise.race([beat, other.health()]).then(({ status }) => status), "healthy");
    assert.equal(await Promise.race([beat, pause(50)]), undefined);
    await beats.cancel();
    await other.close({ timeoutMs: long });
  }
});
