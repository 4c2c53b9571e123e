// SPDX-License-Identifier: Apache-2.0
// The programs of the adapters' pages and of client/examples/node that need nothing from npm.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { freePort } from "../web/stage.mjs";
import { inTime, packageFile, staged, until } from "./kit.mjs";
import { dataFile, exampleFile, install, outputOf, programsOf, put, start } from "./pages.mjs";

let count = 0;
for (const page of ["RESUMABLE-STREAM.md", "MCP.md"])
  for (const { source, output } of programsOf(page)) {
    if (output === undefined) continue;
    count++;
    staged(`a program of ${page} prints what is written`, async (stage) => {
      install(stage);
      assert.equal(await outputOf(stage, put(stage, "program.mjs", source)), output);
    });
  }
assert.equal(count, 2);

// What is shown and not run there is run as a part of an example.
const shown = readFileSync(packageFile("RESUMABLE-STREAM.md"), "utf8").match(/^\+(import .*)$/m)[1];
assert.ok(readFileSync(exampleFile("resumable_server.mjs"), "utf8").includes(shown));
const excerpts = programsOf("MCP.md").filter(({ output }) => output === undefined);
assert.equal(excerpts.length, 1);
assert.ok(readFileSync(exampleFile("mcp_server.mjs"), "utf8").includes(excerpts[0].source));

const text = "The tide turns at noon: é, 潮.";
for (const kind of ["openai", "anthropic"])
  staged(`model_streams: ${kind}`, async (stage) => {
    install(stage);
    const words = [kind, dataFile(`${kind}.sse`), "answer"];
    assert.equal(await outputOf(stage, put(stage, "model_streams.mjs"), words), `${text}\ncomplete\n`);
  });

staged("resumable_server: cut off, killed, two at once, done, its own death", async (stage) => {
  install(stage);
  const port = await freePort();
  const path = put(stage, "resumable_server.mjs");
  const server = start(stage, path, [], { PORT: String(port) });
  const ask = (id, method = "GET", query = "") => fetch(`http://127.0.0.1:${port}/chat/${id}${query}`, { method });
  await until("it listens", () => ask("none").catch(() => null));
  assert.equal((await ask("none")).status, 204);

  const cut = (await ask("a", "POST")).body.getReader();
  const begun = Buffer.from((await cut.read()).value).toString();
  assert.match(begun, /^data: It /);
  await cut.cancel();
  const others = [ask("a", "GET", `?resumeAt=${begun.length}`), ask("a"), ask("a", "POST")].map(async (answer) =>
    (await answer).text(),
  );
  await stage.daemon.kill();
  await stage.daemon.start();
  const [rest, whole, again] = await inTime("all are read", Promise.all(others));
  assert.equal(whole.match(/data: /g).length, 55);
  assert.equal(begun + rest, whole);
  assert.equal(again, whole);
  assert.equal((await ask("a")).status, 204);
  assert.equal((await ask("a", "POST")).status, 204);

  // Another process serves what the first one did not end.
  const left = (await ask("b", "POST")).body.getReader();
  await left.read();
  const resumed = (await ask("b")).body.getReader();
  await resumed.read();
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
  start(stage, path, [], { PORT: String(port) });
  const answer = await until("it listens", () => ask("b").catch(() => null));
  assert.equal(answer.status, 200); // its writer is not known to be gone yet
  assert.match(Buffer.from((await answer.body.getReader().read()).value).toString(), /^data: It /);
});
