// SPDX-License-Identifier: Apache-2.0
// Questions and one-shots: each kind, each refusal, many at once, aborted.
import assert from "node:assert/strict";
import { codeOf, inTime, pause, sponson, take, toArray, withClient } from "./kit.mjs";

withClient("one-shots: stored, duplicate, conflict, refused with what is there", async (client) => {
  const stored = await client.publishOnce("s", { id: "1", data: "a" }, { ifNew: true, level: "accepted" });
  assert.deepEqual([stored.result, stored.seq, stored.state, stored.id], ["stored", 1, "live", "1"]);
  const duplicate = await client.publishOnce("s", { id: "1", data: "a" });
  assert.deepEqual([duplicate.result, duplicate.seq, duplicate.life], ["duplicate", 1, stored.life]);
  const conflict = await client.publishOnce("s", { id: "1", data: "b" }).catch((error) => error);
  assert.ok(conflict instanceof sponson.ConflictError);
  assert.equal(conflict.seq, 1);
  const refused = await client.publishOnce("s", { id: "2", data: "b" }, { ifNew: true }).catch((error) => error);
  assert.ok(refused instanceof sponson.ConditionError);
  assert.deepEqual([refused.seq, refused.life, refused.state], [1, stored.life, "live"]);
  assert.equal(await codeOf(client.publishOnce("s", { id: "2", data: "b" }, { level: "none" })), "SPN_E_INVALID");
  assert.equal(await codeOf(client.publishOnce("s", { data: "b" })), "SPN_E_BAD_ID");
  const closing = await client.publishOnce("s", { id: "2", data: "b" }, { closes: true, reason: "r", ifSeq: 1 });
  assert.equal(closing.state, "closed");
  assert.equal(await codeOf(client.publishOnce("s", { id: "3", data: "b" })), "SPN_E_CLOSED");
});

withClient("attributes, touch, close, delete", async (client) => {
  assert.equal(await codeOf(client.touchSession("s")), "SPN_E_UNKNOWN_SESSION");
  const opened = await client.setSession("s", {
    ttlMs: 90_000,
    contentType: "text/plain",
    note: Buffer.from([0, 1]),
  });
  assert.equal(opened.result, "stored");
  const info = await client.session("s");
  assert.deepEqual(
    [info.seq, info.ttlMs, info.idleCloseMs, info.contentType, [...info.note]],
    [0, 90_000, 0, "text/plain", [0, 1]],
  );
  assert.equal(await codeOf(client.setSession("s", {}, { ifNew: true })), "SPN_E_CONDITION");
  assert.equal((await client.touchSession("s", { life: info.life })).result, "stored");
  assert.equal((await client.closeSession("s", { reason: "enough" })).state, "closed");
  assert.equal((await client.closeSession("s", { reason: "enough" })).result, "duplicate");
  assert.equal((await client.session("s")).reason, "enough");
  assert.equal((await client.deleteSession("s")).result, "stored");
  assert.equal(await codeOf(client.session("s")), "SPN_E_UNKNOWN_SESSION");
});

withClient("health, stats, last", async (client, stage) => {
  const health = await client.health();
  assert.deepEqual([health.status, health.version, health.pid], ["healthy", sponson.version, stage.daemon.pid]);
  assert.equal(typeof health.instance, "bigint");
  const stats = await client.stats();
  assert.ok(Object.keys(stats).length > 20 && Object.values(stats).every(Number.isSafeInteger));
  await client.publishOnce("s", { id: "1", data: "a" });
  const last = await client.last("s");
  assert.deepEqual([last.id, last.seq, last.state], ["1", 1, "live"]);
  assert.ok(Math.abs(last.timeMs - Date.now()) < 60_000);
  assert.equal(client.dataMax, 4 << 20);
});

withClient("sessions: all pages, a prefix, after a name", async (client) => {
  const producer = await client.producer();
  const names = Array.from({ length: 1200 }, (_, i) => `n${String(i).padStart(4, "0")}`);
  await Promise.all(["other", ...names].map((name) => producer.publish(name, { data: "x" })));
  const nameOf = (session) => session.name;
  assert.deepEqual((await toArray(client.sessions({ prefix: "n" }))).map(nameOf), names);
  assert.deepEqual((await toArray(client.sessions({ after: "n1100" }))).map(nameOf), [
    ...names.slice(1101),
    "other",
  ]);
  assert.equal((await take(3, client.sessions())).length, 3);
  assert.deepEqual(await toArray(client.sessions({ prefix: "none" })), []);
});

withClient(
  "while the daemon stands still: many are asked, some are aborted, the others are answered",
  async (client, stage) => {
    await client.publishOnce("s", { id: "1", data: "a" });
    stage.daemon.child.kill("SIGSTOP");
    const abort = new AbortController();
    const reason = new Error("enough");
    const asked = Array.from({ length: 1000 }, (_, i) =>
      (i % 2 ? client.last("s", { signal: abort.signal }) : client.session("s")).catch((error) => error),
    );
    await pause(20);
    abort.abort(reason);
    for (let i = 1; i < 1000; i += 2) assert.equal(await asked[i], reason);
    stage.daemon.child.kill("SIGCONT");
    for (let i = 0; i < 1000; i += 2) assert.equal((await inTime("an answer", asked[i])).seq, 1);
    await assert.rejects(client.health({ signal: AbortSignal.abort(reason) }), /enough/);
  },
);
