// SPDX-License-Identifier: Apache-2.0
// core: what the objects of one client share: the addon's client, its turns, and who waits for what.
//
// When the client's descriptor is readable, `turn` steps the library once and takes what is there, in portions that
// are short: the rest comes in another turn, after the loop had one of its own.
//
// The addon holds the core as long as it is open. The core holds lines (of producers), inboxes and questions, and
// none of them holds the object that the app has, unless somebody waits (see wait.mjs). So an object that the app
// dropped is collected, and `whenCollected` closes what it had.
import { OK, TIMEOUT, attempt, errorOf } from "./codes.mjs";
import { InvalidError } from "./errors.mjs";
import { native } from "./native.mjs";
import { Wait, checkSignal } from "./wait.mjs";

const ROOM_NUMBERS = 3072;
const PORTIONS_MAX = 16;
const ANSWERS_MAX = 64;

/** In the order of `enum kind` in questions.c. */
const questionKinds = [
  "last",
  "session",
  "sessions",
  "health",
  "stats",
  "publish",
  "closeSession",
  "deleteSession",
  "touchSession",
  "setSession",
];
const kindNumbers = new Map(questionKinds.map((name, number) => [name, number]));

const registry = new FinalizationRegistry((part) => part.abandon());
/** part.abandon() is called when the app's object is collected, unless `forget` came before. */
export const whenCollected = (object, part) => registry.register(object, part, part);
export const forgetCollected = (part) => registry.unregister(part);

export class Core {
  lines = new Set();
  inboxes = new Map();
  replays = new Set();
  isReady = false;
  failure = null;
  room = new Float64Array(ROOM_NUMBERS);
  #questions = new Map();
  #readyWaits = new Set();
  #numbers = 0;
  #waits = 0;
  #again = null;
  #values = [];

  constructor(options) {
    this.native = attempt(() => new native.Client(options, () => this.turn(), this.room));
  }

  // -- who waits ----------------------------------------------------------------------------------

  hold() {
    if (this.#waits++ === 0 && this.failure === null) this.native.hold(true);
  }

  release() {
    if (--this.#waits === 0 && this.failure === null) this.native.hold(false);
  }

  check() {
    if (this.failure !== null) throw this.failure;
  }

  detail() {
    return this.failure === null ? this.native.detail() : "";
  }

  nextNumber() {
    return ++this.#numbers;
  }

  // -- turns --------------------------------------------------------------------------------------

  turn() {
    if (this.failure !== null) return;
    const look = this.native.step() !== OK;
    if (!this.#checkReady()) return;
    let more = false;
    for (const line of this.lines) if (line.turn(look)) more = true;
    if (this.#takeAnswers()) more = true;
    if (this.inboxes.size > 0 && this.#takeItems()) more = true;
    for (const replay of this.replays) if (replay.turn()) more = true;
    if (more) this.turnAgain();
  }

  /** After the loop had a turn of its own. */
  turnAgain() {
    this.#again ??= setImmediate(() => {
      this.#again = null;
      this.turn();
    });
  }

  /** false: the client failed for good. */
  #checkReady() {
    const code = this.native.ready();
    if (code !== OK && code !== TIMEOUT) {
      this.end(errorOf(code, this.detail()));
      return false;
    }
    if (code === OK && !this.isReady) {
      this.isReady = true;
      for (const wait of this.#readyWaits) wait.resolve();
      this.#readyWaits.clear();
    }
    return true;
  }

  #takeAnswers() {
    for (let i = 0; i < ANSWERS_MAX; i++) {
      if (this.#questions.size === 0) return false;
      const number = this.native.takeAnswered();
      if (number < 0) return false;
      const { question, wait } = this.#questions.get(number);
      this.#questions.delete(number);
      try {
        wait.resolve(attempt(() => question.answer()));
      } catch (error) {
        wait.reject(error);
      }
    }
    return true;
  }

  #takeItems() {
    const step = { numbers: native.ITEM_NUMBERS, values: native.ITEM_VALUES };
    for (let i = 0; i < PORTIONS_MAX; i++) {
      const count = this.native.takeItems(this.#values);
      for (let item = 0; item < count; item++) {
        const at = item * step.numbers;
        this.inboxes.get(this.room[at])?.put(this.room, at, this.#values, item * step.values);
      }
      if (count === 0) return false;
    }
    return true;
  }

  /** The events of a replay: see take in subscribe.c. */
  takeReplay(reader, put) {
    const count = reader.take(this.#values);
    for (let item = 0; item < count; item++)
      put(this.room, item * native.ITEM_NUMBERS, this.#values, item * native.ITEM_VALUES);
    return this.room[count * native.ITEM_NUMBERS];
  }

  // -- questions ----------------------------------------------------------------------------------

  /** Resolves when the handshake is done. */
  ready(owner, signal) {
    return new Promise((resolve, reject) => {
      checkSignal(signal);
      this.check();
      if (this.isReady) return resolve();
      const wait = new Wait(this, owner, signal, resolve, reject, () => this.#readyWaits.delete(wait));
      this.#readyWaits.add(wait);
      this.turnAgain();
    });
  }

  ask(owner, kind, session, request, more, signal) {
    return new Promise((resolve, reject) => {
      checkSignal(signal);
      this.check();
      const number = this.nextNumber();
      const question = attempt(
        () => new native.Question(this.native, number, kindNumbers.get(kind), session, request, more),
      );
      const wait = new Wait(this, owner, signal, resolve, reject, () => {
        this.#questions.delete(number);
        if (this.failure === null) question.close();
      });
      this.#questions.set(number, { question, wait });
    });
  }

  // -- the end ------------------------------------------------------------------------------------

  /** Whoever waits gets the error, and so does each later call. Resolves when the library's client is closed. */
  end(error) {
    if (this.failure !== null) return Promise.resolve();
    forgetCollected(this);
    for (const line of [...this.lines]) line.end(error);
    for (const inbox of [...this.inboxes.values(), ...this.replays]) inbox.end(error);
    for (const { wait } of this.#questions.values()) wait.reject(error);
    for (const wait of this.#readyWaits) wait.reject(error);
    this.#questions.clear();
    this.#readyWaits.clear();
    this.failure = error;
    clearImmediate(this.#again);
    return this.native.close();
  }

  abandon() {
    void this.end(new InvalidError("the client was collected"));
  }
}
