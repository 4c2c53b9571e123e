// SPDX-License-Identifier: Apache-2.0
// Compiled by test_types.mjs, and never run: what apps write has the types that they expect.
import {
  type Ack,
  BackpressureError,
  type Client,
  Event,
  type Item,
  type LogItem,
  type Published,
  type SessionInfo,
  SponsonError,
  SseParser,
  connect,
  formatEvent,
  open,
  parseEvents,
} from "sponson";

export async function publish(client: Client): Promise<number> {
  await using producer = await client.producer({ level: "durable", windowEvents: 10 });
  const first: Promise<Ack> = producer.publish(
    "s",
    { data: "x", id: "1" },
    { ifNew: true, closes: true, reason: "r" },
  );
  const ack: Ack = await producer.publish("s", { data: new Uint8Array(1) }, { dependsOn: first });
  const acks: Ack[] = await producer.publishMany("s", [{ data: "x" }], { signal: AbortSignal.timeout(1) });
  producer.onrefused = (error) => console.log(error.code);
  const once: Published = await client.publishOnce("s", { id: "1", data: "x" }, { level: "accepted" });
  return ack.ticket + acks.length + once.seq + (await producer.close({ timeoutMs: 1 }));
}

export async function read(client: Client): Promise<void> {
  for await (const event of client.subscribe("s", { after: "1", otherwise: ["restart", "wait"] })) {
    const data: string = event.data;
    console.log(data, event.missing);
  }
  for await (const event of client.subscribe("s", { as: "bytes" })) {
    const data: Uint8Array = event.data;
    console.log(data);
  }
  for await (const item of client.subscribe("s", { items: true })) {
    if (item.kind === "verdict") console.log(item.why);
    const either: Event | Item = item;
    console.log(either.seq);
  }
  for await (const item of client.follow({ prefix: "a", touches: true })) {
    const any: Event | LogItem | Item = item;
    if (any.kind === "attributes") console.log(any.attributes?.ttlMs);
  }
  const stream: ReadableStream<Event> = client.replay("s").readable();
  console.log(new Response(client.subscribe("s").eventStream({ heartbeatMs: 1 })), stream);
  const info: SessionInfo = await client.session("s");
  for await (const session of client.sessions({ prefix: "a" })) console.log(session.name, info.note.length);
}

export async function fail(): Promise<void> {
  const client = open({ socketDir: "d" });
  try {
    await connect({ timeoutMs: Infinity });
  } catch (error) {
    if (error instanceof BackpressureError) {
      const code: "SPN_E_BACKPRESSURE" = error.code;
      console.log(code);
    } else if (error instanceof SponsonError) console.log(error.code);
  }
  for await (const event of parseEvents((await fetch("u")).body!)) console.log(event.retryMs);
  console.log(new SseParser({ eventMax: 1 }).push(formatEvent({ data: "x" })).length);

  // @ts-expect-error: a session has a name
  await client.last();
  // @ts-expect-error: a wrong level
  await client.producer({ level: "sometimes" });
  // @ts-expect-error: data are text or bytes
  await client.publishOnce("s", { id: "1", data: 5 });
  // @ts-expect-error: apps do not make events
  new Event();
}
