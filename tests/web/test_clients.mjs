// SPDX-License-Identifier: Apache-2.0
// Clients of others, each with the recipe of RECIPES.md, whose connections are cut: before the first event, after
// some. Nothing is lost and nothing comes twice.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startCutter } from "./cutter.mjs";
import { block, fill, load, soon } from "./recipes.mjs";
import { freePort, listen, needModule, run, serve, until } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const MCP = "@modelcontextprotocol/sdk";
const { EventSource } = await needModule("eventsource");
const { default: OpenAI } = await needModule("openai");
const ai = await needModule("ai");
const { Client } = await needModule(`${MCP}/client/index.js`);
const { StreamableHTTPClientTransport } = await needModule(`${MCP}/client/streamableHttp.js`);
const { LoggingMessageNotificationSchema } = await needModule(`${MCP}/types.js`);
const { McpServer } = await needModule(`${MCP}/server/mcp.js`);

const SAMPLE = readFileSync(new URL("../data/response.sse", import.meta.url), "utf8");

/** The gateway on a Unix socket for apps and on a port for clients, and the recipe's gateway.mjs for the first. */
async function open(stage, words = ["--insecure-loopback"]) {
  await stage.startDaemon();
  const port = await freePort();
  const gateway = await stage.startPlainGateway(["--listen", `127.0.0.1:${port}`, ...words]);
  const text = fill(block("Node", "js"), { "/run/sponson-http/http.sock": gateway.socket });
  return Object.assign(gateway, { port, app: await load(stage, "gateway.mjs", text) });
}

const numbers = (count) => Array.from({ length: count }, (_, i) => String(i + 1));

async function eventSource(stage, plan) {
  const { app, port } = await open(stage);
  const cutter = await startCutter(stage, port, plan);
  for (const data of numbers(3)) await app.publish("s", data);
  const source = new EventSource(`http://127.0.0.1:${cutter.port}/v1/sessions/s`, { fetch: soon(fetch) });
  const got = [];
  source.onmessage = (event) => got.push(event.data);
  await until("three events", () => got.length >= 3);
  const session = app.record("s");
  for (const data of numbers(6).slice(3)) session.write(`data: ${data}\n\n`);
  session.end();
  await session.done;
  await until("the end", () => source.readyState === 2); /* 204 */
  assert.deepEqual(got, numbers(6));
  assert.equal(cutter.cuts, plan.length);
}

const parts = {
  eventSourceCutBeforeItsFirstEvent: (stage) => eventSource(stage, [0]),
  eventSourceCutAgainAndAgain: (stage) => eventSource(stage, [3, 0, 2, 0, 3]),

  /* Node ends an app that has a promise rejected which nobody awaits yet. */
  async recordingIsCutAndTheAppLives(stage) {
    const gateway = await open(stage);
    const session = gateway.app.record("cut");
    const closed = new Promise((done) => session.on("close", done));
    session.write("id: 0\ndata: a\n\n");
    await gateway.app.publish("other", "b"); // the gateway is there, and has the request before
    await gateway.kill();
    await closed;
    await new Promise((done) => setImmediate(done));
    await assert.rejects(session.done);
  },

  async openAiStartsAfter(stage) {
    const { port } = await open(stage);
    const upstream = await serve(stage, (request, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).end(SAMPLE);
    });
    const { respond } = await load(stage, "respond.mjs", block("OpenAI", "js"));
    const { follow } = await load(stage, "follow.mjs", block("OpenAI", "js", 1));
    const openai = new OpenAI({ baseURL: `http://127.0.0.1:${upstream}`, apiKey: "none" });
    await respond(openai, { model: "harbour-small", input: "When is low water?" });
    const events = SAMPLE.match(/(?<=^data: ).*$/gm).map((line) => JSON.parse(line));
    const cutter = await startCutter(stage, port, [0, 2, 0, 1]);
    const got = [];
    for await (const event of follow(`http://127.0.0.1:${cutter.port}`, "none", "resp_tide")) got.push(event);
    assert.deepEqual(got, events);
    assert.equal(cutter.cuts, 4);
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1/sessions`, apiKey: "none" });
    for (const last of [0, 7]) {
      const rest = [];
      const stream = await client.responses.retrieve("resp_tide", { stream: true, starting_after: last });
      for await (const event of stream) rest.push(event);
      assert.deepEqual(rest, events.slice(last + 1));
    }
  },

  async mcpResumesItsGet(stage) {
    await open(stage);
    const { serveMcp } = await load(stage, "mcp.mjs", block("MCP", "js"));
    const { rememberingFetch } = await load(stage, "fetch.mjs", block("MCP", "js", 1));
    let server;
    const http = serveMcp(() => {
      server = new McpServer({ name: "tides", version: "1" }, { capabilities: { logging: {} } });
      server.registerTool("tide", {}, () => ({ content: [{ type: "text", text: "low" }] }));
      return server;
    });
    const plan = [0, 2, 0, 3, 0, 3];
    const cutter = await startCutter(stage, await listen(stage, http), plan);
    const client = new Client({ name: "test", version: "1" });
    const got = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void got.push(params.data));
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${cutter.port}/mcp`), {
      fetch: rememberingFetch(soon(fetch)),
      reconnectionOptions: {
        initialReconnectionDelay: 20,
        maxReconnectionDelay: 20,
        reconnectionDelayGrowFactor: 1,
        maxRetries: 100,
      },
    });
    await client.connect(transport);
    for (const data of numbers(6)) await server.sendLoggingMessage({ level: "info", data });
    assert.equal((await client.callTool({ name: "tide" })).content[0].text, "low");
    await until("six messages", () => got.length >= 6);
    await server.sendLoggingMessage({ level: "info", data: "7" });
    await until("the seventh", () => got.includes("7"));
    assert.deepEqual(got, numbers(7));
    assert.equal(cutter.cuts, plan.length);
    await transport.terminateSession();
    await client.close();
  },

  async aiSdkResumesAChat(stage) {
    await open(stage);
    const { chat } = await load(stage, "chat.mjs", block("AI SDK", "js"));
    let writer, finish;
    const answer = () =>
      ai.createUIMessageStreamResponse({
        stream: ai.createUIMessageStream({
          execute: async (given) => {
            writer = given.writer;
            writer.write({ type: "text-start", id: "t" });
            writer.write({ type: "text-delta", id: "t", delta: "Low water" });
            await new Promise((done) => (finish = done));
            writer.write({ type: "text-end", id: "t" });
          },
        }),
      });
    const app = await serve(stage, (request, response) => chat(request, response, answer));
    const cutter = await startCutter(stage, app, [0]);
    /* A page: what its user sees is its last message. */
    class Page extends ai.AbstractChat {
      constructor(messages, id = "c/1") {
        const state = { messages, status: "ready", error: undefined, snapshot: structuredClone };
        state.pushMessage = (message) => (state.messages = [...state.messages, message]);
        state.popMessage = () => (state.messages = state.messages.slice(0, -1));
        state.replaceMessage = (index, message) => {
          state.messages = Object.assign([...state.messages], { [index]: message });
        };
        const transport = new ai.DefaultChatTransport({ api: `http://127.0.0.1:${cutter.port}/api/chat` });
        super({ id, state, transport });
      }

      text() {
        const { role, parts } = this.state.messages.at(-1) ?? {};
        const texts = (parts ?? []).filter((part) => part.type === "text").map((part) => part.text);
        return role === "assistant" ? texts.join("|") : "";
      }
    }
    const first = new Page([]);
    const sent = first.sendMessage({ text: "When?" });
    await until("the first words", () => first.text() === "Low water");
    const question = first.state.messages.slice(0, 1);
    const second = new Page(structuredClone(question));
    await second.resumeStream(); /* is cut before its first event */
    assert.equal(cutter.cuts, 1);
    assert.equal(second.text(), "");
    const resumed = second.resumeStream();
    await until("the first words again", () => second.text() === "Low water");
    writer.write({ type: "text-delta", id: "t", delta: " is at six." });
    finish();
    await Promise.all([sent, resumed]);
    for (const page of [first, second]) assert.equal(page.text(), "Low water is at six.");
    const third = new Page(structuredClone(question));
    await third.resumeStream(); /* 204: it is over */
    const other = new Page([], "c2");
    await other.resumeStream(); /* 204: there was none */
    for (const page of [third, other]) assert.deepEqual([page.text(), page.status], ["", "ready"]);
  },

  async freshUrlsGoOn(stage) {
    const key = newKey(stage);
    const gateway = await open(stage, ["--key-file", key.path]);
    const url = `http://127.0.0.1:${gateway.port}/v1/sessions/chat/1`;
    const headers = { authorization: `Bearer ${sign(key, "chat/1", "rw", 3600)}` };
    const post = async (init) => (await fetch(url, { method: "POST", ...init })).status;
    const { follow } = await load(stage, "expire.mjs", block("URLs that expire", "js"));
    let fresh = 0, denied = 0, ended = false;
    const known = new Set();
    const noting = async (asked, init) => {
      const isKnown = known.has(String(asked));
      known.add(String(asked));
      const answer = await fetch(asked, init);
      denied += answer.status === 401 && isKnown; /* a new URL may expire on its way on a machine that is loaded */
      return answer;
    };
    class Source extends EventSource {
      constructor(given) {
        super(given, { fetch: soon(noting) });
      }
    }
    const got = [];
    const give = async () => {
      fresh++;
      return `${url}?token=${sign(key, "chat/1", "r", 2)}`;
    };
    follow(give, (event) => got.push(event.data), { Source, onend: () => (ended = true) });
    let count = 0;
    const next = async () => {
      assert.equal(await post({ headers, body: String(++count) }), 200);
      await until(`event ${count}`, () => got.length >= count);
    };
    while (fresh < 3) await next();
    assert.equal(denied, 0); /* it did not wait to be refused */
    /* The token expires while the stream is away: 401 for the old URL. */
    await gateway.kill();
    const away = Date.now();
    const late = [];
    follow(give, (event) => late.push(event.data), { Source });
    await until("the token is over", () => Date.now() > away + 3000);
    const before = fresh;
    await gateway.start();
    await next();
    assert.ok(fresh > before && denied > 0);
    await until("the late one has all", () => late.length >= count);
    assert.equal(await post({ headers: { ...headers, "Stream-Closed": "true" } }), 204);
    await until("the end", () => ended);
    for (const each of [got, late]) assert.deepEqual(each, numbers(count));
  },
};

/* They wait more than they work. */
await Promise.all(Object.entries(parts).map(([name, part]) => run({ [name]: part })));
