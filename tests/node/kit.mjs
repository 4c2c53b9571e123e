// SPDX-License-Identifier: Apache-2.0
// kit: what the tests of client/node share: the package as an app has it, and a daemon for each test.
//   $SPONSON_NODE_PACKAGE  the package's directory; $SPONSON_BIN: the programs (see tests/web/stage.mjs).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Stage, inTime, skip } from "../web/stage.mjs";

export { WAIT_MS, Stage, inTime, need, pause, serve, skip, until } from "../web/stage.mjs";
export { draws } from "../web/draws.mjs";

/** AddressSanitizer is preloaded into Node alone: daemons and tools have their own, or none. */
const { LD_PRELOAD: preload } = process.env;
delete process.env.LD_PRELOAD;
export const isSanitized = preload !== undefined;
/** For a child that is Node. */
export const nodeEnvironment = (more = {}) => ({
  ...process.env,
  ...(isSanitized && { LD_PRELOAD: preload }),
  ...more,
});

const directory = process.env.SPONSON_NODE_PACKAGE ?? "";
export const packageFile = (name) => join(directory, name);
if (!existsSync(packageFile("sponson.node"))) skip("client/node was not built (no node_api.h)");

export const sponson = await import(packageFile("index.mjs"));

/** A test with a stage of its own, and a daemon unless words is null. */
export function staged(name, part, words = []) {
  test(name, async () => {
    const stage = await Stage.open();
    try {
      if (words !== null) await stage.startDaemon(words);
      await part(stage);
    } catch (error) {
      stage.report(error);
      throw error;
    } finally {
      await stage.close();
    }
  });
}

/** A test with a client that is closed at its end. */
export function withClient(name, part, words = []) {
  staged(
    name,
    async (stage) => {
      const client = await sponson.connect({ socketDir: stage.directory });
      try {
        await part(client, stage);
      } finally {
        await inTime("the client closes", client.close());
      }
    },
    words,
  );
}

/** The first `count` of an async iterator. */
export async function take(count, iterable) {
  const all = [];
  if (count > 0)
    for await (const each of iterable) {
      all.push(each);
      if (all.length === count) break;
    }
  return all;
}

export async function toArray(iterable) {
  const all = [];
  for await (const each of iterable) all.push(each);
  return all;
}

/** The code of the error that a promise is rejected with. */
export const codeOf = (promise) =>
  promise.then(
    () => "none",
    (error) => error.code ?? error.name,
  );

export const collect = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((done) => setImmediate(done));
  }
};

/** Runs a program of its own: {status, signal, output}. Its source has `sponson` and `dir`. */
export async function runApp(stage, source, { flags = [], env = {} } = {}) {
  const head = `import * as sponson from ${JSON.stringify(packageFile("index.mjs"))};
    const dir = ${JSON.stringify(stage.directory)};\n`;
  const child = spawn(process.execPath, [...flags, "--input-type=module", "-e", head + source], {
    stdio: ["ignore", "pipe", "pipe"],
    env: nodeEnvironment(env),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (output += bytes));
  try {
    const [status, signal] = await inTime("the app ends", once(child, "close"));
    return { status, signal, output };
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${error.message}; its output: ${output}`);
  }
}
