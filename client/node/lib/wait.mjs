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

export class Wait {
  /** cancel: called when the signal was aborted. */
  constructor(core, owner, signal, resolve, reject, cancel) {
    this.core = core;
    this.owner = owner;
    this.signal = signal;
    this.onResolve = resolve;
    this.onReject = reject;
    this.cancel = cancel;
    if (signal !== undefined) signal.addEventListener("abort", this);
    core.hold();
  }

  get isOver() {
    return this.core === null;
  }

  handleEvent() {
    const { cancel, signal } = this;
    this.reject(signal.reason);
    cancel?.();
  }

  #end() {
    if (this.core === null) return false;
    if (this.signal !== undefined) this.signal.removeEventListener("abort", this);
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
