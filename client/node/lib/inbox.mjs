// SPDX-License-Identifier: Apache-2.0
// inbox: what a subscription or a replay has given and nobody has taken yet, and who waits for it.
//
// An inbox of a subscription that is full pauses it, so what is unread is bounded: here, and in the library by the
// subscription's window.
import { CLOSED, END, OK, TIMEOUT, attempt, errorOf } from "./codes.mjs";
import { InvalidError } from "./errors.mjs";
import { forgetCollected } from "./core.mjs";
import { isEvent, kindOf, lifeOf, makeEvent, makeItem, missingOf, sizeOf, whyOf } from "./event.mjs";
import { Fifo } from "./fifo.mjs";
import { native } from "./native.mjs";
import { Wait, after, listen, unlisten } from "./wait.mjs";

const ITEMS_MAX = 256;
const BYTES_MAX = 64 * 1024;

const ended = Object.freeze({ value: undefined, done: true });

class Inbox {
  isOver = false; // nothing more comes
  #error = undefined; // thrown once, after the items; null may be the reason of a signal
  #items = new Fifo();
  #waits = new Fifo();
  #signal = undefined;
  constructor(core) {
    this.core = core;
  }

  /** When the signal is aborted, what is unread is dropped, and its reason is thrown. */
  listen(signal) {
    this.#signal = signal;
    if (signal !== undefined) listen(signal, this);
  }

  aborted(reason) {
    this.end(reason);
  }

  #stopListening() {
    if (!this.isOver || this.#items.size > 0 || this.#signal === undefined) return;
    unlisten(this.#signal, this);
    this.#signal = undefined;
  }

  get size() {
    return this.#items.size;
  }

  get isWanted() {
    return this.#waits.size > 0;
  }

  next(owner) {
    if (this.#items.size > 0) return Promise.resolve({ value: this.shift(), done: false });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.isOver) return Promise.resolve(ended);
    return new Promise((resolve, reject) => {
      this.#waits.push(new Wait(this.core, owner, undefined, resolve, reject, undefined));
    });
  }

  /** The same; undefined if nothing comes within ms, and what comes later is for who asks then. */
  async nextWithin(owner, ms) {
    const next = this.next(owner);
    const wait = this.#waits.last();
    const stop = after(ms, () => {
      this.#waits.remove(wait);
      wait?.resolve(undefined);
    });
    try {
      return await next;
    } finally {
      stop();
    }
  }

  shift() {
    const item = this.#items.shift();
    this.#stopListening();
    return item;
  }

  push(value) {
    if (this.#waits.size > 0) this.#waits.shift().resolve({ value, done: false });
    else this.#items.push(value);
  }

  /** Nothing more comes. The first to ask after the items gets the error, if there is one. */
  finish(error) {
    if (this.isOver) return;
    this.isOver = true;
    this.#error = error;
    forgetCollected(this);
    this.detach();
    if (this.#waits.size > 0 && error !== undefined) {
      this.#error = undefined;
      this.#waits.shift().reject(error);
    }
    for (const wait of this.#waits.clear()) wait.resolve(ended);
    this.#stopListening();
  }

  /** The same, and what is unread is dropped. */
  end(error) {
    const dropped = this.#items.clear().length;
    if (!this.isOver) return this.finish(error);
    if (dropped > 0 || error === undefined) this.#error = error;
    this.#stopListening();
  }

  abandon() {
    this.end(undefined);
  }
}

/** Of a subscription. mode: "events", "markers" (events and markers) or "items". */
export class SubscriptionInbox extends Inbox {
  verdict = null;
  last = null; // the item that ended it
  #life = null;
  #missing = 0; // before the next event
  #bytes = 0;
  #isPaused = false;
  #sizes = new Fifo();

  constructor(core, source, session, start, asBytes, mode) {
    super(core);
    core.check();
    this.number = core.nextNumber();
    this.mode = mode;
    this.asBytes = asBytes;
    this.native = attempt(() => new native.Reader(core.native, this.number, source, session, start, asBytes));
    core.inboxes.set(this.number, this);
  }

  /** An item of the addon's portion. */
  put(numbers, at, values, v) {
    const life = lifeOf(numbers, at, values, v);
    if (life !== undefined) this.#life = life;
    const kind = kindOf(numbers, at);
    if (this.isOver) return;
    if (kind === "event") this.#putEvent(numbers, at, values, v);
    else this.#putOther(kind, makeItem(numbers, at, values, v, this.#life), whyOf(numbers, at));
  }

  #putEvent(numbers, at, values, v) {
    if (this.mode === "events" && !isEvent(numbers, at)) return;
    const missing = missingOf(numbers, at) + this.#missing;
    this.#missing = 0;
    const size = sizeOf(numbers, at);
    if (!this.isWanted) {
      this.#sizes.push(size);
      this.#bytes += size;
    }
    this.push(makeEvent(numbers, at, values, v, this.#life, missing, this.asBytes));
    if (!this.#isPaused && (this.size >= ITEMS_MAX || this.#bytes >= BYTES_MAX)) this.#pause(true);
  }

  #putOther(kind, item, why) {
    if (kind === "verdict") this.verdict = item;
    if (this.mode === "items") this.#pushPlain(item);
    else if (kind === "verdict" || kind === "gap") this.#missing += item.missing;
    if (kind !== "end") return;
    this.last = item;
    const isGood = this.mode === "items" || why === CLOSED;
    this.finish(isGood ? undefined : errorOf(why, undefined, { item }));
  }

  #pushPlain(item) {
    if (!this.isWanted) this.#sizes.push(0);
    this.push(item);
  }

  shift() {
    this.#bytes -= this.#sizes.shift();
    if (this.#isPaused && this.size <= ITEMS_MAX / 4 && this.#bytes <= BYTES_MAX / 4) this.#pause(false);
    return super.shift();
  }

  #pause(paused) {
    this.#isPaused = paused;
    if (!this.isOver) this.native.pause(paused);
  }

  detach() {
    this.core.inboxes.delete(this.number);
    if (this.core.failure === null) this.native.close();
  }
}

/** Of a replay: the library is asked when somebody waits. */
export class ReplayInbox extends Inbox {
  missing = 0;
  #life = null;

  constructor(core, session, start, asBytes) {
    super(core);
    core.check();
    this.asBytes = asBytes;
    this.native = attempt(() => new native.Reader(core.native, 0, 2, session, start, asBytes));
    core.replays.add(this);
  }

  next(owner) {
    if (this.size === 0 && !this.isOver) this.core.turnAgain();
    return super.next(owner);
  }

  /** true: there may be more. */
  turn() {
    if (!this.isWanted) return false;
    const code = this.core.takeReplay(this.native, (...item) => this.#put(...item));
    this.missing = this.native.missing();
    if (code === END) this.finish(undefined);
    else if (code !== OK && code !== TIMEOUT) this.finish(errorOf(code, this.core.detail()));
    return code === OK;
  }

  #put(numbers, at, values, v) {
    const life = lifeOf(numbers, at, values, v);
    if (life !== undefined) this.#life = life;
    this.push(makeEvent(numbers, at, values, v, this.#life, 0, this.asBytes));
  }

  detach() {
    this.core.replays.delete(this);
    if (this.core.failure === null) this.native.close();
  }
}

export const clientClosed = () => new InvalidError("the client is closed");
