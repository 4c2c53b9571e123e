// SPDX-License-Identifier: Apache-2.0
// line: what one producer was given, in the order of the calls.
//
// An entry waits in `#queue` until the library takes it, and then in `#sent` until it has its result. Results come
// in the order of tickets, so the first of `#sent` is always whose result comes next. When nobody queues, an entry
// is taken in the call itself.
//
//   publish ──> #queue ──(room)──> #sent ──(result)──> resolved
//
// A fence passes through both, and ends when nothing is before it: flush.
import { isUint8Array } from "node:util/types";
import { BACKPRESSURE, OK, TIMEOUT, errorOf } from "./codes.mjs";
import { ConflictError, DependentError, TimeoutError } from "./errors.mjs";
import { forgetCollected } from "./core.mjs";
import { Fifo } from "./fifo.mjs";
import { native } from "./native.mjs";
import { Wait } from "./wait.mjs";

const TAKEN_MAX = 256; // in one turn
const ACK_NUMBERS = 3;
const LARGE_UNITS = 64 * 1024;
const WINDOW_EVENTS = 65_536;
const operations = ["close", "delete", "touch", "set"];

/** Of a large string, Node's own conversion is the faster one, and the call into the addon stays short. */
export const quick = (data) => (typeof data === "string" && data.length > LARGE_UNITS ? Buffer.from(data) : data);

/** How an entry ended. */
export class Ack {
  constructor(ticket, result, id, error) {
    this.ticket = ticket;
    this.result = result;
    this.id = id;
    if (error !== undefined) this.error = error;
  }
}

/** Without bytes there is nothing to copy: the addon refuses what was detached. */
const copyOf = (value) => (isUint8Array(value) && value.length > 0 ? new Uint8Array(value) : value);
const copyAll = (object) =>
  object && Object.fromEntries(Object.entries(object).map(([name, value]) => [name, copyOf(value)]));

/** What an event has, as it was when it was handed over. */
export class Fields {
  constructor({ id, type, data, retryMs, note }, kind) {
    this.id = typeof id === "object" ? copyOf(id) : id; // the result has it
    this.type = type;
    this.data = data;
    this.retryMs = retryMs;
    this.note = note;
    this.kind = kind;
  }

  /** Bytes that the app may write to after the call. */
  keep() {
    for (const name of ["type", "data", "note"]) if (typeof this[name] === "object") this[name] = copyOf(this[name]);
  }

  /** The ticket, or an error as a negative number. */
  put(line, session, conditions) {
    const { id, type, retryMs, note, kind } = this;
    const data = (this.data = quick(this.data));
    if (
      type !== undefined ||
      retryMs !== undefined ||
      note !== undefined ||
      kind !== undefined ||
      conditions !== undefined
    )
      return line.native.publish(session, data, id, type, retryMs, note, kind, conditions);
    return id === undefined ? line.native.publish(session, data) : line.native.publish(session, data, id);
  }

  /** The event's own id, or what the library gives to one with this ticket. */
  idOf(line, ticket) {
    const { id } = this;
    if (id !== undefined && id.length > 0) return typeof id === "string" ? id : Buffer.from(id).toString();
    return ticket > 0 && (this.kind === undefined || this.kind === native.EVENT) ? line.givenId(ticket) : "";
  }
}

/** With the ticket that it depends on, as long as that has no result. */
const conditionsOf = ({ conditions, dependent }) => (dependent > 0 ? { ...conditions, dependent } : conditions);

/** One event. */
export class EventEntry {
  ticket = 0; // 0: it was not taken
  dependent = 0; // the ticket of dependsOn
  error = undefined; // of its result
  isOver = false; // it has its result
  constructor(session, fields, conditions, dependsOn) {
    this.session = session;
    this.fields = fields;
    this.conditions = conditions;
    this.dependsOn = dependsOn;
  }

  keep() {
    this.session = copyOf(this.session);
    this.conditions = copyAll(this.conditions);
    this.fields.keep();
  }

  put(line) {
    return this.fields.put(line, this.session, conditionsOf(this));
  }

  idOf(line, ticket) {
    return this.fields.idOf(line, ticket);
  }
}

/** A close, a delete, a touch, attributes. */
export class OperationEntry {
  ticket = 0;
  dependent = 0;
  error = undefined;
  isOver = false;
  constructor(session, name, conditions, attributes, dependsOn) {
    this.session = session;
    this.operation = operations.indexOf(name);
    this.conditions = conditions;
    this.attributes = attributes;
    this.dependsOn = dependsOn;
  }

  keep() {
    this.session = copyOf(this.session);
    this.conditions = copyAll(this.conditions);
    this.attributes = copyAll(this.attributes);
  }

  put(line) {
    return line.native.operate(this.session, this.operation, conditionsOf(this), this.attributes);
  }

  idOf() {
    return undefined;
  }
}

/** Many events of one session. Some are taken now, others when there is room. */
export class BatchEntry {
  acks = [];
  next = 0; // the first event that was not taken yet
  #tickets = new Fifo(); // indexes of the events that have no result yet
  constructor(session, events) {
    this.session = session;
    this.events = events;
  }

  get unanswered() {
    return this.#tickets.size;
  }

  get isTaken() {
    return this.next === this.events.length;
  }

  keep() {
    this.session = copyOf(this.session);
    for (let i = this.next; i < this.events.length; i++) this.events[i].keep();
  }

  refuse(error) {
    this.acks[this.next++] = new Ack(0, "refused", undefined, error);
  }

  took(ticket) {
    this.#tickets.push(this.next);
    this.acks[this.next++] = new Ack(ticket, "taken", undefined, undefined);
  }

  answer(line, result, error) {
    const index = this.#tickets.shift();
    const ack = this.acks[index];
    ack.result = result;
    if (error !== undefined) ack.error = error;
    ack.id = this.events[index].idOf(line, ack.ticket);
  }
}

class Fence {}

export class Line {
  onrefused = undefined;
  isOpen = false;
  failure = null;
  leftOver = 0; // entries without a result, when it ended
  #core;
  #queue = new Fifo();
  #sent = new Fifo();
  #outstanding = 0;
  #windowEvents;
  #fences = []; // without results of its own: fences wait for the library
  #openWait = null;
  #idPrefix = null;

  constructor(core, producer, options) {
    this.#core = core;
    this.native = producer;
    this.counts = options.level !== 0 && options.latestOnly !== true;
    this.#windowEvents = options.windowEvents || WINDOW_EVENTS;
    core.lines.add(this);
  }

  /** See spn_given_id: the same text for each ticket, and its number. */
  givenId(ticket) {
    this.#idPrefix ??= this.native.givenId(0).slice(0, -1);
    return `${this.#idPrefix}${ticket}`;
  }

  opened(owner, signal) {
    return new Promise((resolve, reject) => {
      this.#openWait = new Wait(this.#core, owner, signal, resolve, reject, () => this.abandon());
      this.#core.turnAgain();
    });
  }

  /** Entries without a result. */
  #countUnended() {
    let count = this.#outstanding;
    for (const entry of this.#queue) {
      if (entry instanceof Fence || entry.wait.isOver) continue;
      count += entry instanceof BatchEntry ? entry.events.length - entry.next : 1;
    }
    return count;
  }

  // -- taking -------------------------------------------------------------------------------------

  /** An entry with its promise's functions. */
  add(entry, owner, signal, resolve, reject) {
    entry.wait = new Wait(this.#core, owner, signal, resolve, reject, undefined);
    if (this.#queue.size === 0 && this.#take(entry)) return;
    entry.keep?.();
    this.#queue.push(entry);
  }

  flush(owner, signal) {
    return new Promise((resolve, reject) => {
      const fence = new Fence();
      this.add(fence, owner, signal, resolve, reject);
    });
  }

  /** false: there is no room for it, or for all of it. */
  #take(entry) {
    if (entry instanceof Fence) return this.#takeFence(entry);
    if (entry instanceof BatchEntry) return this.#takeBatch(entry);
    return this.#takeOne(entry);
  }

  #takeOne(entry) {
    if (entry.wait.isOver) {
      entry.isOver = true; // aborted
      return true;
    }
    if (!this.#hasRoom()) return false;
    if (entry.dependsOn !== undefined && !this.#takeDependence(entry)) return true;
    let ticket;
    try {
      ticket = entry.put(this);
    } catch (error) {
      this.#refuse(entry, error);
      return true;
    }
    if (ticket === -BACKPRESSURE) return false;
    if (ticket < 0) {
      this.#refuse(entry, this.#errorOfTaking(ticket));
      return true;
    }
    entry.ticket = ticket;
    entry.dependsOn = undefined; // a chain of all that were before is not kept
    if (this.counts) this.#sentOne(entry);
    else entry.wait.resolve(new Ack(ticket, "taken", entry.idOf(this, ticket)));
    return true;
  }

  #refuse(entry, error) {
    entry.error = error;
    entry.isOver = true;
    entry.wait.reject(error);
  }

  #hasRoom() {
    return this.isOpen && this.#outstanding < this.#windowEvents;
  }

  #errorOfTaking(outcome) {
    return errorOf(-outcome, this.#core.detail());
  }

  /** What it depends on is before it in this line. If that is decided already, so is this. */
  #takeDependence(entry) {
    const before = entry.dependsOn;
    if (before.error !== undefined || (before.isOver && before.ticket === 0)) {
      this.#refuse(entry, new DependentError());
      return false;
    }
    entry.dependent = before.isOver ? 0 : before.ticket;
    return true;
  }

  #sentOne(entry) {
    this.#outstanding++;
    if (this.#sent.last() !== entry) this.#sent.push(entry);
  }

  #takeBatch(batch) {
    for (let i = 0; i < TAKEN_MAX && !batch.isTaken && !batch.wait.isOver; i++)
      if (!this.#hasRoom() || !this.#takeOneOf(batch)) return false;
    this.#endBatch(batch);
    const isDone = batch.isTaken || batch.wait.isOver;
    if (!isDone) this.#core.turnAgain();
    return isDone;
  }

  /** The next event of a batch. false: there is no room. */
  #takeOneOf(batch) {
    let ticket;
    try {
      ticket = batch.events[batch.next].put(this, batch.session, undefined);
    } catch (error) {
      batch.refuse(error);
      return true;
    }
    if (ticket === -BACKPRESSURE) return false;
    if (ticket < 0) {
      batch.refuse(this.#errorOfTaking(ticket));
      return true;
    }
    batch.took(ticket);
    if (this.counts) this.#sentOne(batch);
    else batch.answer(this, "taken", undefined);
    return true;
  }

  #endBatch(batch) {
    if (batch.isTaken && batch.unanswered === 0) batch.wait.resolve(batch.acks);
  }

  #takeFence(fence) {
    if (!this.counts) {
      if (!this.isOpen) return false;
      this.#fences.push(fence);
      this.#passFences();
    } else if (this.#sent.size === 0) {
      fence.wait.resolve();
    } else {
      this.#sent.push(fence);
    }
    return true;
  }

  // -- turns --------------------------------------------------------------------------------------

  /** true: there is more to do. look: some producer failed. */
  turn(look) {
    if (!this.isOpen && !this.#open()) return false;
    let more = false;
    if (this.#outstanding > 0 || look || !this.counts) more = this.#takeResults(look);
    if (this.failure !== null) return false;
    if (this.#queue.size > 0 && this.#drain()) more = true;
    if (this.#fences.length > 0) this.#passFences();
    return more;
  }

  #open() {
    const code = this.native.ready();
    if (code === OK) {
      this.isOpen = true;
      this.#openWait?.resolve();
    } else if (code !== TIMEOUT) {
      this.end(errorOf(code, this.#core.detail()));
    }
    return code === OK;
  }

  /** Entries that wait for room. true: there may be room for more. */
  #drain() {
    for (let i = 0; i < TAKEN_MAX && this.#queue.size > 0; i++) {
      if (!this.#take(this.#queue.peek())) return false;
      this.#queue.shift();
    }
    return this.#queue.size > 0;
  }

  #passFences() {
    const code = this.native.flush();
    if (code === TIMEOUT) return;
    for (const fence of this.#fences.splice(0))
      if (code === OK) fence.wait.resolve();
      else fence.wait.reject(errorOf(code, this.#core.detail()));
  }

  /** true: there may be more. */
  #takeResults(look) {
    const { room } = this.#core;
    const count = this.native.results(look);
    const why = room[count * ACK_NUMBERS];
    for (let i = 0; i < count; i++) {
      const at = i * ACK_NUMBERS;
      this.#settle(room[at], native.results[room[at + 1]], room[at + 2]);
    }
    if (why === OK) return true;
    if (look) {
      const code = this.native.ready();
      if (code !== OK && code !== TIMEOUT) this.end(errorOf(code, this.#core.detail()));
    }
    return false;
  }

  #settle(ticket, result, code) {
    if (!this.counts) {
      this.#tellRefused(this.#errorOf(ticket, result, code));
      return;
    }
    const entry = this.#sent.peek();
    this.#outstanding--;
    if (entry instanceof BatchEntry) {
      entry.answer(this, result, this.#errorOf(ticket, result, code));
      this.#endBatch(entry);
      if (entry.unanswered > 0) return;
    } else {
      entry.isOver = true;
      entry.error = this.#errorOf(ticket, result, code);
      if (entry.error !== undefined) entry.wait.reject(entry.error);
      else if (!entry.wait.isOver) entry.wait.resolve(new Ack(ticket, result, entry.idOf(this, ticket)));
    }
    this.#sent.shift();
    while (this.#sent.peek() instanceof Fence) this.#sent.shift().wait.resolve();
  }

  #errorOf(ticket, result, code) {
    if (result === "stored" || result === "duplicate") return undefined;
    const more = { ticket, result };
    return result === "conflict" ? new ConflictError(more) : errorOf(code, undefined, more);
  }

  #tellRefused(error) {
    if (error !== undefined) queueMicrotask(() => this.onrefused?.(error));
  }

  // -- the end ------------------------------------------------------------------------------------

  /** What has no result gets the error. */
  end(error) {
    if (this.failure !== null) return;
    this.failure = error;
    this.leftOver = this.#countUnended();
    forgetCollected(this);
    this.#core.lines.delete(this);
    if (this.#core.failure === null) this.native.close();
    this.#openWait?.reject(error);
    for (const entry of [...this.#sent.clear(), ...this.#queue.clear(), ...this.#fences]) entry.wait.reject(error);
  }

  abandon() {
    this.end(new TimeoutError("the producer is closed"));
  }
}
