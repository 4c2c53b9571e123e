// SPDX-License-Identifier: Apache-2.0
// fifo: first in, first out, each in constant time.
const SHRINK_AT = 1024;

export class Fifo {
  #items = [];
  #head = 0;

  get size() {
    return this.#items.length - this.#head;
  }

  push(item) {
    this.#items.push(item);
  }

  peek() {
    return this.#items[this.#head];
  }

  last() {
    return this.#items.length > this.#head ? this.#items[this.#items.length - 1] : undefined;
  }

  shift() {
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = this.#head = 0;
    } else if (this.#head >= SHRINK_AT && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes one out that is anywhere in it. */
  remove(item) {
    const at = this.#items.indexOf(item, this.#head);
    if (at >= 0) this.#items.splice(at, 1);
  }

  *[Symbol.iterator]() {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i];
  }

  /** Takes all out. */
  clear() {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
