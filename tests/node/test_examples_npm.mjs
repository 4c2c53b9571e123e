// SPDX-License-Identifier: Apache-2.0
// The programs of the adapters' pages and of client/examples/node with the packages that they are for: the MCP SDK of
// today with its own client, and the AI SDK with the transport that useChat has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { freePort } from "../web/stage.mjs";
import { inTime, serve, skip, staged, toArray, until } from "./kit.mjs";
import { exampleFile, hasPackages, install, noPackages, programsOf, put, start, startChat } from "./pages.mjs";

if (!hasPackages) skip(noPackages);

/** A proxy that cuts all of its connections when it is told to. Gives its port. */
async function cutter(stage, port) {
  const bodies = new Set();
  const proxy = createServer(async (request, response) => {
    const chunks = await toArray(request);
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const cut = new AbortController();
    bodies.add(cut);
    try {
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(
          ([name]) => !/^(host|connection|content-length|transfer-encoding)$/.test(name),
        ),
      );
      const answer = await fetch(`http://127.0.0.1:${port}${request.url}`, {
        method: request.method,
        headers,
        body,
        signal: cut.signal,
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      for await (const chunk of answer.body ?? []) response.write(chunk);
      response.end();
    } catch {
      response.destroy();
    }
    bodies.delete(cut);
  });
  const cutAll = () => bodies.forEach((cut) => cut.abort());
  return { port: await serve(stage, (...both) => proxy.emit("request", ...both)), cutAll };
}

staged("mcp_server: a call whose client is cut off, and whose daemon is killed, comes to its end", async (stage) => {
  install(stage, { "@modelcontextprotocol/sdk": "mcp-sdk-of-today", zod: "zod" });
  const port = await freePort();
  start(stage, put(stage, "mcp_server.mjs"), [], { PORT: String(port) });
  await until("it listens", () => fetch(`http://127.0.0.1:${port}`).catch(() => null));
  const { Client } = await import("mcp-sdk-of-today/client/index.js");
  const { StreamableHTTPClientTransport } = await import("mcp-sdk-of-today/client/streamableHttp.js");
  const { CallToolResultSchema, LoggingMessageNotificationSchema } = await import("mcp-sdk-of-today/types.js");

  const proxy = await cutter(stage, port);
  const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${proxy.port}/`));
  const client = new Client({ name: "test", version: "1.0.0" });
  const numbers = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void numbers.push(params.data));
  await client.connect(transport);
  const call = client.request(
    { method: "tools/call", params: { name: "count", arguments: { to: 40, intervalMs: 25 } } },
    CallToolResultSchema,
    { onresumptiontoken: () => {} },
  );
  for (const at of [5, 12, 20]) {
    await until(`it counts to ${at}`, () => numbers.length >= at);
    proxy.cutAll();
    if (at !== 12) continue;
    await stage.daemon.kill();
    await stage.daemon.start();
  }
  const { content } = await inTime("the call ends", call);
  assert.equal(content[0].text, "counted to 40");
  assert.deepEqual(
    numbers,
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  await transport.terminateSession();
  await client.close();
});

const { DefaultChatTransport, readUIMessageStream } = await import("ai");

// The recipe is a part of the app.
const [recipe] = programsOf("RESUMABLE-STREAM.md").filter(({ source }) => source.includes('from "ai"'));
assert.ok(readFileSync(exampleFile("usechat/route.mjs"), "utf8").endsWith(recipe.source));

const question = {
  chatId: "c1",
  trigger: "submit-message",
  messageId: undefined,
  abortSignal: undefined,
  messages: [{ id: "m1", role: "user", parts: [{ type: "text", text: "Well?" }] }],
};
const textOf = ({ parts }) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");

/** Asks the app, and goes away when the answer has begun. */
async function askAndGo(transport, say) {
  const reading = (await transport.sendMessages(question)).getReader();
  say("It", "was");
  for (let i = 0; i < 5; i++) await reading.read();
  await reading.cancel();
}

staged("the AI SDK: the transport of useChat is cut off, and resumes", async (stage) => {
  const { url, say } = await startChat(stage);
  const transport = new DefaultChatTransport({ api: `${url}/api/chat` });
  assert.equal(await transport.reconnectToStream({ chatId: "other" }), null);

  await askAndGo(transport, say);
  await stage.daemon.kill();
  say("not", "lost.");
  await stage.daemon.start();
  const resumed = await until("it is under way", () => transport.reconnectToStream({ chatId: "c1" }));
  say();
  const seen = await inTime("it ends", toArray(readUIMessageStream({ stream: resumed })));
  assert.equal(textOf(seen.at(-1)), "It was not lost. ");
  assert.equal(await transport.reconnectToStream({ chatId: "c1" }), null);
});

staged(
  "the AI SDK: without a sidecar an answer is stored as if nothing could be resumed",
  async (stage) => {
    const { url, say } = await startChat(stage);
    const transport = new DefaultChatTransport({ api: `${url}/api/chat` });
    await askAndGo(transport, say);
    const words = Array.from({ length: 5000 }, (_, i) => `word${i}`); // more than there are buffers for
    say(...words);
    say();
    const stored = async () => (await fetch(`${url}/api/chat/c1`)).json();
    const [, answer] = await until("it is stored", async () => (await stored()).length === 2 && stored());
    assert.equal(textOf(answer), ["It", "was", ...words, ""].join(" "));
    assert.equal(await transport.reconnectToStream({ chatId: "c1" }), null);
  },
  null,
);
