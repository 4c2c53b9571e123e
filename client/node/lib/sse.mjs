// SPDX-License-Identifier: Apache-2.0
// sse: text/event-stream.
import { isUint8Array } from "node:util/types";
import { checkEventKind, checkObject } from "./arguments.mjs";
import { END, OK, attempt, errorOf } from "./codes.mjs";
import { EventTooLargeError } from "./errors.mjs";
import { native } from "./native.mjs";

const PORTION_BYTES = 256 * 1024;
const kinds = [];
kinds[native.EVENT] = "event";
kinds[native.MARKER] = "marker";
kinds[native.RESET] = "reset";
const tooLarge = native.codes.find(({ name }) => name === EventTooLargeError.code).number;

/** The bytes of an event, with its blank line. */
export function formatEvent(event) {
  const { kind, id, type, data, retryMs, note, resetsId } = checkObject(event, "event");
  const plainType = type === "message" ? undefined : type;
  return attempt(() => native.formatEvent(data, id, plainType, retryMs, note, checkEventKind(kind), resetsId));
}

/** Out of the addon's; large data come as a Buffer. */
const eventOf = ({ kind, type, data, ...event }) => ({
  ...event,
  kind: kinds[kind],
  type: type || "message",
  data: String(data),
});

/** An incremental parser. */
export class SseParser {
  #native;
  /** Events over the limit: left out. */
  skipped = 0;

  constructor({ eventMax } = {}) {
    this.#native = attempt(() => new native.Sse(eventMax));
  }

  /** The id that a browser would send as Last-Event-ID. */
  get lastId() {
    return this.#native.lastId();
  }

  /** The events and markers that are complete with these bytes. */
  push(chunk) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    if (!isUint8Array(bytes)) throw new TypeError("chunk must be a string or a Uint8Array");
    const events = [];
    for (let start = 0; start < bytes.length; start += PORTION_BYTES)
      this.#parse(bytes.subarray(start, start + PORTION_BYTES), events);
    return events;
  }

  #parse(bytes, events) {
    for (let offset = 0; offset < bytes.length;) {
      const { used, code, event } = this.#native.next(bytes, offset);
      offset += used;
      if (code === OK) events.push(eventOf(event));
      else if (code === tooLarge) this.skipped++;
      else if (code !== END) throw errorOf(code);
    }
  }
}

/** The events of a stream of chunks, such as the body of a response of fetch. */
export async function* parseEvents(chunks, options) {
  const parser = new SseParser(options);
  for await (const chunk of chunks) yield* parser.push(chunk);
}
