// SPDX-License-Identifier: Apache-2.0
// cutter: a TCP proxy that cuts the connections of event streams in the midst of the answer.
//
//   const cutter = await startCutter(stage, port, [0, 2]);
//   ... cutter.port ...
//
// Of each GET's answer, in turn, the head and so many blocks of the plan pass; then the connection ends. What comes
// after the plan, and every other method, passes whole. One request at a time on a connection.
import { connect, createServer } from "node:net";
import { listen } from "./stage.mjs";

function endOf(bytes, blocks) {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return -1;
  let at = head + 4;
  for (let count = 0; count < blocks; count++) {
    const end = bytes.indexOf("\n\n", at);
    if (end < 0) return -1;
    at = end + 2;
  }
  return at;
}

function take(cutter, peer, port) {
  const server = connect(port, "127.0.0.1");
  let left = null; /* blocks that pass, or null: all */
  let got = Buffer.alloc(0);
  const end = () => {
    peer.destroy();
    server.destroy();
  };
  peer.on("data", (bytes) => {
    if (bytes.subarray(0, 4).toString() === "GET ") left = cutter.plan.shift() ?? null;
    got = Buffer.alloc(0);
    server.write(bytes);
  });
  server.on("data", (bytes) => {
    if (left === null) return peer.write(bytes);
    const sent = got.length;
    got = Buffer.concat([got, bytes]);
    const at = endOf(got, left);
    if (at < 0) return peer.write(bytes);
    cutter.cuts++;
    peer.write(got.subarray(sent, at), end);
  });
  for (const socket of [peer, server]) socket.on("error", end).on("close", end);
}

export async function startCutter(stage, port, plan) {
  const cutter = { plan: [...plan], cuts: 0, port: 0 };
  cutter.port = await listen(stage, createServer((peer) => take(cutter, peer, port)));
  return cutter;
}
