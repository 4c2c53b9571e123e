// SPDX-License-Identifier: Apache-2.0
// The programs of the adapters' pages and of client/examples/node with the packages that they are for: the MCP SDK of
// today with its own client, and the AI SDK with the transport that useChat has.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { freePort } from "../web/stage.mjs";
import { inTime, serve, skip, staged, toArray, until } from "./kit.mjs";
import { hasPackages, install, noPackages, programsOf, put, start } from "./pages.mjs";

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

const recipe = programsOf("RESUMABLE-STREAM.md").filter(({ source }) => source.includes('from "ai"'));
assert.equal(recipe.length, 1);

/** What the recipe leaves to the app, and a server in the place of Next.js. */
const app = `
  import { MockLanguageModelV3, simulateReadableStream } from "ai/test";
  const words = Array.from({ length: 30 }, (_, i) => "word" + i + " ");
  const chunks = [
    { type: "stream-start", warnings: [] },
    { type: "text-start", id: "1" },
    ...words.map((delta) => ({ type: "text-delta", id: "1", delta })),
    { type: "text-end", id: "1" },
    { type: "finish", finishReason: { unified: "stop", raw: "stop" },
      usage: { inputTokens: { total: 1 }, outputTokens: { total: 30 } } },
  ];
  export const chats = new Map();
  export const model = new MockLanguageModelV3({
    doStream: async () => ({ stream: simulateReadableStream({ chunks, chunkDelayInMs: 20 }) }),
  });`;
const main = `
  import { createServer } from "node:http";
  import { Readable } from "node:stream";
  import { GET, POST } from "./route.mjs";
  createServer(async (request, response) => {
    const { url, method } = request;
    const body = method === "POST" ? Readable.toWeb(request) : undefined;
    const asked = new Request(new URL(url, "http://localhost"), { method, body, duplex: "half" });
    const params = Promise.resolve({ id: url.split("/")[3] });
    const answer = method === "POST" ? await POST(asked) : await GET(asked, { params });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response);
    else response.end();
  }).listen(process.env.PORT);`;

staged("the AI SDK: the transport of useChat is cut off, and resumes", async (stage) => {
  install(stage, { ai: "ai" });
  put(stage, "app.mjs", app);
  put(stage, "route.mjs", recipe[0].source);
  const port = await freePort();
  start(stage, put(stage, "main.mjs", main), [], { PORT: String(port) });
  const { DefaultChatTransport, readUIMessageStream } = await import("ai");
  const transport = new DefaultChatTransport({ api: `http://127.0.0.1:${port}/api/chat` });
  await until("it listens", () =>
    transport.reconnectToStream({ chatId: "other" }).then(
      () => true,
      () => false,
    ),
  );
  assert.equal(await transport.reconnectToStream({ chatId: "other" }), null);

  const messages = [{ id: "m1", role: "user", parts: [{ type: "text", text: "Well?" }] }];
  const common = { chatId: "c1", trigger: "submit-message", messageId: undefined, abortSignal: undefined };
  const reading = (await transport.sendMessages({ ...common, messages })).getReader();
  for (let i = 0; i < 5; i++) await reading.read();
  await reading.cancel();
  await stage.daemon.kill();
  await stage.daemon.start();
  const resumed = await until("it is under way", () => transport.reconnectToStream({ chatId: "c1" }));
  const seen = await inTime("it ends", toArray(readUIMessageStream({ stream: resumed })));
  const text = seen
    .at(-1)
    .parts.filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("");
  assert.equal(text, Array.from({ length: 30 }, (_, i) => `word${i} `).join(""));
  assert.equal(await transport.reconnectToStream({ chatId: "c1" }), null);
});
