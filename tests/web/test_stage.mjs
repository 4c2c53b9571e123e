// SPDX-License-Identifier: Apache-2.0
// The stage itself: peers that come while no gateway runs wait for the next one; events outlive both.
import assert from "node:assert/strict";
import { run } from "./stage.mjs";

async function publish(stage, name, id, data) {
  const answer = await fetch(stage.url(`/v1/sessions/${name}`), {
    method: "POST",
    headers: { "Event-Id": id },
    body: data,
  });
  assert.equal(answer.status, 200);
}

await run({
  async eventsOutliveBothPrograms(stage) {
    await stage.startDaemon();
    const gateway = await stage.startGateway(["--insecure-loopback"]);
    await publish(stage, "s", "1", "a");
    assert.equal(await gateway.kill(), -9);
    const waiting = publish(stage, "s", "2", "b");
    await gateway.start();
    await waiting;
    await stage.daemon.kill();
    await stage.daemon.start();
    const page = await fetch(stage.url("/v1/sessions/s"), { headers: { Accept: "application/json" } });
    assert.deepEqual(
      (await page.json()).events.map((event) => event.data),
      ["a", "b"],
    );
  },
});
