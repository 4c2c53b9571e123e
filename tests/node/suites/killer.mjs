// SPDX-License-Identifier: Apache-2.0
// killer: counts what a suite does, and kills the daemon -9 before some of it. It is started again while the suite
// goes on.
import { serve } from "../kit.mjs";

export class Killer {
  operations = 0;
  kills = 0;
  failure = null;
  #starting = Promise.resolve();

  /** isDue(number): whether the daemon is killed before this operation. */
  constructor(stage, isDue) {
    Object.assign(this, { stage, isDue });
  }

  /** The port where operations are told. */
  open() {
    return serve(this.stage, async (request, answer) => {
      if (this.isDue(++this.operations)) await this.#kill();
      answer.end();
    });
  }

  async #kill() {
    const started = this.#starting;
    let start;
    this.#starting = new Promise((resolve) => (start = resolve));
    try {
      await started;
      await this.stage.daemon.kill();
      this.kills++;
      start(this.stage.daemon.start().catch((error) => (this.failure = error)));
    } catch (error) {
      this.failure = error;
      start();
    }
  }
}
