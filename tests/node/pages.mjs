// SPDX-License-Identifier: Apache-2.0
// pages: the programs of the documents and examples, in a directory where `sponson` and npm's packages are found.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../web/stage.mjs";
import { inTime, nodeEnvironment, packageFile } from "./kit.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const npm = here("node_modules");
export const hasPackages = existsSync(`${npm}/@ai-sdk/react`);
export const noPackages = "npm's packages are not installed (npm ci --ignore-scripts in tests/node)";
export const exampleFile = (name) => here(`../../client/examples/node/${name}`);
export const dataFile = (name) => here(`data/${name}`);

/** The programs of a page of the package: {source, output}; output: what it prints, undefined if that is not said. */
export const programsOf = (page) => programsIn(packageFile(page));
export const mainPage = here("../../README.md");
export const programsIn = (file) =>
  [...readFileSync(file, "utf8").matchAll(/```js\n([^]*?)```\n(?:\n```text\n([^]*?)```)?/g)].map(
    ([, source, output]) => ({ source, output }),
  );

/** Makes `sponson` and npm's packages be found in the stage's directory. packages: {name: what it is called here}. */
export function install(stage, packages = {}) {
  const all = { sponson: packageFile("."), ...packages };
  for (const [name, from] of Object.entries(all)) {
    const path = stage.path(`node_modules/${name}`);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(from.startsWith("/") ? from : `${npm}/${from}`, path);
  }
}

/** Puts a program into the stage's directory. */
export function put(stage, name, source) {
  if (source === undefined) copyFileSync(exampleFile(name), stage.path(name));
  else writeFileSync(stage.path(name), source);
  return stage.path(name);
}

export function start(stage, path, words = [], env = {}) {
  const child = spawn(process.execPath, [path, ...words], {
    stdio: ["pipe", "pipe", "inherit"],
    env: nodeEnvironment({ SPONSON_SOCKET_DIR: stage.directory, ...env }),
  });
  stage.programs.push({ close: async () => child.kill("SIGKILL") });
  return child;
}

/** What a program prints; it must end well. */
export async function outputOf(stage, path, words) {
  const child = start(stage, path, words);
  let printed = "";
  child.stdout.on("data", (bytes) => (printed += bytes));
  assert.deepEqual(await inTime("it ends", once(child, "close")), [0, null]);
  return printed;
}

/** The app of client/examples/node/usechat: its `url`, and say(words…), what its model says; say() ends an answer. */
export async function startChat(stage) {
  const packages = ["ai", "@ai-sdk/react", "react", "react-dom", "esbuild"];
  install(stage, Object.fromEntries(packages.map((name) => [name, name])));
  cpSync(exampleFile("usechat"), stage.directory, { recursive: true });
  const port = await freePort();
  const child = start(stage, stage.path("server.mjs"), [], { PORT: String(port) });
  const url = `http://127.0.0.1:${port}`;
  assert.equal(String(await inTime("it listens", once(child.stdout, "data"))), `${url}\n`);
  const say = (...words) => child.stdin.write(words.length === 0 ? "\n" : words.map((word) => `${word}\n`).join(""));
  return { url, say };
}
