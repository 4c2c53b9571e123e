// SPDX-License-Identifier: Apache-2.0
// killing_proxy: hands requests on, and kills a program before every so many of them.
//
// A kill never falls into a request: those that have begun are waited for, and those that come wait until the program
// is there again. Live reads may last for ever, so while one is open nothing is killed: the next request after it is
// the next occasion.
// Owns    its server.
import { createServer, request as send } from "node:http";

const isLive = (url) => /[?&]live=/.test(url);

export class KillingProxy {
  /** revive(): kills the program and starts it again. every: requests from one kill to the next; 0: none. */
  constructor(port, every, revive) {
    Object.assign(this, { port, every, revive, kills: 0, since: 0, live: 0, plain: 0, gate: Promise.resolve(), quiet: null });
    this.server = createServer((request, answer) => this.take(request, answer));
  }

  async open() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async kill() {
    if (this.plain > 0) await new Promise((done) => (this.quiet = done));
    await this.revive();
    this.kills += 1;
  }

  /** Requests pass one after the other; one that is due for a kill waits for it, and so do all after it. */
  pass(url) {
    this.gate = this.gate.then(async () => {
      this.since += 1;
      if (this.every > 0 && this.since >= this.every && this.live === 0) {
        this.since = 0;
        await this.kill();
      }
      this[isLive(url) ? "live" : "plain"] += 1;
    });
    return this.gate;
  }

  leave(url) {
    this[isLive(url) ? "live" : "plain"] -= 1;
    if (this.plain === 0 && this.quiet) {
      this.quiet();
      this.quiet = null;
    }
  }

  async take(request, answer) {
    try {
      await this.pass(request.url);
    } catch (error) {
      this.failure ??= error;
      answer.destroy();
      return;
    }
    let isOver = false;
    const end = () => {
      if (!isOver) this.leave(request.url);
      isOver = true;
    };
    const onward = send({ port: this.port, method: request.method, path: request.url, headers: request.rawHeaders, agent: false });
    const fail = () => {
      end();
      answer.destroy();
    };
    let isAnswered = false;
    // A body that is too large is answered while it is on its way; what is left of it is thrown away.
    onward.on("error", () => (isAnswered ? request.unpipe(onward).resume() : fail()));
    onward.on("response", (response) => {
      isAnswered = true;
      answer.writeHead(response.statusCode, response.rawHeaders);
      answer.flushHeaders();
      response.on("error", fail);
      response.on("close", end);
      response.pipe(answer);
    });
    answer.on("close", () => {
      onward.destroy();
      end();
    });
    request.pipe(onward);
  }
}
