// SPDX-License-Identifier: Apache-2.0
// A chat with the AI SDK's useChat({ resume: true }). While an answer comes, reload the page or kill the sidecar: it
// goes on. No Redis.
//   npm install sponson ai @ai-sdk/react react react-dom esbuild; PORT=8080 node server.mjs
//
//   POST /api/chat            a question: the answer begins
//   GET  /api/chat/ID/stream  the answer that is under way, or 204
//   GET  /api/chat/ID         the messages that are complete
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chats } from "./app.mjs";
import { GET, POST } from "./route.mjs";

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("page.jsx", import.meta.url))],
  bundle: true,
  format: "esm",
  jsx: "automatic",
  minify: true,
  write: false,
});
const html = `<!doctype html><meta charset="utf-8"><title>Chat</title><link rel="icon" href="data:,">
  <style>body { font: 1rem/1.6 sans-serif; max-width: 40rem; margin: auto } .user { text-align: right }</style>
  <main id="chat"></main><script type="module" src="/page.js"></script>`;

const page = (type, body) => new Response(body, { headers: { "Content-Type": type } });

function answer(request) {
  const { pathname } = new URL(request.url);
  const [, id, isStream] = /^\/api\/chat\/([^/]+)(\/stream)?$/.exec(pathname) ?? [];
  if (request.method === "POST" && pathname === "/api/chat") return POST(request);
  if (request.method !== "GET") return new Response(null, { status: 405 });
  if (isStream) return GET(request, { params: Promise.resolve({ id }) });
  if (id) return Response.json(chats.get(id)?.messages ?? []);
  if (pathname === "/page.js") return page("text/javascript", outputFiles[0].contents);
  return pathname === "/" ? page("text/html", html) : new Response(null, { status: 404 });
}

/** Between Node's server and handlers of web requests. */
async function handle(request, response) {
  const { url, method } = request;
  const body = method === "POST" ? Readable.toWeb(request) : undefined;
  const answered = await answer(new Request(new URL(url, "http://localhost"), { method, body, duplex: "half" }));
  response.writeHead(answered.status, Object.fromEntries(answered.headers));
  await pipeline(answered.body ? Readable.fromWeb(answered.body) : [], response);
}

const server = createServer((request, response) => {
  handle(request, response).catch(() => response.destroy()); // the page went away, or there is no sidecar
});
server.listen(process.env.PORT ?? 8080, "127.0.0.1", () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
