// SPDX-License-Identifier: Apache-2.0
// A server whose answers survive: POST /chat/ID begins one, GET /chat/ID resumes it, or gives 204 if there is nothing
// to resume. GET /chat/ID?resumeAt=N leaves out the first N characters.
//
// It is written for the npm package resumable-stream; the import is the line that is another one. No Redis.
//   npm install ./sponson-0.1.0.tgz; PORT=8080 node resumable_server.mjs
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createResumableStreamContext } from "sponson/resumable-stream"; // instead of "resumable-stream"

const streams = createResumableStreamContext({ waitUntil: null });

/** Stands for a model: some words, one after the other. */
function answer() {
  const words = "It goes on where it was, whoever fell over in between. ".split(/(?<= )/);
  let said = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((done) => setTimeout(done, 20));
      if (said < 5 * words.length) controller.enqueue(`data: ${words[said++ % words.length]}\n\n`);
      else controller.close();
    },
  });
}

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const id = pathname.slice("/chat/".length);
  const stream =
    request.method === "POST"
      ? await streams.createNewResumableStream(id, answer)
      : await streams.resumeExistingStream(id, Number(searchParams.get("resumeAt") ?? 0));
  if (!stream) return response.writeHead(204).end(); // unknown, or done
  response.writeHead(200, { "content-type": "text/event-stream" });
  await pipeline(Readable.fromWeb(stream), response).catch(() => {}); // it failed, or whoever asked went away
}

const server = createServer((request, response) => {
  handle(request, response).catch((error) => response.writeHead(500).end(error.message));
});
server.listen(process.env.PORT ?? 8080);
