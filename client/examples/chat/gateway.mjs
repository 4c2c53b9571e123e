// SPDX-License-Identifier: Apache-2.0
// Requests to sponson-http, on its Unix socket. A conversation is the session chat/ID.
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

const socketPath = process.env.SPONSON_HTTP_SOCKET ?? "http.sock";

/** The gateway's answer. The body is a list of texts, or comes piece by piece. */
export async function ask(method, path, headers, body = []) {
  const request = http.request({ socketPath, method, path: `/v1/sessions/chat/${path}`, headers });
  request.on("error", () => {}); // of a request that has its answer
  const [[answer]] = await Promise.all([once(request, "response"), pipeline(body, request)]);
  if (![200, 204, 404].includes(answer.statusCode)) throw new Error(await text(answer));
  return answer;
}

/** All events of a conversation. The gateway gives them in pages. */
export async function history(chat, query = "from=earliest") {
  const answer = await ask("GET", `${chat}?${query}`, { Accept: "application/json" });
  const { events = [], next } = JSON.parse(await text(answer)); // a new conversation has none
  return events.length === 0 ? [] : [...events, ...(await history(chat, `after=${next}`))];
}
