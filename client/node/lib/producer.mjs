// SPDX-License-Identifier: Apache-2.0
// producer: publishes in the order of the calls.
import {
  checkEventKind,
  checkLevel,
  checkMs,
  checkObject,
  checkText,
  attributesOf,
  conditionsOf,
} from "./arguments.mjs";
import { whenCollected } from "./core.mjs";
import { attempt } from "./codes.mjs";
import { InvalidError, TimeoutError } from "./errors.mjs";
import { BatchEntry, EventEntry, Fields, Line, OperationEntry } from "./line.mjs";
import { native } from "./native.mjs";
import { asyncDispose } from "./symbols.mjs";
import { after, checkSignal } from "./wait.mjs";

const CLOSE_MS = 5000;
const noOptions = Object.freeze({});

export class Producer {
  #client; // is not collected before this
  #core;
  #line;
  #id;
  #entries = new WeakMap(); // of promises: what others may depend on
  #closing = null;

  /** Apps call Client.producer. */
  constructor(client, core, { id, level, windowBytes, windowEvents, latestOnly } = noOptions) {
    core.check();
    const options = { id, level: checkLevel(level), windowBytes, windowEvents, latestOnly };
    const producer = attempt(() => new native.Producer(core.native, options));
    this.#client = client;
    this.#core = core;
    this.#id = id;
    this.#line = new Line(core, producer, options);
    whenCollected(this, this.#line);
  }

  /** Apps call Client.producer, which does. */
  opened(signal) {
    return this.#line.opened(this, signal);
  }

  get client() {
    return this.#client;
  }

  /** Called with the error of each refusal, at level "none" and with latestOnly. */
  get onrefused() {
    return this.#line.onrefused;
  }

  set onrefused(handler) {
    if (handler != null && typeof handler !== "function") throw new TypeError("onrefused must be a function");
    this.#line.onrefused = handler ?? undefined;
  }

  /** The last ticket of this id that the sidecar had committed when the producer was opened. */
  get committed() {
    this.#check();
    return this.#line.native.committed();
  }

  counters() {
    this.#check();
    return this.#line.native.counters();
  }

  #check() {
    if (this.#closing !== null) throw new InvalidError("the producer is closed");
    if (this.#line.failure !== null) throw this.#line.failure;
  }

  #add(makeEntry, signal) {
    let entry;
    const promise = new Promise((resolve, reject) => {
      if (signal !== undefined) checkSignal(signal);
      this.#check();
      entry = makeEntry();
      this.#line.add(entry, this, signal, resolve, reject);
    });
    return { entry, promise };
  }

  #addDependable(makeEntry, signal) {
    const { entry, promise } = this.#add(makeEntry, signal);
    if (entry !== undefined) this.#entries.set(promise, entry);
    return promise;
  }

  #dependence(dependsOn) {
    if (dependsOn === undefined) return undefined;
    const entry = this.#entries.get(dependsOn);
    if (entry === undefined) throw new TypeError("dependsOn must be a promise of this producer");
    return entry;
  }

  publish(session, event, options = noOptions) {
    return this.#addDependable(() => {
      const { kind } = checkObject(event, "event");
      const conditions = options === noOptions ? undefined : conditionsOf(checkObject(options, "options"));
      return new EventEntry(
        checkText(session, "session"),
        new Fields(event, checkEventKind(kind)),
        conditions,
        this.#dependence(options.dependsOn),
      );
    }, options?.signal);
  }

  publishMany(session, events, options = noOptions) {
    return this.#add(() => {
      checkText(session, "session");
      if (typeof events?.[Symbol.iterator] !== "function") throw new TypeError("events must be iterable");
      const fields = Array.from(events, (event, i) => {
        const { kind } = checkObject(event, `events[${i}]`);
        return new Fields(event, checkEventKind(kind));
      });
      return new BatchEntry(session, fields);
    }, options?.signal).promise;
  }

  #operate(name, session, options, attributes) {
    return this.#addDependable(() => {
      checkText(session, "session");
      const { ifNew, ifSeq, life, reason } = checkObject(options, "options");
      const conditions = { ifNew, ifSeq, life, reason };
      return new OperationEntry(session, name, conditions, attributes?.(), this.#dependence(options.dependsOn));
    }, options?.signal);
  }

  closeSession(session, options = noOptions) {
    return this.#operate("close", session, options);
  }

  deleteSession(session, options = noOptions) {
    return this.#operate("delete", session, options);
  }

  touchSession(session, options = noOptions) {
    return this.#operate("touch", session, options);
  }

  setSession(session, attributes, options = noOptions) {
    return this.#operate("set", session, options, () => attributesOf(attributes));
  }

  /** Resolves when all that was published before has its result. */
  flush({ signal } = noOptions) {
    return new Promise((resolve, reject) => {
      checkSignal(signal);
      this.#check();
      this.#line.flush(this, signal).then(resolve, reject);
    });
  }

  /** Waits for results, at most timeoutMs, and closes. Resolves with the number of entries that have none. */
  async close({ timeoutMs = CLOSE_MS } = noOptions) {
    checkMs(timeoutMs, "timeoutMs");
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs) {
    if (this.#line.failure !== null) return 0;
    const flushed = this.#line.flush(this, undefined);
    const stop = after(timeoutMs, () => this.#line.end(new TimeoutError("closed before there was a result")));
    const left = await flushed.then(
      () => 0,
      () => this.#line.leftOver,
    );
    stop();
    this.#line.abandon();
    return left;
  }

  async [asyncDispose]() {
    await this.close();
  }
}
