// SPDX-License-Identifier: Apache-2.0
// Durable Streams: what a stream is outlives both programs; two gateways keep its rules together; what is not there any
// more is said; the other doors to the session are shut.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { appendFileSync, writeFileSync } from "node:fs";
import { Ask } from "./ds/ask.mjs";
import { begin, OPEN, restart } from "./ds/begin.mjs";
import { inTime, Program, run, until } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const POLL = "?offset=now&live=long-poll";

function sponson(stage, ...words) {
  const done = spawnSync(join(stage.bin, "sponson"), [words[0], ...stage.socketWords, ...words.slice(1)], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

/** A gateway with long polls that take long, and polls(n), which waits until so many of them wait. */
async function beginPolls(stage, words) {
  await stage.startDaemon();
  const gateway = await stage.startGateway([...words, "--long-poll=300s", "--admin-listen=127.0.0.1:0"]);
  const admin = stage.log().match(/url=(http:\/\/127.0.0.1:\d+)/)[1];
  const metrics = async () => (await fetch(`${admin}/metrics`)).text();
  const polls = (count) =>
    until(`${count} polls wait`, async () => (await metrics()).includes(`\nsponson_http_long_polls ${count}\n`));
  return { gateway, polls, ask: new Ask(stage.url("/v1/stream/s")) };
}

/** Two gateways: `ask` and `other` are one stream through each of them, at(i, name) any stream through one. */
async function twoGateways(stage, daemonWords = []) {
  await begin(stage, [], daemonWords);
  await stage.startGateway(OPEN);
  const at = (i, name) => new Ask(stage.url(`/v1/stream/${name}`, stage.gateways[i]));
  return { at, ask: at(0, "s"), other: at(1, "s") };
}

/**
 * The daemon dies after it has stored what one of these requests through the first gateway asks for, and before it answers.
 * Gives that request and its number. The daemon is there again, but the gateway stands still until goOn().
 */
async function loseAnswer(stage, send, daemonWords = []) {
  await stage.daemon.kill();
  process.env.SPONSON_KILL_POINT = "after_commit:3";
  const dying = new Program(join(stage.bin, "sponsond_killable"), stage.daemon.words, stage.path("log"));
  stage.programs.push(dying);
  await dying.start();
  delete process.env.SPONSON_KILL_POINT;
  let isDead = false;
  dying.ended.then(() => (isDead = true));
  let lost;
  let number = -1;
  while (!isDead) {
    number += 1;
    lost = send(number);
    await Promise.race([lost, dying.ended]);
  }
  const { pid } = stage.gateways[0];
  process.kill(pid, "SIGSTOP");
  await stage.startDaemon(daemonWords);
  return { lost, number, goOn: () => process.kill(pid, "SIGCONT") };
}

/** Each of both is killed and started again. */
async function eachKilled(stage, gateway, check) {
  for (const program of [gateway, stage.daemon, gateway]) {
    await restart(program);
    await check();
  }
}

/** The answer to a live read, and what it gives until it ends or has these words. */
async function readLive(url, words) {
  const answer = await fetch(url);
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of answer.body) {
    text += decoder.decode(bytes, { stream: true });
    if (words && text.includes(words)) break;
  }
  return { status: answer.status, headers: answer.headers, text };
}

await run({
  async producersAreKnownAfterAKill(stage) {
    const gateway = await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/a/b"));
    await ask.create(201);
    await ask.append(200, ["p", 1, 0], "a");
    await ask.append(200, ["p", 1, 1], "b");
    await ask.append(200, ["q", 0, 0], "c", { "Stream-Seq": "m" });
    let next = 2;
    await eachKilled(stage, gateway, async () => {
      const duplicate = await ask.append(204, ["p", 1, 0], "another");
      assert.equal(duplicate.headers.get("Producer-Seq"), String(next - 1));
      assert.equal((await ask.append(403, ["p", 0, 9], "x")).headers.get("Producer-Epoch"), "1");
      const gap = await ask.append(409, ["p", 1, next + 1], "x");
      assert.equal(gap.headers.get("Producer-Expected-Seq"), String(next));
      assert.equal(gap.headers.get("Producer-Received-Seq"), String(next + 1));
      assert.equal((await ask.append(409, ["new", 0, 1], "x")).headers.get("Producer-Expected-Seq"), "0");
      await ask.append(400, ["q", 1, 1], "x");
      await ask.post(409, "x", { "Stream-Seq": "m" });
      await ask.post(409, "x", { "Stream-Seq": "Z" });
      assert.equal((await ask.append(200, ["p", 1, next], "d")).headers.get("Producer-Seq"), String(next));
      next += 1;
    });
    await ask.post(204, "e", { "Stream-Seq": "ma" });
    assert.equal(await ask.text(), "abcddde");
  },

  async closingIsKnownAfterAKill(stage) {
    const gateway = await begin(stage);
    const [withData, without, plain] = ["a", "b", "c"].map((name) => new Ask(stage.url(`/v1/stream/${name}`)));
    const ends = [];
    for (const ask of [withData, without, plain]) {
      await ask.create(201);
      ends.push((await ask.append(200, ["p", 0, 0], "1")).next);
    }
    const end = (await withData.append(200, ["p", 0, 1], "2", { "Stream-Closed": "true" })).next;
    assert.ok(end > ends[0]);
    assert.equal((await without.append(204, ["p", 0, 1], undefined, { "Stream-Closed": "true" })).next, ends[1]);
    assert.equal((await plain.post(204, undefined, { "Stream-Closed": "true" })).next, ends[2]);
    await eachKilled(stage, gateway, async () => {
      for (const ask of [withData, without, plain]) {
        const head = await ask.head();
        assert.equal(head.headers.get("Stream-Closed"), "true");
        assert.equal(head.next, { [withData.url]: end, [without.url]: ends[1], [plain.url]: ends[2] }[ask.url]);
        const refused = await ask.append(409, ["p", 0, 2], "x");
        assert.equal(refused.headers.get("Stream-Closed"), "true");
        assert.equal(refused.next, head.next);
        await ask.append(409, ["q", 0, 1], "x");
        await ask.create(409);
        await ask.create(200, { "Stream-Closed": "true" });
        const last = await ask.must(200, "GET", {}, undefined, `?offset=${head.next}`);
        assert.equal(last.headers.get("Stream-Closed"), "true");
        assert.equal(last.next, head.next);
        const polled = await ask.must(204, "GET", {}, undefined, `?offset=${head.next}&live=long-poll`);
        assert.equal(polled.headers.get("Stream-Closed"), "true");
        const live = await readLive(`${ask.url}?offset=${head.next}&live=sse`);
        const control = { streamNextOffset: head.next, upToDate: true, streamClosed: true };
        assert.equal(live.text, `event: control\ndata:${JSON.stringify(control)}\n\n`);
      }
      const again = await withData.append(204, ["p", 0, 1], "2", { "Stream-Closed": "true" });
      assert.equal(again.headers.get("Producer-Seq"), "1");
      await without.append(204, ["p", 0, 1], undefined, { "Stream-Closed": "true" });
      await plain.append(409, ["p", 0, 0], "1");
      await plain.post(204, undefined, { "Stream-Closed": "true" });
    });
    assert.deepEqual([await withData.text(), await without.text(), await plain.text()], ["12", "1", "1"]);
  },

  async whatItWasCreatedWithIsKnownAfterAKill(stage) {
    const gateway = await begin(stage);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const [lasting, dated] = ["lasting", "dated"].map((name) => new Ask(stage.url(`/v1/stream/${name}`), "text/x-log; charset=utf-8"));
    await lasting.create(201, { "Stream-TTL": "3600" }, "first");
    await dated.create(201, { "Stream-Expires-At": later });
    await eachKilled(stage, gateway, async () => {
      assert.equal((await lasting.head()).headers.get("Stream-TTL"), "3600");
      assert.equal((await dated.head()).headers.get("Stream-Expires-At"), later);
      for (const ask of [lasting, dated]) assert.equal((await ask.head()).headers.get("Content-Type"), "text/x-log; charset=utf-8");
      await lasting.create(200, { "Stream-TTL": "3600" });
      await lasting.create(409, { "Stream-TTL": "3601" });
      await lasting.create(409);
      await dated.create(200, { "Stream-Expires-At": later });
      await lasting.post(409, "x", { "Content-Type": "text/plain" });
      await lasting.post(204, ".");
    });
    assert.equal(await lasting.text(), "first...");
  },

  async timeEndsStreamsWhileNothingRuns(stage) {
    const gateway = await begin(stage);
    const brief = new Ask(stage.url("/v1/stream/brief"));
    const over = new Ask(stage.url("/v1/stream/over"));
    const none = new Ask(stage.url("/v1/stream/none"));
    const moment = new Ask(stage.url("/v1/stream/moment"));
    await brief.create(201, { "Stream-TTL": "1" }, "old");
    await moment.create(201, { "Stream-Expires-At": new Date(Date.now() + 500).toISOString() }, "old");
    await over.create(201, { "Stream-Expires-At": "2001-02-03T04:05:06Z" }, "old");
    await none.create(201, { "Stream-TTL": "0" }, "old");
    await restart(gateway, stage.daemon);
    for (const ask of [brief, moment, over, none]) {
      await until("it is over", async () => (await ask.send("HEAD")).status === 404);
      await ask.post(404, "x");
      await ask.must(404, "GET");
      await ask.create(201, {}, "new");
      assert.equal(await ask.text(), "new");
    }
  },

  // Each append begins the session's time to live again, which would keep its data for as long after the moment.
  async appendsKeepNoStreamBeyondItsMoment(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/s"));
    const begun = Date.now();
    const moment = begun + 600_000;
    const note = `--note=ds1 expires=${new Date(moment).toISOString()} by=x`;
    const session = async () => (await fetch(stage.url("/v1/sessions/ds/s"), { method: "HEAD" })).headers;
    for (const [appends, expected] of [[() => ask.post(204, "a"), "a"], [() => ask.append(200, ["p", 0, 0], "b"), "ab"]]) {
      sponson(stage, "open", "ds/s", "--content-type=text/plain", note, "--ttl=2h", "--idle-close=3h");
      await appends();
      const headers = await session();
      const ttl = Number(headers.get("Sponson-Ttl"));
      assert.ok(ttl <= moment - begun && ttl >= moment - Date.now(), String(ttl));
      assert.equal(headers.get("Sponson-Idle-Close"), String(3 * 3_600_000));
      assert.equal(await ask.text(), expected);
    }
    assert.equal((await ask.head()).headers.get("Stream-Expires-At"), new Date(moment).toISOString());
  },

  // A gateway that is killed between the two entries of a creation leaves just this.
  async aCreationThatWasCutOffIsNoStream(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/half"));
    sponson(stage, "open", "ds/half", "--content-type=text/plain", "--note=ds1 first");
    await ask.head(404);
    await ask.must(404, "GET");
    await ask.must(404, "GET", {}, undefined, "?offset=-1&live=sse");
    await ask.post(404, "x");
    await ask.must(404, "DELETE");
    await ask.create(201, { "Stream-TTL": "60" }, "whole");
    assert.equal(await ask.text(), "whole");
    assert.equal((await ask.head()).headers.get("Stream-TTL"), "60");
  },

  async twoGatewaysKeepTheRulesTogether(stage) {
    await begin(stage);
    const other = await stage.startGateway(OPEN);
    const [one, two] = [stage.gateways[0], other].map((gateway) => new Ask(stage.url("/v1/stream/s", gateway), "application/json"));
    const created = await Promise.all([one, two].map((ask) => ask.send("PUT", { "Content-Type": ask.type }, "[0]")));
    assert.deepEqual(created.map((answer) => answer.status).sort(), [200, 201]);
    const plain = Array.from({ length: 60 }, (_, i) => [one, two][i % 2].post(204, JSON.stringify({ i })));
    const same = [];
    for (let seq = 0; seq < 15; seq += 1) {
      const headers = { "Content-Type": one.type, "Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": String(seq) };
      const both = await Promise.all([one, two].map((ask) => ask.send("POST", headers, JSON.stringify({ seq }))));
      same.push(both.map((answer) => answer.status).sort().join());
    }
    await Promise.all(plain);
    assert.deepEqual(new Set(same), new Set(["200,204"]));
    const messages = JSON.parse(await one.text());
    assert.equal(messages[0], 0);
    assert.deepEqual(messages.filter((each) => each.seq !== undefined).map((each) => each.seq), Array.from({ length: 15 }, (_, i) => i));
    const others = messages.map((each) => each.i).filter((i) => i !== undefined);
    assert.deepEqual(others.sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i));
    const closing = { "Content-Type": one.type, "Stream-Closed": "true" };
    const closed = await Promise.all([one, two].map((ask, i) => ask.send("POST", closing, String(i))));
    assert.deepEqual(closed.map((answer) => answer.status).sort(), [204, 409]);
    await one.post(409, "1");
    await two.post(409, "1");
  },

  // When the daemon is there again, so much has come through another gateway that it no longer knows the append's id.
  async anAnswerThatIsLostLongAgoIsFound(stage) {
    const { ask, other } = await twoGateways(stage);
    await ask.create(201);
    const { lost, number, goOn } = await loseAnswer(stage, (n) => ask.post(204, `<${n}>`));
    assert.match(await other.text(), new RegExp(`<${number}>$`));
    for (let i = 0; i < 150; i += 1) await other.post(204, ".");
    goOn();
    await lost;
    assert.equal((await other.text()).split(`<${number}>`).length, 2);
  },

  // Nobody can say any more whether it was stored, so it is not stored again.
  async anAnswerThatIsLostAndNotRetainedIsNotKnown(stage) {
    const words = ["--retention-events=3"];
    const { ask, other } = await twoGateways(stage, words);
    await ask.create(201);
    const send = (n) => ask.send("POST", { "Content-Type": "text/plain" }, `<${n}>`);
    const { lost, number, goOn } = await loseAnswer(stage, send, words);
    assert.match(await other.text(), new RegExp(`<${number}>$`));
    for (let i = 0; i < 150; i += 1) await other.post(204, ".");
    await until("it is gone", async () => !(await other.text()).includes("<"));
    goOn();
    assert.equal((await lost).status, 503);
    assert.ok(!(await other.text()).includes("<"));
  },

  // It was appended to a stream that is gone, and belongs to no other.
  async anAnswerThatIsLostIsNotOfTheNextStream(stage) {
    const { ask, other } = await twoGateways(stage);
    await ask.create(201);
    const { lost, number, goOn } = await loseAnswer(stage, (n) => ask.send("POST", { "Content-Type": "text/plain" }, `<${n}>`));
    assert.match(await other.text(), new RegExp(`<${number}>$`));
    await other.must(204, "DELETE");
    await other.create(201, {}, "new");
    goOn();
    assert.equal((await lost).status, 404);
    assert.equal(await other.text(), "new");
  },

  async aDeletionIsMadeOnce(stage) {
    const { at } = await twoGateways(stage);
    for (let n = 0; n < 9; n += 1) await at(0, n).create(201, {}, "old");
    const { lost, number, goOn } = await loseAnswer(stage, (n) => at(0, n).must(204, "DELETE"));
    await at(1, number).create(201, {}, "new");
    goOn();
    await lost;
    assert.equal(await at(1, number).text(), "new");
  },

  async aCreationWhoseAnswerIsLostIsKnownAgain(stage) {
    const { at } = await twoGateways(stage);
    const { lost, number, goOn } = await loseAnswer(stage, (n) => at(0, n).create(201));
    await at(1, number).head();
    goOn();
    await lost;
    await at(0, number).create(200);
  },

  async largeStreamsComeInChunks(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/large"), "application/octet-stream");
    const part = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7) % 256));
    await ask.create(201, {}, part);
    for (let i = 1; i < 30; i += 1) await ask.post(204, part);
    const chunks = await ask.chunks();
    const sizes = chunks.map((chunk) => chunk.length);
    assert.ok(sizes.length >= 5 && sizes.every((size) => size < 256 * 1024 + part.length), sizes.join());
    assert.ok(Buffer.concat(chunks).equals(Buffer.concat(Array(30).fill(part))));
    const live = await readLive(`${ask.url}?offset=-1&live=sse`, '"upToDate":true');
    assert.equal(live.headers.get("Stream-SSE-Data-Encoding"), "base64");
    const data = [...live.text.matchAll(/^event: data\ndata:(.*)\n\nevent: control\n/gm)].map((match) => Buffer.from(match[1], "base64"));
    assert.ok(Buffer.concat(data).equals(Buffer.concat(chunks)));
  },

  async whatIsNotRetainedIsGone(stage) {
    await begin(stage, [], ["--retention-events=3"]);
    const ask = new Ask(stage.url("/v1/stream/short"));
    await ask.create(201);
    const offsets = [(await ask.head()).next];
    for (let i = 0; i < 9; i += 1) offsets.push((await ask.post(204, String(i))).next);
    await until("the first are gone", async () => (await ask.text()) === "678");
    await ask.must(410, "GET", {}, undefined, `?offset=${offsets[2]}`);
    await ask.must(410, "GET", {}, undefined, `?offset=${offsets[2]}&live=long-poll`);
    await ask.must(410, "GET", {}, undefined, `?offset=${offsets[2]}&live=sse`);
    assert.equal(await ask.text(offsets[7]), "78");
    await ask.must(204, "DELETE");
    await ask.create(201, {}, "anew");
    assert.ok((await ask.head()).next > offsets[9]);
    await ask.must(410, "GET", {}, undefined, `?offset=${offsets[9]}`);
  },

  async aStreamOfWhichNothingIsRetainedIsReadOn(stage) {
    await begin(stage, [], ["--retention-age=100ms"]);
    for (const closes of [false, true]) {
      const ask = new Ask(stage.url(`/v1/stream/empty/${closes}`), "application/json");
      await ask.create(201, {}, "[1,2]");
      const end = (await ask.post(204, "[3]", closes ? { "Stream-Closed": "true" } : {})).next;
      await until("all is gone", async () => (await ask.text()) === "[]");
      for (const query of ["?offset=-1", "?offset=-1&live=long-poll"]) {
        const read = await ask.send("GET", {}, undefined, query);
        assert.equal(read.next, end, query);
        assert.equal(read.headers.get("Stream-Closed"), closes ? "true" : null);
      }
      const live = await readLive(`${ask.url}?offset=-1&live=sse`, '"upToDate":true');
      assert.equal(JSON.parse(live.text.split("data:")[1]).streamNextOffset, end);
      if (closes) continue;
      await ask.must(204, "GET", {}, undefined, `?offset=${end}&live=long-poll`);
      await ask.post(204, "4");
    }
  },

  async whatOthersPublishIsData(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/foreign"), "application/json");
    sponson(stage, "open", "ds/foreign", "--content-type=application/json");
    sponson(stage, "publish", "ds/foreign", "[1,2]");
    sponson(stage, "publish", "ds/foreign", "no JSON");
    await ask.post(204, '[3,{"a":\r\n4}]');
    assert.deepEqual(JSON.parse(await ask.text()), [1, 2, 3, { a: 4 }]);
    const page = await fetch(stage.url("/v1/sessions/ds/foreign"), { headers: { Accept: "application/json" } });
    assert.equal((await page.json()).events.length, 3);
    const end = (await ask.head()).next;
    sponson(stage, "close", "ds/foreign", "--reason=ds:closed"); // no event, so the last one stays data
    const closed = await ask.head();
    assert.deepEqual([closed.next, closed.headers.get("Stream-Closed")], [end, "true"]);
    assert.deepEqual(JSON.parse(await ask.text()), [1, 2, 3, { a: 4 }]);
  },

  async otherDoorsAreShut(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/s"));
    await ask.create(201, {}, "a");
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      assert.equal((await fetch(stage.url("/v1/sessions/ds/s"), { method, body: "x" })).status, 409, method);
    assert.equal((await fetch(stage.url("/v1/sessions/ds"), { method: "POST", body: "x" })).status, 200);
    await new Ask(stage.url("/v1/stream/fork")).create(501, { "Stream-Forked-From": "/v1/stream/s" });
    await new Ask(stage.url("/v1/stream/__ds/subscriptions/1")).create(501);
    const refused = await ask.must(405, "PATCH");
    assert.equal(refused.headers.get("Allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
    assert.equal(await ask.text(), "a");
  },

  async badInputIsRefused(stage) {
    await begin(stage);
    const ask = new Ask(stage.url("/v1/stream/s"));
    const json = new Ask(stage.url("/v1/stream/j"), "application/json");
    await ask.create(201);
    await json.create(201);
    const long = "x".repeat(256);
    const deep = `${"[".repeat(600)}${"]".repeat(600)}`;
    await ask.post(400, "");
    for (const headers of [{ "Content-Type": "text" }, { "Producer-Id": "p" }, { "Stream-Seq": long },
      { "Producer-Id": long, "Producer-Epoch": "0", "Producer-Seq": "0" }])
      await ask.post(400, "x", headers);
    for (const body of ["[]", "{", "1 2", "[1,]", deep, Buffer.from([0x22, 0xff, 0x22])]) await json.post(400, body);
    await json.create(200, {}, "[]");
    await new Ask(stage.url("/v1/stream/k"), "application/json").create(400, {}, "{");
    await new Ask(stage.url("/v1/stream/k"), "no type").create(400);
    for (const query of ["?offset=", "?offset=1", "?live=sse", "?offset=-1&live=x", "?offset=-1&offset=-1"])
      await ask.must(400, "GET", {}, undefined, query);
    await ask.post(413, Buffer.alloc(4 * 1024 * 1024 + 1, "a"));
    await ask.post(413, Buffer.alloc(12 * 1024 * 1024, "a")); // more than a socket holds
    await ask.post(413, Buffer.alloc(3 * 1024 * 1024, "\r")); // it is stored in twice as many bytes
    for (const [name, values] of [["Producer-Seq", ["0", "1"]], ["Stream-Closed", ["false", "true"]], ["Stream-Seq", ["a", "b"]]]) {
      const headers = { "Content-Type": "text/plain", ...(name === "Producer-Seq" && { "Producer-Id": "p", "Producer-Epoch": "0" }), [name]: values };
      const request = http.request(ask.url, { method: "POST", headers }).end("x"); // fetch would make one header of two
      const [answer] = await once(request, "response");
      answer.resume();
      assert.equal(answer.statusCode, 400, name);
    }
    assert.equal(await ask.text(), "");
    assert.equal(await json.text(), "[]");
  },

  async tokensNameTheSession(stage) {
    const key = newKey(stage);
    await stage.startDaemon();
    await stage.startGateway([`--key-file=${key.path}`]);
    const ask = new Ask(stage.url("/v1/stream/s"));
    const token = (session, rights) => ({ Authorization: `Bearer ${sign(key, session, rights, 3600)}` });
    await ask.create(401);
    await ask.create(403, token("s", "rwd"));
    await ask.create(403, token("ds/s", "rd"));
    await ask.create(201, token("ds/s", "w"), "a");
    await ask.must(403, "GET", token("ds/s", "wd"));
    await ask.must(200, "GET", token("ds/s", "r"));
    for (let i = 0; i < 2; i += 1) await ask.post(204, "x".repeat(300_000), token("ds/s", "w"));
    const part = await ask.must(200, "GET", token("ds/s", "r"));
    assert.equal(part.headers.get("Stream-Up-To-Date"), null);
    assert.equal(part.headers.get("Cache-Control"), "private, no-cache"); // another user of the browser may have no token
    await ask.must(403, "DELETE", token("ds/s", "rw"));
    await ask.must(204, "DELETE", token("ds/s", "d"));
  },

  async oneReaderTooManyIsRefused(stage) {
    await begin(stage, ["--readers-per-session=1"]);
    const ask = new Ask(stage.url("/v1/stream/s"));
    await ask.create(201, {}, "a");
    const first = await fetch(`${ask.url}?offset=now&live=sse`);
    assert.equal(first.status, 200);
    const refused = await ask.must(429, "GET", {}, undefined, "?offset=now&live=sse");
    assert.ok(refused.headers.get("Retry-After"));
    await ask.must(200, "GET");
    await first.body.cancel();
    await until("its place is free", async () => {
      const again = await fetch(`${ask.url}?offset=now&live=sse`);
      await again.body.cancel();
      return again.status === 200;
    });
  },

  async longPollsCountAsReaders(stage) {
    const { ask, polls } = await beginPolls(stage, ["--insecure-loopback", "--readers-per-session=1"]);
    await ask.create(201, {}, "a");
    const first = ask.must(200, "GET", {}, undefined, POLL);
    await polls(1);
    const refused = await inTime("one too many is refused", ask.must(429, "GET", {}, undefined, POLL));
    assert.ok(refused.headers.get("Retry-After"));
    await ask.must(429, "GET", {}, undefined, "?offset=now&live=sse");
    await ask.must(200, "GET", {}, undefined, "?offset=-1&live=long-poll");
    await ask.post(204, "b");
    assert.equal((await first).text, "b");
    await polls(0);
    const second = ask.must(200, "GET", {}, undefined, POLL);
    await polls(1);
    await ask.post(204, "c");
    await second;
  },

  async longPollsEndWithTheirTokens(stage) {
    const [one, two] = ["one", "two"].map((kid) => newKey(stage, kid));
    appendFileSync(two.path, `${one.line}\n`);
    const { gateway, ask, polls } = await beginPolls(stage, [`--key-file=${two.path}`]);
    const token = (key, seconds) => ({ Authorization: `Bearer ${sign(key, "ds/s", "rw", seconds)}` });
    await ask.create(201, token(two, 3600), "a");
    const staying = ask.must(200, "GET", token(two, 3600), undefined, POLL);
    const brief = ask.must(204, "GET", token(one, 3), undefined, POLL);
    await polls(2);
    await inTime("the poll ends with its token", brief);
    const revoked = ask.must(204, "GET", token(one, 3600), undefined, POLL);
    await polls(2);
    writeFileSync(two.path, `${two.line}\n`);
    process.kill(gateway.pid, "SIGHUP");
    await inTime("the poll ends with its key", revoked);
    await ask.post(204, "b", token(two, 3600));
    assert.equal((await staying).text, "b");
  },

  async aStopAnswersLongPolls(stage) {
    const { gateway, ask, polls } = await beginPolls(stage, ["--insecure-loopback"]);
    const tail = (await ask.create(201, {}, "a")).next;
    const polled = ask.must(204, "GET", {}, undefined, `?offset=${tail}&live=long-poll`);
    await polls(1);
    assert.equal(await gateway.kill("SIGTERM"), 0);
    assert.equal((await polled).next, tail);
  },
});
