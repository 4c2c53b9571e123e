// SPDX-License-Identifier: Apache-2.0
// text/event-stream: parsed in any pieces, and formatted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sponson } from "./kit.mjs";

const event = (more) => ({ kind: "event", id: "", type: "message", data: "", resetsId: false, ...more });

const table = [
  ["data: a\n\n", [event({ data: "a" })]],
  ["id: 1\nevent: t\ndata: a\ndata: b\nretry: 5\n\n", [event({ id: "1", type: "t", data: "a\nb", retryMs: 5 })]],
  [":comment\n\ndata:x\r\n\r\ndata: y\r\r", [event({ data: "x" }), event({ data: "y" })]],
  ["id: 7\n\n", [event({ kind: "marker", id: "7" })]],
  ["retry: 7\n\n", [event({ kind: "marker", retryMs: 7 })]],
  ["id\n\n", [event({ kind: "reset" })]],
  ["id:\ndata: ü😀\n\n", [event({ data: "ü😀", resetsId: true })]],
  ["data: no end\n", []],
];

test("parsed whole, byte by byte, and as bytes", () => {
  for (const [text, expected] of table) {
    const bytes = Buffer.from(text);
    assert.deepEqual(
      new sponson.SseParser().push(text).map((each) => ({ ...each })),
      expected,
      text,
    );
    const parser = new sponson.SseParser();
    assert.deepEqual(
      [...bytes].flatMap((byte) => parser.push(Buffer.from([byte]))),
      expected,
      text,
    );
  }
});

test("the id in force, and events over the limit", () => {
  const parser = new sponson.SseParser({ eventMax: 100 });
  assert.deepEqual(parser.push("id: 1\ndata: a\n\n").length, 1);
  assert.equal(parser.lastId, "1");
  assert.deepEqual(
    parser.push(`data: ${"x".repeat(200)}\n\ndata: b\n\n`).map(({ data }) => data),
    ["b"],
  );
  assert.equal(parser.skipped, 1);
});

test("what is formatted is parsed as the same", () => {
  for (const [, events] of table)
    for (const each of events) {
      const [back] = new sponson.SseParser().push(sponson.formatEvent(each));
      assert.deepEqual(back, each);
    }
  const big = sponson.formatEvent({ data: "line\n".repeat(200_000) });
  assert.equal(new sponson.SseParser().push(big)[0].data.length, 1_000_000);
});

test("what cannot be formatted", () => {
  const cases = [
    [{ data: "\r" }, "SPN_E_BAD_DATA"],
    [{ id: "\n", data: "" }, "SPN_E_BAD_ID"],
    [{ type: "a\nb", data: "" }, "SPN_E_BAD_TYPE"],
  ];
  for (const [bad, code] of cases) assert.throws(() => sponson.formatEvent(bad), { code });
});

test("a stream of chunks, as the body of a response", async () => {
  const body = new Response(
    table
      .map(([text]) => text)
      .join("")
      .replace("data: no end\n", ""),
  ).body;
  const all = [];
  for await (const each of sponson.parseEvents(body)) all.push(each);
  assert.equal(all.length, table.flatMap(([, events]) => events).length);
});
