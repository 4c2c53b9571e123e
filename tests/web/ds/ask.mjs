// SPDX-License-Identifier: Apache-2.0
// ask: requests to a Durable Stream, and what is read of it.
import assert from "node:assert/strict";

export class Ask {
  constructor(url, type = "text/plain") {
    Object.assign(this, { url, type });
  }

  async send(method, headers = {}, body = undefined, query = "") {
    const answer = await fetch(this.url + query, { method, headers, body });
    return { status: answer.status, headers: answer.headers, text: await answer.text(), next: answer.headers.get("Stream-Next-Offset") };
  }

  /** Sends, and asserts the status. */
  async must(status, ...words) {
    const answer = await this.send(...words);
    assert.equal(answer.status, status, `${words[0]} ${JSON.stringify(words[1] ?? {})}: ${answer.status} ${answer.text}`);
    return answer;
  }

  create(status, headers = {}, body = undefined) {
    return this.must(status, "PUT", { "Content-Type": this.type, ...headers }, body);
  }

  post(status, body, headers = {}) {
    return this.must(status, "POST", { "Content-Type": this.type, ...headers }, body);
  }

  /** An append of a producer: [id, epoch, seq]. */
  append(status, [id, epoch, seq], body, headers = {}) {
    return this.post(status, body, { "Producer-Id": id, "Producer-Epoch": String(epoch), "Producer-Seq": String(seq), ...headers });
  }

  head(status = 200) {
    return this.must(status, "HEAD");
  }

  /** All chunks from an offset up to the newest, as bytes. */
  async chunks(offset = "-1") {
    const chunks = [];
    for (;;) {
      const answer = await fetch(`${this.url}?offset=${offset}`);
      assert.equal(answer.status, 200);
      chunks.push(Buffer.from(await answer.arrayBuffer()));
      offset = answer.headers.get("Stream-Next-Offset");
      if (answer.headers.get("Stream-Up-To-Date")) return chunks;
      assert.equal(answer.headers.get("Cache-Control"), "private, max-age=60, stale-while-revalidate=300");
    }
  }

  async text(offset) {
    return Buffer.concat(await this.chunks(offset)).toString();
  }
}
