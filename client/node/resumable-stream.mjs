// SPDX-License-Identifier: Apache-2.0
// resumable-stream: createResumableStreamContext of the npm package resumable-stream, without Redis.
//
// A stream is a session. Whoever opens it (attributes, on the condition that it is new) makes the stream and writes
// its chunks; everybody, the first one included, reads the session from its beginning:
//
//   nothing ──(claim)──> live ──(the stream ends)──> closed, without a reason: DONE
//                          │
//                          └──(it fails, or its writer dies)──> closed, with a reason
//
// A chunk is any string, and data is not: it is stored as JSON, in pieces. A writer that lives touches the session, so
// that it is closed as idle only when the writer is gone.
import { DAY_MS, checkTimeout, clientOf, producerOf, within } from "./lib/adapters.mjs";
import { checkMs, checkObject } from "./lib/arguments.mjs";
import { ConditionError, OtherLifeError, TrimmedError, UnknownSessionError } from "./lib/errors.mjs";
import { TIMER_MS_MAX } from "./lib/wait.mjs";

const IDLE_CLOSE_MS = 60_000;
const TOUCHES = 4; // in the time after which it would be idle
const PIECE_CHARACTERS = 64 * 1024;
const ESCAPE_BYTES = 6; // the most that a character takes in JSON: \u1234
const UNACKNOWLEDGED_MAX = 64; // pieces of one stream
const FAILED = "writer failed"; // the reason of a stream that threw

/** The stream ended before its end: "idle", its writer died; else why its session was closed. */
export class UnfinishedError extends Error {
  constructor(reason) {
    super(`the stream is not complete: ${reason === "idle" ? "its writer is gone" : reason}`);
    this.reason = reason;
  }

  get name() {
    return this.constructor.name;
  }
}

// -- chunks ---------------------------------------------------------------------------------------

const isHighSurrogate = (unit) => unit >= 0xd800 && unit < 0xdc00;
const isLowSurrogate = (unit) => unit >= 0xdc00 && unit < 0xe000;

/** Pieces that are events of at most dataMax bytes each. None begins in the middle of a character. */
export function* piecesOf(chunk, dataMax) {
  if (typeof chunk !== "string") throw new TypeError("a chunk must be a string");
  const room = Math.max(2, Math.min(PIECE_CHARACTERS, Math.floor((dataMax - 2) / ESCAPE_BYTES)));
  let start = 0;
  do {
    let end = Math.min(start + room, chunk.length);
    if (isHighSurrogate(chunk.charCodeAt(end - 1)) && isLowSurrogate(chunk.charCodeAt(end))) end--;
    yield JSON.stringify(chunk.slice(start, end));
    start = end;
  } while (start < chunk.length);
}

// -- writing --------------------------------------------------------------------------------------

/** Nothing more can be written: the session was deleted, or another one has its name. */
const isLost = (error) => error instanceof UnknownSessionError || error instanceof OtherLifeError;

/** Writes one stream into its session, of one life: a session that was deleted is not opened again. */
class Writer {
  #last = undefined;
  #unacknowledged = [];
  #failure = null;

  constructor(client, producer, session, life, reader) {
    Object.assign(this, { client, producer, session, life, reader });
  }

  /** Whatever the stream is waiting for: nobody would get it. */
  #fail(error) {
    this.#failure ??= error;
    this.reader.cancel(error).catch(() => {});
  }

  /** Each piece depends on the one before, so that what is stored has no hole. */
  async #write(data) {
    const { session, life } = this;
    this.#last = this.producer.publish(session, { data }, { life, dependsOn: this.#last });
    this.#last.catch((error) => this.#fail(error));
    this.#unacknowledged.push(this.#last);
    if (this.#unacknowledged.length >= UNACKNOWLEDGED_MAX) await this.#unacknowledged.shift();
  }

  #close(how) {
    return this.producer.closeSession(this.session, { life: this.life, ...how });
  }

  async #copy() {
    for (;;) {
      const { done, value } = await this.reader.read();
      if (this.#failure !== null) throw this.#failure;
      if (done) break;
      for (const piece of piecesOf(value, this.client.dataMax)) await this.#write(piece);
    }
    await Promise.all([...this.#unacknowledged, this.#close({ dependsOn: this.#last })]);
  }

  /** Fails with what the stream fails with. */
  async run(idleCloseMs) {
    const stop = this.#touchRegularly(idleCloseMs);
    try {
      await this.#copy();
    } catch (error) {
      this.#fail(error);
      await this.#close({ reason: FAILED }).catch(() => {}); // it may be gone
      throw error;
    } finally {
      stop();
    }
  }

  #touchRegularly(idleCloseMs) {
    if (idleCloseMs === 0) return () => {};
    const timer = setInterval(() => this.#touch(), Math.min(idleCloseMs / TOUCHES, TIMER_MS_MAX));
    timer.unref();
    return () => clearInterval(timer);
  }

  #isTouching = false;
  async #touch() {
    if (this.#isTouching) return;
    this.#isTouching = true;
    try {
      await this.producer.touchSession(this.session, { life: this.life });
    } catch (error) {
      if (isLost(error)) this.#fail(error);
    } finally {
      this.#isTouching = false;
    }
  }
}

// -- reading --------------------------------------------------------------------------------------

/** The chunks of a session, as of `skip` characters. */
class Reader {
  #reading = null;

  constructor(client, session, skip) {
    Object.assign(this, { client, session, skip });
  }

  /** null: the end. */
  async #next() {
    this.#reading ??= this.client.subscribe(this.session);
    const { value, done } = await this.#reading.next();
    if (!done) {
      if (value.missing > 0) throw new TrimmedError(`${value.missing} events of the stream are not retained any more`);
      return JSON.parse(value.data);
    }
    const reason = this.#reading.end === null ? "cancelled" : this.#reading.end.reason;
    if (reason) throw new UnfinishedError(reason);
    return null;
  }

  async #nextAfterSkipped() {
    for (;;) {
      const chunk = await this.#next();
      if (chunk === null || this.skip === 0) return chunk;
      const skipped = Math.min(this.skip, chunk.length);
      this.skip -= skipped;
      if (skipped < chunk.length) return chunk.slice(skipped);
    }
  }

  async pull(controller) {
    try {
      const chunk = await this.#nextAfterSkipped();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  cancel() {
    return this.#reading?.close();
  }
}

// -- the context ----------------------------------------------------------------------------------

function checkSkip(skipCharacters = 0) {
  if (typeof skipCharacters !== "number") throw new TypeError("skipCharacters must be a number");
  if (!(skipCharacters >= 0)) throw new RangeError("skipCharacters must not be negative");
  return Math.floor(skipCharacters);
}

function checkFunction(value, name) {
  if (typeof value !== "function") throw new TypeError(`${name} must be a function`);
  return value;
}

class Context {
  constructor({ keyPrefix = "resumable-stream", waitUntil, client, idleCloseMs, ttlMs, timeoutMs, onError }) {
    if (typeof keyPrefix !== "string") throw new TypeError("keyPrefix must be a string");
    if (waitUntil != null) checkFunction(waitUntil, "waitUntil");
    this.prefix = `${keyPrefix}:rs:`;
    this.waitUntil = waitUntil ?? (() => {});
    this.client = clientOf(client);
    this.idleCloseMs = checkMs(idleCloseMs ?? IDLE_CLOSE_MS, "idleCloseMs");
    this.ttlMs = checkMs(ttlMs ?? DAY_MS, "ttlMs");
    this.timeoutMs = checkTimeout(timeoutMs);
    this.onError = checkFunction(onError ?? ((error) => process.emitWarning(error)), "onError");
  }

  sessionOf(streamId) {
    if (typeof streamId !== "string") throw new TypeError("streamId must be a string");
    return this.prefix + streamId;
  }

  /** What is known of a session; null: there is none. */
  async info(session) {
    try {
      return await within(this.client, this.timeoutMs, (signal) => this.client.session(session, { signal }));
    } catch (error) {
      if (error instanceof UnknownSessionError) return null;
      throw error;
    }
  }

  read(session, skip) {
    return new ReadableStream(new Reader(this.client, session, skip), { highWaterMark: 0 });
  }

  /** undefined: there is none; null: it is done. */
  async resume(session, skip) {
    const info = await this.info(session);
    if (info === null) return undefined;
    return info.state === "closed" ? null : this.read(session, skip);
  }

  /** Resolves with the promise of the entry in `claim`; null: somebody else has, or had, a stream of this name. */
  async claim(producer, session) {
    const { idleCloseMs, ttlMs } = this;
    let claim;
    try {
      await within(this.client, this.timeoutMs, (signal) => {
        claim = producer.setSession(session, { idleCloseMs, ttlMs }, { ifNew: true, signal });
        return claim;
      });
      return { claim };
    } catch (error) {
      if (error instanceof ConditionError) return null;
      this.giveBack(producer, session, claim);
      throw error;
    }
  }

  /** Deletes what the claim opened, or will open when the sidecar answers again: nobody writes it. */
  giveBack(producer, session, claim) {
    within(this.client, this.timeoutMs, (signal) =>
      producer.deleteSession(session, { ifSeq: 0, dependsOn: claim, signal }),
    ).catch(() => {});
  }

  async create(session, makeStream, skip) {
    const producer = await producerOf(this.client, this.timeoutMs);
    for (;;) {
      const claimed = await this.claim(producer, session);
      if (claimed !== null) return this.begin(producer, session, claimed.claim, makeStream, skip);
      const stream = await this.resume(session, skip);
      if (stream !== undefined) return stream; // else it was deleted just now
    }
  }

  /** Makes the stream, and writes it whether it is read or not. If it cannot be made, there is none. */
  async begin(producer, session, claim, makeStream, skip) {
    const info = await this.info(session).catch((error) => {
      this.giveBack(producer, session, claim);
      throw error;
    });
    if (info === null) throw new UnknownSessionError("the stream was deleted as it began");
    const { life } = info;
    let start;
    const written = new Promise((resolve) => (start = resolve));
    try {
      this.waitUntil(written);
      const reader = makeStream().getReader();
      const writer = new Writer(this.client, producer, session, life, reader);
      start(writer.run(this.idleCloseMs).catch((error) => this.onError(error)));
    } catch (error) {
      start();
      await producer.deleteSession(session, { life }).catch(() => {});
      throw error;
    }
    return this.read(session, skip);
  }
}

/** See resumable-stream.d.ts. */
export function createResumableStreamContext(options) {
  checkObject(options, "options");
  for (const name of ["publisher", "subscriber"])
    if (options[name] !== undefined) throw new TypeError(`${name} is of Redis: leave it out`);
  const context = new Context(options);
  const create = async (streamId, makeStream, skipCharacters) =>
    context.create(context.sessionOf(streamId), checkFunction(makeStream, "makeStream"), checkSkip(skipCharacters));
  return {
    resumableStream: create,
    createNewResumableStream: create,
    resumeExistingStream: async (streamId, skipCharacters) =>
      context.resume(context.sessionOf(streamId), checkSkip(skipCharacters)),
    hasExistingStream: async (streamId) => {
      const info = await context.info(context.sessionOf(streamId));
      if (info === null) return null;
      return info.state === "closed" ? "DONE" : true;
    },
  };
}
