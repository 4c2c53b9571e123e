// SPDX-License-Identifier: Apache-2.0
// Publishes what a model's SDK gives, chunk by chunk, and prints the text as a reader gets it. The SDKs' streams are
// async iterators of objects:
//
//   const stream = await openai.chat.completions.create({ ..., stream: true });
//   const stream = anthropic.messages.stream({ ... });
//
// Here they come from a file of server-sent events, as the service sent them:
//   node model_streams.mjs openai|anthropic FILE SESSION
import { createReadStream } from "node:fs";
import { connect, parseEvents } from "sponson";

/** Stands for the SDK's stream. */
async function* recordedStream(file) {
  for await (const { data } of parseEvents(createReadStream(file))) if (data !== "[DONE]") yield JSON.parse(data);
}

/** Each chunk is an event; its type is what the SDK calls it. A stream that fails is closed as such. */
async function publishStream(producer, session, stream) {
  try {
    for await (const chunk of stream)
      await producer.publish(session, { type: chunk.type ?? chunk.object, data: JSON.stringify(chunk) });
    await producer.closeSession(session, { reason: "complete" });
  } catch (error) {
    await producer.closeSession(session, { reason: "failed" });
    throw error;
  }
}

const textOf = {
  openai: (chunk) => chunk.choices[0]?.delta.content ?? "",
  anthropic: (chunk) => chunk.delta?.text ?? "",
};

const [kind, file, session] = process.argv.slice(2);
const client = await connect();
const producer = await client.producer();
const publishing = publishStream(producer, session, recordedStream(file));

const events = client.subscribe(session, { otherwise: "wait" });
for await (const event of events) process.stdout.write(textOf[kind](JSON.parse(event.data)));
process.stdout.write(`\n${events.end.reason}\n`);
await publishing;
await client.close();
