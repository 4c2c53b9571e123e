// SPDX-License-Identifier: Apache-2.0
// Every program in client/node/README.md is run as it is written, and prints what stands below it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { nodeEnvironment, packageFile, sponson, staged, inTime, until } from "./kit.mjs";
import { freePort } from "../web/stage.mjs";

const text = readFileSync(packageFile("README.md"), "utf8");
const blocks = [...text.matchAll(/```js\n([^]*?)```\n(?:\n```text\n([^]*?)```)?/g)].map(([, source, output]) => ({
  source,
  output,
}));
assert.equal(blocks.length, text.split("```js").length - 1);
assert.ok(blocks.length >= 5);

function start(stage, source, env) {
  mkdirSync(stage.path("node_modules"), { recursive: true });
  symlinkSync(packageFile("."), stage.path("node_modules/sponson"));
  writeFileSync(stage.path("app.mjs"), source);
  const child = spawn(process.execPath, [stage.path("app.mjs")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: nodeEnvironment({ SPONSON_SOCKET_DIR: stage.directory, ...env }),
  });
  stage.programs.push({ close: async () => child.kill("SIGKILL") });
  return child;
}

for (const [i, { source, output }] of blocks.entries()) {
  if (output === undefined) continue;
  staged(`program ${i + 1} prints what is written`, async (stage) => {
    const child = start(stage, source);
    let printed = "";
    child.stdout.on("data", (bytes) => (printed += bytes));
    assert.deepEqual(await inTime("it ends", once(child, "close")), [0, null]);
    assert.equal(printed, output);
  });
}

const servers = blocks.filter(({ output }) => output === undefined);
assert.equal(servers.length, 1);
staged("the server: resumed, restarted, an unknown session, a peer that goes", async (stage) => {
  const port = await freePort();
  const child = start(stage, servers[0].source, { PORT: String(port) });
  const client = await sponson.connect({ socketDir: stage.directory });
  for (let i = 1; i <= 3; i++) await client.publishOnce("s", { id: `${i}`, data: `d${i}` }, { closes: i === 3 });
  const get = (path, headers = {}) => fetch(`http://127.0.0.1:${port}/${path}`, { headers });
  await until("it listens", () => get("none").catch(() => null));
  const datas = async (headers) => (await (await get("s", headers)).text()).match(/d\d/g);
  assert.deepEqual(await datas({}), ["d1", "d2", "d3"]);
  assert.deepEqual(await datas({ "last-event-id": "2" }), ["d3"]);
  assert.deepEqual(await datas({ "last-event-id": "x" }), ["d1", "d2", "d3"]);
  assert.equal(await (await get("none")).text(), "");
  await client.publishOnce("open", { id: "1", data: "d1" });
  const answer = await get("open");
  const reader = answer.body.getReader();
  assert.match(Buffer.from((await reader.read()).value).toString(), /d1/);
  await reader.cancel();
  await until("its subscription is gone", async () => (await client.stats()).sponson_subscriptions === 0);
  await client.close();
  assert.equal(child.exitCode, null);
});
