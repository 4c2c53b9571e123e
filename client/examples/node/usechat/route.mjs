// SPDX-License-Identifier: Apache-2.0
// The two handlers that useChat({ resume: true }) needs, as they would be in Next.js.
import { consumeStream, convertToModelMessages, generateId, streamText, UI_MESSAGE_STREAM_HEADERS } from "ai";
import { createResumableStreamContext } from "sponson/resumable-stream";
import { chats, model } from "./app.mjs";

const streams = createResumableStreamContext({ waitUntil: null }); // in Next.js: after

export async function POST(request) {
  const { id, messages } = await request.json();
  const chat = { messages, streamId: null };
  chats.set(id, chat);
  const answer = streamText({ model, messages: await convertToModelMessages(messages) });
  return answer.toUIMessageStreamResponse({
    originalMessages: messages,
    generateMessageId: generateId,
    onFinish: ({ messages }) => void Object.assign(chat, { messages, streamId: null }),
    async consumeSseStream({ stream }) {
      const streamId = generateId();
      try {
        await streams.createNewResumableStream(streamId, () => stream);
        chat.streamId = streamId;
      } catch (error) {
        console.error("This answer cannot be resumed:", error);
        await consumeStream({ stream }); // it comes to its end, and is stored, although the page may have gone
      }
    },
  });
}

export async function GET(request, { params }) {
  const { id } = await params;
  const streamId = chats.get(id)?.streamId;
  const stream = streamId && (await streams.resumeExistingStream(streamId));
  if (!stream) return new Response(null, { status: 204 }); // nothing is under way
  return new Response(stream.pipeThrough(new TextEncoderStream()), { headers: UI_MESSAGE_STREAM_HEADERS });
}
