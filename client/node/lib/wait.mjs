// SPDX-License-Identifier: Apache-2.0
// wait: one promise that somebody waits for.
//
// While there is one, the process does not end, and the object that it was asked of is not collected: `owner`.
// It ends once: with what came, with an error, or with the signal's reason.

/** TypeError if it is neither undefined nor an AbortSignal; throws its reason if it is aborted. */
export function checkSignal(signal) {
  if (signal === undefined) return;
  if (typeof signal?.aborted !== "boolean" || typeof signal.addEventListener !== "function")
    throw new TypeError("signal must be an AbortSignal");
  if (signal.aborted) throw signal.reason;
}

export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls act after so long, and returns what prevents that. Longer than a timer can wait is never. */
export function after(ms, act) {
  if (!(ms <= TIMER_MS_MAX)) return () => {};
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

/** Who is told of a signal. It has one listener of ours: Node warns of a leak when there are more than ten. */
class Listeners {
  static #all = new WeakMap();
  #told = new Set();

  constructor(signal) {
    this.signal = signal;
    signal.addEventListener("abort", this);
    Listeners.#all.set(signal, this);
  }

  static of(signal) {
    return Listeners.#all.get(signal);
  }

  add(who) {
    this.#told.add(who);
  }

  delete(who) {
    this.#told.delete(who);
    if (this.#told.size > 0) return;
    this.signal.removeEventListener("abort", this);
    Listeners.#all.delete(this.signal);
  }

  handleEvent() {
    for (const who of this.#told) who.aborted(this.signal.reason);
  }
}

/** who.aborted(reason) is called when the signal is aborted, until `unlisten`. It may be aborted already: between
 *  checkSignal and here, code of the app runs. */
export function listen(signal, who) {
  if (signal.aborted) queueMicrotask(() => who.aborted(signal.reason));
  else (Listeners.of(signal) ?? new Listeners(signal)).add(who);
}
export const unlisten = (signal, who) => Listeners.of(signal)?.delete(who);

export class Wait {
  /** cancel: called when the signal was aborted. */
  constructor(core, owner, signal, resolve, reject, cancel) {
    this.core = core;
    this.owner = owner;
    this.signal = signal;
    this.onResolve = resolve;
    this.onReject = reject;
    this.cancel = cancel;
    if (signal !== undefined) listen(signal, this);
    core.hold();
  }

  get isOver() {
    return this.core === null;
  }

  aborted(reason) {
    const { cancel } = this;
    this.reject(reason);
    cancel?.();
  }

  #end() {
    if (this.core === null) return false;
    if (this.signal !== undefined) unlisten(this.signal, this);
    this.core.release();
    this.core = this.owner = this.cancel = null;
    return true;
  }

  resolve(value) {
    if (this.#end()) this.onResolve(value);
  }

  reject(error) {
    if (this.#end()) this.onReject(error);
  }
}
