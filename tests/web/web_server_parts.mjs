// SPDX-License-Identifier: Apache-2.0
// web_server_parts: what the recipe of a web server promises, for test_nginx and test_caddy.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { block, events, filesWith, namesTable, soon } from "./recipes.mjs";
import { needModule, serve, until } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const { EventSource } = await needModule("eventsource");
const STREAM = { accept: "text/event-stream" };

/** One request on the gateway's own socket, the path as it is. */
function direct(socketPath, path, { method = "GET", headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const request = httpRequest({ socketPath, path, method, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.on("error", fail);
    request.end(body);
  });
}

/** The session that an answer is of, whose first event has its name as data; or the status. */
async function found(asked) {
  const answer = await asked;
  const text = typeof answer.text === "string" ? answer.text : await answer.text();
  return answer.status === 200 ? JSON.parse(text).events[0].data : String(answer.status);
}

const escaped = (name) => name.split("/").map(encodeURIComponent).join("/");

async function publish(socket, name, id, data = id) {
  const init = { method: "POST", headers: { "Event-Id": id }, body: data };
  const answer = await direct(socket, `/v1/sessions/${name}`, init);
  assert.equal(answer.status, 200, answer.text);
}

/** The program of the recipe: it hands over the chats of users who have the cookie. */
function startApp(stage, heading) {
  const handOver = new Function("response", "id", block(heading, "js"));
  return serve(stage, (request, response) => {
    if (!request.url.startsWith("/chats/")) response.writeHead(404).end("no such page");
    else if (!request.headers.cookie?.startsWith("user=7")) response.writeHead(403).end("not yours");
    else handOver(response, decodeURIComponent(request.url.slice("/chats/".length)));
  });
}

export function webServerParts(heading, start) {
  const inner = heading === "nginx" ? "/sponson/" : "/v1/sessions/";

  async function open(stage, words = [], hasKeys = false) {
    await stage.startDaemon();
    const gateway = await stage.startPlainGateway(words);
    const { socket } = gateway;
    const server = await start(stage, { socket, app: await startApp(stage, heading), hasKeys });
    return { gateway, server, socket };
  }

  async function withKeys(stage) {
    const key = newKey(stage);
    const token = (name) => sign(key, name, "rw", 3600);
    return { ...(await open(stage, ["--key-file", key.path], true)), token };
  }

  return {
    async theAppHandsOver(stage) {
      const { server, socket } = await open(stage);
      await publish(socket, "chat/a", "1");
      assert.equal((await server.fetch("/chats/a", { headers: STREAM })).status, 403);
      assert.equal((await server.fetch("/sponson/chat/a", { headers: STREAM })).status, 404);
      assert.equal((await server.fetch("/v1/sessions/chat/a", { headers: STREAM })).status, 404);
      const answer = await server.fetch("/chats/a", { headers: { ...STREAM, cookie: "user=7" } });
      assert.equal(answer.headers.get("content-type"), "text/event-stream");
      assert.equal(answer.headers.get("cache-control"), "no-store");
      let count = 1;
      for await (const event of events(answer)) {
        if (event.data === undefined) continue;
        assert.equal(event.data, String(count));
        if (++count > 5) break;
        await publish(socket, "chat/a", String(count)); /* not before the one before it has come */
      }
      const headers = { ...STREAM, cookie: "user=7", "last-event-id": "4" };
      const resumed = await server.fetch("/chats/a", { headers });
      for await (const event of events(resumed)) {
        if (event.data === undefined) continue;
        assert.equal(event.id, "5");
        break;
      }
    },

    async whatIsHandedOverIsOnlyRead(stage) {
      const { server, socket } = await open(stage);
      await publish(socket, "chat/a", "1");
      const headers = { accept: "application/json", cookie: "user=7" };
      for (const method of ["POST", "DELETE", "PUT"]) {
        const answer = await server.fetch("/chats/a", { method, headers, body: "{}" });
        assert.equal(answer.status, 200);
        assert.deepEqual((await answer.json()).events.map((event) => event.data), ["1"]);
      }
    },

    async cookiesOfTheAppDoNotFillTheHead(stage) {
      const { server, socket } = await open(stage);
      await publish(socket, "chat/a", "1");
      const headers = { accept: "application/json", cookie: `user=7; more=${"x".repeat(5000)}` };
      assert.equal((await server.fetch("/chats/a", { headers })).status, 200);
      assert.equal((await direct(socket, "/v1/sessions/chat/a", { headers })).status, 431);
    },

    async bodiesArriveAsTheyAreSent(stage) {
      const { server, token } = await withKeys(stage);
      const authorization = `Bearer ${token("live")}`;
      const headers = { authorization, "content-type": "text/event-stream" };
      let send;
      const body = (request) => (send = request);
      const answer = server.fetch("/v1/sessions/live", { method: "POST", headers, body });
      send.write("data: 1\n\n");
      const stream = await server.fetch("/v1/sessions/live", { headers: { ...STREAM, authorization } });
      let count = 1;
      for await (const event of events(stream)) {
        if (event.data === undefined) continue;
        assert.equal(event.data, String(count));
        if (++count > 5) break;
        send.write(`data: ${count}\n\n`);
      }
      send.end();
      assert.equal((await answer).status, 200);
      assert.match(await (await answer).text(), /"stored":5/);
    },

    async namesAreTheTables(stage) {
      await stage.startDaemon();
      const { socket } = await stage.startPlainGateway();
      /* Here the app hands over whatever it is told to. */
      const app = await serve(stage, (request, response) => {
        response.setHeader("X-Accel-Redirect", inner + request.headers.name).end();
      });
      const server = await start(stage, { socket, app, hasKeys: true });
      const headers = { accept: "application/json" };
      const rows = namesTable();
      const names = new Set(rows.flatMap(([, ...cells]) => cells).filter((cell) => !/^\d+$/.test(cell)));
      for (const name of names) await publish(socket, escaped(name), "1", name);
      const got = [];
      for (const [path] of rows) {
        const query = `/v1/sessions/${path}?limit=1`;
        const atGateway = await found(direct(socket, query, { headers }));
        assert.equal(await found(server.fetch(query, { headers })), atGateway, path);
        got.push([path, atGateway, await found(server.fetch("/x", { headers: { ...headers, name: path } }))]);
      }
      const column = heading === "nginx" ? 2 : 3;
      assert.deepEqual(got, rows.map((row) => [row[0], row[1], row[column]]));
    },

    async restartsAreNotSeenByEventSources(stage) {
      const { gateway, server, socket } = await open(stage);
      const asUser = (url, init) => server.fetch(url, { ...init, headers: { ...init.headers, cookie: "user=7" } });
      const fetch = soon(asUser);
      const readers = Array.from({ length: 5 }, () => {
        const source = new EventSource(`https://localhost:${server.port}/chats/a`, { fetch });
        const reader = { got: [], source, errors: 0 };
        source.onmessage = (event) => reader.got.push(event.data);
        source.onerror = () => reader.errors++;
        return reader;
      });
      let count = 0;
      for (const signal of ["SIGKILL", "SIGTERM"]) {
        await publish(socket, "chat/a", String(++count));
        await until("all have it", () => readers.every((reader) => reader.got.length === count));
        await gateway.kill(signal);
        await refusals(server);
        await until("all know", () => readers.every((reader) => reader.errors > 0));
        await gateway.start();
      }
      await publish(socket, "chat/a", String(++count));
      await until("all have everything", () => readers.every((reader) => reader.got.length >= count));
      for (const { got, source } of readers) {
        assert.deepEqual(got, ["1", "2", "3"]);
        source.close();
      }
    },

    async anAppThatIsDownIsWaitedForToo(stage) {
      await stage.startDaemon();
      const { socket } = await stage.startPlainGateway();
      const app = await serve(stage, () => {});
      await stage.programs.pop().close();
      const server = await start(stage, { socket, app, hasKeys: false });
      await refusals(server);
    },

    async tokensAreInNoLog(stage) {
      const { gateway, server, socket, token } = await withKeys(stage);
      const good = token("chat/a");
      const [, , payload, mac] = good.split(".");
      const forged = `${good.slice(0, -10)}AAAAAAAAAA`;
      const ask = async (status, path, options) => {
        const answer = await server.fetch(path, options);
        assert.equal(answer.status, status, path);
        for await (const part of answer.body ?? []) assert.ok(!Buffer.from(part).includes(payload), path);
      };
      const A = "/v1/sessions/chat/a";
      const post = (body, headers = {}) => ({ method: "POST", body, headers });
      await ask(200, `${A}?token=${good}`, post("x"));
      await ask(200, `${A}?until=caught-up&token=${good}`);
      await ask(200, A, { headers: { authorization: `Bearer ${good}`, accept: "application/json" } });
      await ask(400, `${A}?from=x&token=${good}`);
      await ask(401, `${A}?token=${forged}`);
      await ask(401, A, { headers: { authorization: `Bearer ${forged}` } });
      await ask(403, `/v1/sessions/chat/b?token=${good}`);
      await ask(404, `/v1/nothing?token=${good}`);
      await ask(405, `${A}?token=${good}`, { method: "TRACK" });
      await ask(406, `${A}?token=${good}`, { headers: { accept: "image/png" } });
      await ask(412, `${A}?token=${good}`, post("x", { "if-none-match": "*" }));
      await ask(415, `${A}?token=${good}`, post("x", { "content-type": "text/plain; charset=latin1" }));
      await ask(404, `/no-page?token=${good}`);
      await gateway.kill();
      await ask(502, `${A}?token=${good}`, post("x"));
      await ask(200, `${A}?token=${good}`, { headers: STREAM });
      rmSync(socket);
      await ask(502, `${A}?token=${good}`, post("x"));
      await ask(502, A, { method: "POST", body: "x", headers: { authorization: `Bearer ${good}` } });
      for (const secret of [payload, mac.slice(0, -10)]) assert.deepEqual(filesWith(stage, secret), []);
      assert.notDeepEqual(filesWith(stage, "/v1/sessions/chat/b"), [], "there is no log");
    },
  };

  /** While something is down: EventSources are asked to come back, whatever else comes has failed. */
  async function refusals(server) {
    const path = "/chats/a";
    const headers = { ...STREAM, cookie: "user=7" };
    const answer = await server.fetch(path, { headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/event-stream");
    assert.equal(await answer.text(), "retry: 500\n\n");
    const others = { cookie: "user=7", accept: "application/json" };
    assert.equal((await server.fetch(path, { headers: others })).status, 502);
    assert.equal((await server.fetch(path, { method: "POST", headers, body: "x" })).status, 502);
  }
}
