// SPDX-License-Identifier: Apache-2.0
// mcp: an EventStore for the MCP TypeScript SDK (@modelcontextprotocol/sdk, Streamable HTTP).
//
// An MCP session is a session of Sponson, and holds the events of all of its streams: the SDK's stream of a GET has
// the same name in every MCP session, and a replay is asked for with an event's id alone. So a store has one MCP
// session, and an id names its stream: <streamId>~<random>. A priming event is a marker: an id without data.
import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DAY_MS, checkTimeout, clientOf, inTime, producerOf } from "./lib/adapters.mjs";
import { checkMs, checkObject } from "./lib/arguments.mjs";
import { BadIdError, InvalidError, TrimmedError, UnknownIdError, UnknownSessionError } from "./lib/errors.mjs";

const RANDOM_BYTES = 12;

const isEventId = (text) => text.includes("~");
const streamOf = (eventId) => eventId.slice(0, eventId.lastIndexOf("~"));
const isPriming = (message) => Object.keys(message).length === 0;
const isUnknown = (error) =>
  error instanceof UnknownIdError || error instanceof UnknownSessionError || error instanceof BadIdError;

/** The events of one MCP session. See mcp.d.ts. */
export class SponsonEventStore {
  #client;
  #session;
  #ttlMs;
  #timeoutMs;
  #isDeleted = false;
  #isSet = false; // its attributes
  #pending = new Map(); // promises of what is not stored yet, by event id
  #stored = 0; // events, by this store

  constructor(options) {
    const { client, session, prefix = "mcp:", ttlMs = DAY_MS, timeoutMs } = checkObject(options, "options");
    if (typeof session !== "string") throw new TypeError("session must be a string: the id of the MCP session");
    if (session === "") throw new RangeError("session must not be empty: a store belongs to one MCP session");
    if (typeof prefix !== "string") throw new TypeError("prefix must be a string");
    this.#client = clientOf(client);
    this.#session = prefix + session;
    this.#ttlMs = checkMs(ttlMs, "ttlMs");
    this.#timeoutMs = checkTimeout(timeoutMs);
  }

  /** Resolves with the event's id when it is in the log. */
  async storeEvent(streamId, message) {
    if (typeof streamId !== "string") throw new TypeError("streamId must be a string");
    checkObject(message, "message");
    if (this.#isDeleted) throw new InvalidError("the MCP session was deleted");
    const id = `${streamId}~${randomBytes(RANDOM_BYTES).toString("base64url")}`;
    const event = isPriming(message) ? { kind: "marker", id } : { id, data: JSON.stringify(message) };
    const storing = this.#store(event);
    this.#pending.set(id, storing);
    try {
      await storing;
      this.#stored++;
    } finally {
      this.#pending.delete(id);
    }
    return id;
  }

  async #store(event) {
    const producer = await producerOf(this.#client, this.#timeoutMs);
    if (!this.#isSet) this.#set(producer);
    await producer.publish(this.#session, event);
  }

  #set(producer) {
    this.#isSet = true;
    const retry = () => (this.#isSet = false);
    producer.setSession(this.#session, { ttlMs: this.#ttlMs }).catch(retry);
  }

  /** undefined: this MCP session has no such event, or not any more. */
  async getStreamIdForEventId(eventId) {
    if (typeof eventId !== "string" || !isEventId(eventId)) return undefined;
    try {
      await this.#read(eventId, async () => false);
      return streamOf(eventId);
    } catch (error) {
      if (isUnknown(error)) return undefined;
      throw error;
    }
  }

  /** Calls onEvent for each event after this one until it resolves with false. Resolves with the last event's id. */
  async #read(eventId, onEvent) {
    const replay = this.#client.replay(this.#session, { after: eventId });
    try {
      for (;;) {
        const { value, done } = await inTime(this.#client, this.#timeoutMs, replay.next());
        if (replay.missing > 0) throw new TrimmedError(`${replay.missing} events are not retained any more`);
        if (done || !(await onEvent(value))) break;
      }
    } finally {
      await replay.return();
    }
  }

  /** Sends the events of the same stream that came after this one.
   *
   *  The SDK goes on with the stream when this is over, and sends itself what is stored from then on. So that nothing
   *  is missing between, this ends in a turn of the loop in which all that was stored is sent. So that nothing comes
   *  twice, what is in the log and not acknowledged here yet is left to the SDK. */
  async replayEventsAfter(lastEventId, { send }) {
    if (typeof lastEventId !== "string") throw new TypeError("lastEventId must be a string");
    if (typeof send !== "function") throw new TypeError("send must be a function");
    if (!isEventId(lastEventId)) throw new UnknownIdError();
    const streamId = streamOf(lastEventId);
    await Promise.allSettled(this.#pending.values());
    for (let last = lastEventId, stored = -1; stored !== this.#stored; await nextTurn()) {
      stored = this.#stored;
      await this.#read(last, async ({ kind, id, data }) => {
        if (this.#pending.has(id)) return false;
        last = id;
        if (kind === "event" && streamOf(id) === streamId) await send(id, JSON.parse(data));
        return true;
      });
    }
    return streamId;
  }

  /** Deletes what is stored: for onsessionclosed. The store can store nothing any more. */
  async delete() {
    this.#isDeleted = true;
    await Promise.allSettled(this.#pending.values());
    const producer = await producerOf(this.#client, this.#timeoutMs);
    try {
      await producer.deleteSession(this.#session);
    } catch (error) {
      if (!(error instanceof UnknownSessionError)) throw error; // nothing was stored, or it is deleted
    }
  }
}
