// SPDX-License-Identifier: Apache-2.0
// client: a connection to the sidecar of this host.
import {
  attributesOf,
  checkEventKind,
  checkLevel,
  checkMs,
  checkObject,
  checkText,
  conditionsOf,
  followStartOf,
  startOf,
} from "./arguments.mjs";
import { Core, whenCollected } from "./core.mjs";
import { OK, errorOf } from "./codes.mjs";
import { ConflictError, SponsonError, TimeoutError } from "./errors.mjs";
import { ReplayInbox, SubscriptionInbox, clientClosed } from "./inbox.mjs";
import { quick } from "./line.mjs";
import { Producer } from "./producer.mjs";
import { Replay, Subscription, checkReading } from "./subscription.mjs";
import { asyncDispose } from "./symbols.mjs";
import { after, checkSignal, listen, unlisten } from "./wait.mjs";

const CONNECT_MS = 5000;
const noOptions = Object.freeze({});

/** What a one-shot came to: an error if it is not in the log. */
function judge({ code, ...answer }) {
  if (answer.result === "conflict") throw new ConflictError(answer);
  if (code !== OK) throw errorOf(code, undefined, answer);
  return answer;
}

const isGone = (error) => error instanceof SponsonError;

export class Client {
  #core;
  #producers = new Set(); // WeakRefs
  #closing = null;

  /** Apps call connect or open. */
  constructor({ socketDir, atOnce, sendHwm, readBytesMax, questionsMax }) {
    this.#core = new Core({ socketDir, atOnce, sendHwm, readBytesMax, questionsMax });
    whenCollected(this, this.#core);
  }

  /** Resolves when the sidecar has answered. */
  ready({ signal } = noOptions) {
    return this.#core.ready(this, signal);
  }

  /** Why it is not ready, or what failed last: for people. */
  get detail() {
    this.#core.check();
    return this.#core.detail();
  }

  /** The largest event data that the sidecar takes, in bytes; 0: not known yet. */
  get dataMax() {
    this.#core.check();
    return this.#core.native.dataMax();
  }

  // -- publishing ---------------------------------------------------------------------------------

  async producer(options = noOptions) {
    const { signal } = checkObject(options, "options");
    checkSignal(signal);
    const producer = new Producer(this, this.#core, options);
    this.#remember(producer);
    await producer.opened(signal);
    return producer;
  }

  #remember(producer) {
    for (const each of this.#producers) if (each.deref() === undefined) this.#producers.delete(each);
    this.#producers.add(new WeakRef(producer));
  }

  async #ask(kind, session, request, more, signal) {
    return this.#core.ask(this, kind, session, request, more, signal);
  }

  async #once(kind, session, options, more) {
    checkText(session, "session");
    const { level, signal } = checkObject(options, "options");
    const request = { ...conditionsOf(options), level: checkLevel(level) };
    return judge(await this.#ask(kind, session, request, more?.(), signal));
  }

  async publishOnce(session, event, options = noOptions) {
    return this.#once("publish", session, options, () => {
      const { kind, id, type, data, retryMs, note } = checkObject(event, "event");
      return [quick(data), id, type, retryMs, note, checkEventKind(kind)];
    });
  }

  async closeSession(session, options = noOptions) {
    return this.#once("closeSession", session, options);
  }

  async deleteSession(session, options = noOptions) {
    return this.#once("deleteSession", session, options);
  }

  async touchSession(session, options = noOptions) {
    return this.#once("touchSession", session, options);
  }

  async setSession(session, attributes, options = noOptions) {
    return this.#once("setSession", session, options, () => attributesOf(attributes));
  }

  // -- reading ------------------------------------------------------------------------------------

  subscribe(session, options = noOptions) {
    checkText(session, "session");
    const { signal, as, items } = checkObject(options, "options");
    const asBytes = checkReading(signal, as);
    const mode = items ? "items" : "events";
    const inbox = new SubscriptionInbox(this.#core, 0, session, startOf(options), asBytes, mode);
    return new Subscription(this, inbox, signal);
  }

  follow(options = noOptions) {
    const { signal, as } = checkObject(options, "options");
    const asBytes = checkReading(signal, as);
    const inbox = new SubscriptionInbox(this.#core, 1, undefined, followStartOf(options), asBytes, "items");
    return new Subscription(this, inbox, signal);
  }

  replay(session, options = noOptions) {
    checkText(session, "session");
    const { signal, as, after, cursor } = checkObject(options, "options");
    const asBytes = checkReading(signal, as);
    const inbox = new ReplayInbox(this.#core, session, startOf({ after, cursor }), asBytes);
    return new Replay(this, inbox, signal);
  }

  // -- questions ----------------------------------------------------------------------------------

  async last(session, { signal } = noOptions) {
    return this.#ask("last", checkText(session, "session"), undefined, undefined, signal);
  }

  async session(name, { signal } = noOptions) {
    return this.#ask("session", checkText(name, "name"), undefined, undefined, signal);
  }

  async *sessions({ prefix, after, signal } = noOptions) {
    for (let more = true; more;) {
      const page = await this.#ask("sessions", undefined, { prefix, after }, undefined, signal);
      yield* page.sessions;
      more = page.more;
      after = page.sessions.at(-1)?.name;
    }
  }

  async health({ signal } = noOptions) {
    return this.#ask("health", undefined, undefined, undefined, signal);
  }

  async stats({ signal } = noOptions) {
    return this.#ask("stats", undefined, undefined, undefined, signal);
  }

  // -- the end ------------------------------------------------------------------------------------

  /** Closes the producers, as Producer.close does, then the connection. */
  async close({ timeoutMs = CONNECT_MS } = noOptions) {
    checkMs(timeoutMs, "timeoutMs");
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs) {
    const producers = [...this.#producers].map((each) => each.deref()).filter((each) => each !== undefined);
    await Promise.all(producers.map((each) => each.close({ timeoutMs })));
    await this.#core.end(clientClosed());
  }

  [asyncDispose]() {
    return this.close();
  }
}

/** A client that connects as it is used: there need not be a sidecar yet. */
export function open(options = noOptions) {
  return new Client(checkObject(options, "options"));
}

/** A client that has met its sidecar, within timeoutMs. */
export async function connect(options = noOptions) {
  const { signal, timeoutMs = CONNECT_MS } = checkObject(options, "options");
  checkSignal(signal);
  checkMs(timeoutMs, "timeoutMs");
  const client = open(options);
  const late = new AbortController();
  const told = { aborted: () => late.abort() };
  const stop = after(timeoutMs, told.aborted);
  if (signal !== undefined) listen(signal, told);
  try {
    await client.ready({ signal: late.signal });
    return client;
  } catch (error) {
    const detail = isGone(error) ? "" : client.detail;
    await client.close();
    if (signal?.aborted) throw signal.reason;
    throw isGone(error) ? error : new TimeoutError(`not connected within ${timeoutMs} ms: ${detail}`);
  } finally {
    stop();
    if (signal !== undefined) unlisten(signal, told);
  }
}
