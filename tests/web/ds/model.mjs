// SPDX-License-Identifier: Apache-2.0
// model: what a Durable Stream has to be after each request, and requests that are drawn to try it.
//
// One Model has one stream, and asks one thing after the other. What a request did whose answer was lost is not known
// until the stream was asked again: an append is followed by another one, a creation or a deletion is repeated.
import assert from "node:assert/strict";
import http from "node:http";
import { draws } from "../draws.mjs";
import { WAIT_MS } from "../stage.mjs";

const agent = new http.Agent({ keepAlive: true });
const TYPES = ["text/plain", "application/json", "application/octet-stream"];
const NEAR = ["null", "[]", "[[]]", '{"a":1,"a":2}', "1e999", "-0.0", '"\\ud800"', '"é\\u0000\u{1f6a2}"', "123456789012345678901234567890"];

/** The answer to a request. fetch is not used, since a request that it has queued is forgotten when a connection breaks. */
function send(url, method, headers = {}, body = undefined) {
  return new Promise((done, fail) => {
    const request = http.request(url, { method, headers, agent }, done);
    request.on("error", fail);
    request.setTimeout(WAIT_MS, () => request.destroy(Object.assign(new Error(`no answer: ${method} ${url}`), { code: "LATE" })));
    request.end(body && Buffer.from(body)); // with a string, Node would write the headers as UTF-8 too
  });
}

export class Model {
  /** urls: the stream, through each gateway. */
  constructor(urls, seed) {
    Object.assign(this, { urls, draw: draws(seed), stream: null, pieces: 0, gone: [], asked: 0, lost: 0, stops: false });
  }

  one(things) {
    return things[this.draw(things.length)];
  }

  /** The answer, or null if it was lost. */
  async ask(method, headers = {}, body = undefined, query = "") {
    if (this.stops) throw new Error("another model has failed");
    this.asked += 1;
    try {
      const answer = await send(this.one(this.urls) + query, method, headers, body);
      const parts = [];
      for await (const part of answer) parts.push(part);
      if (answer.statusCode < 500)
        return {
          status: answer.statusCode,
          header: (name) => answer.headers[name] ?? null,
          bytes: Buffer.concat(parts),
          next: answer.headers["stream-next-offset"],
        };
    } catch (error) {
      if (error.code === "LATE") throw error; // else the gateway was killed
    }
    this.lost += 1;
    return null;
  }

  /** The same until there is an answer. Only for what may be repeated. */
  async repeat(...words) {
    for (const due = Date.now() + WAIT_MS; ; ) {
      const answer = await this.ask(...words);
      if (answer) return answer;
      assert.ok(Date.now() < due, `no answer to ${words[0]}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  }

  /** A body of this type, and what the stream has of it. No two are the same. */
  piece(type) {
    this.pieces += 1;
    const name = `<${this.pieces}>`;
    if (type === "application/octet-stream") {
      const rest = Array.from({ length: this.draw(300) }, () => this.one([0, 10, 13, 16, 77, 80, 255, 65]));
      const bytes = Buffer.concat([Buffer.from(name), Buffer.from(rest)]);
      return { name, body: bytes, kept: bytes };
    }
    if (type === "text/plain") {
      const text = name + this.one(["", "\n", "\r", "\r\n", " ", "\n\n", "é", "\u0010P", "data: x\n\n", "\0"]) + "x".repeat(this.draw(50));
      return { name, body: text, kept: Buffer.from(text) };
    }
    const messages = [JSON.stringify(name), ...Array.from({ length: this.draw(3) }, () => this.one(NEAR))];
    const inside = messages.join(this.one([",", " ,\r\n "]));
    return { name, body: ` [${inside}\t] `, kept: Buffer.from(inside) };
  }

  content(from) {
    const { type, pieces } = this.stream;
    const kept = pieces.slice(from);
    if (type !== "application/json") return Buffer.concat(kept);
    return Buffer.from(`[${kept.map((piece) => piece.toString()).join(",")}]`);
  }

  /** An append was stored. */
  add(piece, next) {
    this.stream.pieces.push(piece.kept);
    assert.ok(next > this.stream.offsets.at(-1), `${next} does not come after ${this.stream.offsets.at(-1)}`);
    this.stream.offsets.push(next);
  }

  // -- creation and deletion ---------------------------------------------------------------------

  async create() {
    const type = this.stream && this.draw(2) ? this.stream.type : this.one(TYPES);
    const ttl = this.stream && this.draw(2) ? this.stream.ttl : this.one([null, "3600", "86400"]);
    const closes = this.draw(5) === 0;
    const piece = this.draw(2) ? this.piece(type) : null;
    const headers = { "Content-Type": type, ...(ttl && { "Stream-TTL": ttl }), ...(closes && { "Stream-Closed": "true" }) };
    const lostBefore = this.lost;
    const answer = await this.repeat("PUT", headers, piece?.body);
    if (this.stream) {
      const same = this.stream.type === type && this.stream.ttl === ttl && this.stream.closed === closes;
      assert.equal(answer.status, same ? 200 : 409);
      return;
    }
    assert.ok(answer.status === 201 || (answer.status === 200 && this.lost > lostBefore), `created: ${answer.status}`);
    this.stream = { type, ttl, closed: closes, pieces: piece ? [piece.kept] : [], offsets: [], producers: new Map(), seq: "", closer: null };
    if (piece) this.stream.offsets.push(null);
    this.stream.offsets.push(answer.next);
  }

  async remove() {
    const lostBefore = this.lost;
    const answer = await this.repeat("DELETE");
    if (!this.stream) assert.equal(answer.status, 404);
    else assert.ok(answer.status === 204 || (answer.status === 404 && this.lost > lostBefore), `deleted: ${answer.status}`);
    if (this.stream) this.gone.push(this.stream.offsets.at(-1));
    this.stream = null;
  }

  // -- appends -----------------------------------------------------------------------------------

  /** An append that may not be repeated: if its answer is lost, another one shows whether it was stored. */
  async append() {
    const { stream } = this;
    const piece = this.piece(stream?.type ?? "text/plain");
    const headers = { "Content-Type": stream?.type ?? "text/plain" };
    const closes = this.draw(12) === 0;
    const seq = this.draw(3) === 0 ? String(this.draw(1000)).padStart(3, "0") : null;
    if (closes) headers["Stream-Closed"] = "true";
    if (seq) headers["Stream-Seq"] = seq;
    const answer = await this.ask("POST", headers, piece.body);
    if (!stream) {
      assert.ok(!answer || answer.status === 404);
      return;
    }
    const takes = !stream.closed && (!seq || seq > stream.seq);
    if (answer) assert.equal(answer.status, takes ? 204 : 409);
    if (!takes) return;
    if (answer) this.add(piece, answer.next);
    else if (!(await this.wasStored(piece, closes))) return;
    if (seq) stream.seq = seq;
    if (closes) stream.closed = true;
  }

  async wasStored(piece, closes) {
    const { stream } = this;
    const next = this.piece(stream.type);
    const id = `barrier${this.pieces}`;
    const producer = { "Producer-Id": id, "Producer-Epoch": "0", "Producer-Seq": "0" };
    const answer = await this.repeat("POST", { "Content-Type": stream.type, ...producer }, next.body);
    if (answer.status === 409 && closes) {
      assert.equal(answer.header("stream-closed"), "true");
      this.add(piece, answer.next);
      return true;
    }
    assert.ok(answer.status === 200 || answer.status === 204, `after a lost answer: ${answer.status}`);
    stream.producers.set(id, { epoch: 0, seq: 0 });
    const whole = (await this.repeat("GET", {}, undefined, `?offset=${stream.offsets.at(-1)}`)).bytes;
    const isThere = whole.includes(piece.name);
    if (isThere) {
      assert.ok(!closes, "something was stored after the append that closed the stream");
      stream.pieces.push(piece.kept);
      stream.offsets.push(null); // its offset is not known
    }
    stream.pieces.push(next.kept);
    stream.offsets.push(answer.next);
    return isThere;
  }

  /** An append of a producer, which is repeated until it is answered, and some that are no next one. */
  async produce() {
    const { stream } = this;
    if (!stream) return;
    const id = this.one(["p", "q", "ü"]);
    const known = stream.producers.get(id);
    const epoch = (known?.epoch ?? 0) + this.one([0, 0, 0, 0, 1, -1]);
    if (epoch < 0) return;
    const seq = known && epoch === known.epoch ? known.seq + this.one([1, 1, 1, 1, 0, -1, 2]) : this.one([0, 0, 0, 1]);
    if (seq < 0) return;
    const closes = this.draw(15) === 0;
    const onlyCloses = closes && this.draw(2) === 0;
    const piece = onlyCloses ? null : this.piece(stream.type);
    const headers = {
      "Content-Type": stream.type,
      "Producer-Id": Buffer.from(id).toString("latin1"),
      "Producer-Epoch": String(epoch),
      "Producer-Seq": String(seq),
      ...(closes && { "Stream-Closed": "true" }),
    };
    const lostBefore = this.lost;
    const answer = await this.repeat("POST", headers, piece?.body);
    const wasLost = this.lost > lostBefore;
    const what = `producer ${id} epoch ${epoch} seq ${seq} after ${JSON.stringify(known)} ${stream.closed ? "closed" : ""}: ${answer.status}`;
    if (stream.closed) {
      const isCloser = stream.closer && stream.closer.id === id && stream.closer.epoch === epoch && stream.closer.seq === seq;
      assert.equal(answer.status, isCloser ? 204 : 409, what);
      return;
    }
    if (known && epoch < known.epoch) {
      assert.equal(answer.status, 403, what);
      assert.equal(answer.header("producer-epoch"), String(known.epoch));
    } else if (known && epoch > known.epoch && seq !== 0) {
      assert.equal(answer.status, 400, what);
    } else if (known && epoch === known.epoch && seq <= known.seq) {
      assert.equal(answer.status, 204, what);
      assert.equal(answer.header("producer-seq"), String(known.seq));
    } else if (seq > (known && epoch === known.epoch ? known.seq + 1 : 0)) {
      assert.equal(answer.status, 409, what);
      assert.equal(answer.header("producer-expected-seq"), String(known ? known.seq + 1 : 0));
    } else {
      assert.ok(answer.status === (onlyCloses ? 204 : 200) || (answer.status === 204 && wasLost), what);
      stream.producers.set(id, { epoch, seq });
      if (piece) this.add(piece, answer.next);
      if (closes) Object.assign(stream, { closed: true, closer: { id, epoch, seq } });
    }
  }

  async close() {
    const answer = await this.repeat("POST", { "Stream-Closed": "true" });
    assert.equal(answer.status, this.stream ? 204 : 404);
    if (!this.stream) return;
    this.stream.closed = true;
    assert.equal(answer.next, this.stream.offsets.at(-1));
  }

  // -- reads -------------------------------------------------------------------------------------

  async head() {
    const answer = await this.repeat("HEAD");
    assert.equal(answer.status, this.stream ? 200 : 404);
    if (!this.stream) return;
    assert.equal(answer.header("content-type"), this.stream.type);
    assert.equal(answer.header("stream-ttl"), this.stream.ttl);
    assert.equal(answer.header("stream-closed"), this.stream.closed ? "true" : null);
    assert.equal(answer.next, this.stream.offsets.at(-1));
  }

  /** A place to read from: how many pieces are before it, and its offset. */
  place() {
    const from = this.draw(this.stream.offsets.length);
    return from === 0 || this.stream.offsets[from] === null ? { from: 0, offset: "-1" } : { from, offset: this.stream.offsets[from] };
  }

  async read() {
    if (!this.stream) return;
    const { from, offset } = this.place();
    const answer = await this.repeat("GET", {}, undefined, `?offset=${offset}${this.one(["", "&live=long-poll"])}`);
    const expected = this.content(from);
    if (answer.status === 204) assert.ok(from === this.stream.pieces.length, "nothing new");
    else assert.deepEqual(answer.bytes.toString("latin1"), expected.toString("latin1"));
    assert.equal(answer.next, this.stream.offsets.at(-1));
    assert.equal(answer.header("stream-up-to-date"), "true");
    assert.equal(answer.header("stream-closed"), this.stream.closed ? "true" : null);
  }

  async readGone() {
    if (!this.gone.length) return;
    const answer = await this.repeat("GET", {}, undefined, `?offset=${this.one(this.gone)}`);
    assert.equal(answer.status, this.stream ? 410 : 404);
  }

  /** An event stream up to the newest, taken up again at the last offset when it is cut. */
  async follow() {
    if (!this.stream) return;
    const { type, offsets, closed } = this.stream;
    let { from, offset } = this.place();
    const expected = this.content(from);
    const data = [];
    for (let ended = false; !ended; )
      ended = await this.followOnce(offset, (kind, text) => {
        if (kind === "data") return data.push(text), false;
        const control = JSON.parse(text);
        offset = control.streamNextOffset;
        this.settled = data.length;
        return closed ? control.streamClosed : control.upToDate;
      }).catch((error) => {
        if (error instanceof assert.AssertionError) throw error;
        data.length = this.settled ?? 0; // data whose control did not come is sent again
        return false;
      });
    this.settled = 0;
    assert.equal(offset, offsets.at(-1));
    if (type === "application/octet-stream") assert.ok(Buffer.concat(data.map((text) => Buffer.from(text, "base64"))).equals(expected));
    else if (type === "text/plain") assert.equal(data.join(""), expected.toString().replace(/\r\n?/g, "\n"));
    else assert.equal(`[${data.map((text) => text.replace(/^\[\n/, "").replace(/\n\]$/, "")).join(",")}]`, expected.toString().replace(/\r\n/g, "\n"));
  }

  async followOnce(offset, take) {
    let answer;
    if (this.stops) throw new assert.AssertionError({ message: "another model has failed" });
    try {
      answer = await send(`${this.one(this.urls)}?offset=${offset}&live=sse`, "GET");
      if (answer.statusCode !== 200) {
        assert.ok(answer.statusCode >= 500, `an event stream: ${answer.statusCode}`);
        return false;
      }
      const decoder = new TextDecoder();
      let text = "";
      for await (const bytes of answer) {
        const events = (text + decoder.decode(bytes, { stream: true })).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const lines = event.split("\n");
          const kind = lines.find((line) => line.startsWith("event: "))?.slice(7);
          const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
          if (kind && take(kind, data.join("\n"))) return true;
        }
      }
      return false;
    } finally {
      answer?.destroy();
    }
  }

  /** So many requests that are drawn. */
  async go(count) {
    const often = ["create", "read", "append", "append", "produce", "produce"];
    const steps = [...often, ...often, "head", "follow", "readGone", "remove", "close"];
    for (let i = 0; i < count; i += 1) {
      const step = this.stream?.closed && this.draw(3) === 0 ? "remove" : this.one(steps);
      if ((step === "remove" || step === "close") && this.stream && !this.stream.closed && this.draw(3)) continue;
      await this[step]();
    }
    await this.read();
    await this.head();
  }
}
