// SPDX-License-Identifier: Apache-2.0
// A chat whose answers outlive reloads, restarts and crashes. A conversation is a session of sponson-http: its
// events are the questions and the pieces of the answers. This server keeps nothing itself.
import { readFileSync } from "node:fs";
import http from "node:http";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, history } from "./gateway.mjs";
import { model } from "./model.mjs";

const page = readFileSync(new URL("index.html", import.meta.url));
const turns = new Map(); // of each conversation, the end of what is being done for it

/** Records what is missing of the last answer, and tries that until the answer is whole. */
async function record(chat) {
  for (;;) {
    try {
      const events = await history(chat);
      const questions = events.filter((event) => event.type === "question");
      if (questions.length === 0 || events.at(-1).data === "[DONE]") return;
      let count = events.length - 1 - events.indexOf(questions.at(-1));
      const pieces = async function* () {
        for await (const event of model(questions, count))
          yield `id: ${questions.at(-1).id}-${count++}\n${event}\n\n`;
      };
      await text(await ask("POST", chat, { "Content-Type": "text/event-stream" }, pieces()));
    } catch {
      await sleep(500);
    }
  }
}

/** Stores a question once, however often the page sends it. */
async function store(chat, id, question) {
  if ((await history(chat)).some((event) => event.id === id)) return;
  const headers = { "Content-Type": "text/plain", "Event-Id": id, "Event-Type": "question" };
  await text(await ask("POST", `${chat}?newlines=lf`, headers, [question]));
}

/** Does one thing after the other for each conversation. */
function inTurn(chat, work) {
  const turn = (turns.get(chat) ?? Promise.resolve()).then(work);
  const end = turn.catch(() => {}).then(() => turns.get(chat) === end && turns.delete(chat));
  turns.set(chat, end);
  return turn;
}

/** Hands over the gateway's stream. An EventSource that gets an error never comes back, so it gets none. */
async function follow(chat, lastId, response) {
  const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
  const stream = await ask("GET", chat, headers).catch(() => null);
  response.writeHead(stream?.statusCode ?? 200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
  });
  await pipeline(stream ?? ["retry: 500\n\n"], response);
}

async function serve(request, response) {
  const [, chat] = /^\/chats\/([0-9a-f-]{36})$/.exec(request.url) ?? [];
  const [id] = /^[0-9a-f-]{36}$/.exec(request.headers["idempotency-key"]) ?? [];
  if (chat) inTurn(chat, () => record(chat)); // also what a server left that died
  if (request.method === "GET" && chat) {
    await follow(chat, request.headers["last-event-id"], response);
  } else if (request.method === "POST" && id && chat && request.headers["content-length"] < 16384) {
    const question = await text(request);
    await inTurn(chat, () => store(chat, id, question));
    inTurn(chat, () => record(chat));
    response.end();
  } else if (request.method === "GET" && request.url === "/") {
    response.setHeader("Content-Type", "text/html").end(page);
  } else {
    response.writeHead(404).end();
  }
}

const server = http.createServer((request, response) => {
  serve(request, response).catch(() => (response.headersSent ? response.destroy() : response.writeHead(503).end()));
});
server.listen(process.env.PORT ?? 3000, "127.0.0.1", () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
