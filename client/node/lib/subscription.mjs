// SPDX-License-Identifier: Apache-2.0
// subscription: what is read, as an async iterator and as a web stream.
import { checkMs } from "./arguments.mjs";
import { whenCollected } from "./core.mjs";
import { formatEvent } from "./sse.mjs";
import { asyncDispose } from "./symbols.mjs";
import { checkSignal } from "./wait.mjs";

const HEARTBEAT_MS = 15_000;
const heartbeat = new TextEncoder().encode(":\n\n");

/** An async iterator over an inbox. */
class Reading {
  #client; // is not collected before this
  #inbox;

  constructor(client, inbox, signal) {
    this.#client = client;
    this.#inbox = inbox;
    inbox.listen(signal);
    whenCollected(this, inbox);
  }

  get client() {
    return this.#client;
  }

  /** For the classes made of this one. */
  get inbox() {
    return this.#inbox;
  }

  next() {
    return this.#inbox.next(this);
  }

  async return(value) {
    this.#inbox.end(undefined);
    return { value, done: true };
  }

  async close() {
    this.#inbox.end(undefined);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  [asyncDispose]() {
    return this.close();
  }

  /** A ReadableStream of what the iterator gives. */
  readable() {
    const pull = async (controller) => {
      const { value, done } = await this.next();
      if (done) controller.close();
      else controller.enqueue(value);
    };
    return new ReadableStream({ pull, cancel: () => this.close() }, { highWaterMark: 0 });
  }
}

export class Subscription extends Reading {
  /** Where it began, and why there; null: not known yet. */
  get verdict() {
    return this.inbox.verdict;
  }

  /** How it ended; null: it has not. */
  get end() {
    return this.inbox.last;
  }

  /** The bytes of a text/event-stream, with comments so that a connection that is dead is noticed. */
  eventStream({ heartbeatMs = HEARTBEAT_MS } = {}) {
    checkMs(heartbeatMs, "heartbeatMs");
    if (this.inbox.mode === "items") throw new TypeError("items have no text: subscribe without `items`");
    this.inbox.mode = "markers";
    const beatMs = heartbeatMs > 0 ? heartbeatMs : Infinity;
    const pull = async (controller) => {
      const result = await this.inbox.nextWithin(this, beatMs);
      if (result === undefined) controller.enqueue(heartbeat);
      else if (result.done) controller.close();
      else controller.enqueue(formatEvent(result.value));
    };
    return new ReadableStream({ pull, cancel: () => this.close() }, { highWaterMark: 0 });
  }
}

export class Replay extends Reading {
  /** How many events before the last one that was given are not retained any more. */
  get missing() {
    return this.inbox.missing;
  }
}

/** true: as bytes. */
export function checkReading(signal, as) {
  checkSignal(signal);
  if (as !== undefined && as !== "text" && as !== "bytes") throw new TypeError("as must be text or bytes");
  return as === "bytes";
}
