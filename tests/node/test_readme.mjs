// SPDX-License-Identifier: Apache-2.0
// Every program in client/node/README.md is run as it is written, and prints what stands below it. So is that of the
// main README.
import assert from "node:assert/strict";
import { sponson, staged, until } from "./kit.mjs";
import { install, mainPage, outputOf, programsIn, programsOf, put, start } from "./pages.mjs";
import { freePort } from "../web/stage.mjs";

const blocks = programsOf("README.md");
const mains = programsIn(mainPage);
assert.ok(blocks.length >= 5);
assert.ok(mains.length === 1 && mains[0].output !== undefined);

for (const [i, { source, output }] of [...mains, ...blocks].entries()) {
  if (output === undefined) continue;
  staged(`program ${i} prints what is written`, async (stage) => {
    install(stage);
    assert.equal(await outputOf(stage, put(stage, "app.mjs", source)), output);
  });
}

const servers = blocks.filter(({ output }) => output === undefined);
assert.equal(servers.length, 1);
staged("the server: resumed, restarted, all read, an unknown session, a peer that goes", async (stage) => {
  const port = await freePort();
  install(stage);
  const child = start(stage, put(stage, "app.mjs", servers[0].source), [], { PORT: String(port) });
  const client = await sponson.connect({ socketDir: stage.directory });
  for (let i = 1; i <= 3; i++) await client.publishOnce("s", { id: `${i}`, data: `d${i}` }, { closes: i === 3 });
  const get = (path, headers = {}) => fetch(`http://127.0.0.1:${port}/${path}`, { headers });
  await until("it listens", () => get("none").catch(() => null));
  const datas = async (headers) => (await (await get("s", headers)).text()).match(/d\d/g);
  assert.deepEqual(await datas({}), ["d1", "d2", "d3"]);
  assert.deepEqual(await datas({ "last-event-id": "2" }), ["d3"]);
  assert.equal((await get("s", { "last-event-id": "3" })).status, 204);
  assert.deepEqual(await datas({ "last-event-id": "x" }), ["d1", "d2", "d3"]);
  assert.equal((await get("none")).status, 404);
  await client.publishOnce("open", { id: "1", data: "d1" });
  const answer = await get("open");
  const reader = answer.body.getReader();
  assert.match(Buffer.from((await reader.read()).value).toString(), /d1/);
  await reader.cancel();
  await until("its subscription is gone", async () => (await client.stats()).sponson_subscriptions === 0);
  await client.close();
  assert.equal(child.exitCode, null);
});
