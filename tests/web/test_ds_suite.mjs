// SPDX-License-Identifier: Apache-2.0
// The public suite of Durable Streams, all but forks and subscriptions, against the gateway:
//
//   test_ds_suite.mjs            as it is
//   test_ds_suite.mjs gateway    while the gateway is killed before every 7th request
//   test_ds_suite.mjs daemon     while the daemon is
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { begin, restart } from "./ds/begin.mjs";
import { KillingProxy } from "./ds/killing_proxy.mjs";
import { needModule, run } from "./stage.mjs";

const TESTS = 250; // of 338 in 0.3.6; the others are forks and subscriptions
const EVERY = 7;
const victim = process.argv[2];

await needModule("vitest/node");
const vitest = fileURLToPath(new URL("node_modules/vitest/vitest.mjs", import.meta.url));
const root = fileURLToPath(new URL("ds", import.meta.url));

async function runSuite(stage, url) {
  const report = stage.path("report.json");
  const words = [vitest, "run", "--root", root, "--reporter=json", "--outputFile", report, "-t", "^(?!Fork)"];
  const env = { ...process.env, DS_URL: url, DS_CACHE: stage.path("cache"), DS_TEST_MS: victim ? "60000" : "20000" };
  const child = spawn(process.execPath, words, { env, stdio: ["ignore", "inherit", "inherit"] });
  await once(child, "exit");
  return JSON.parse(readFileSync(report, "utf8"));
}

await run({
  async theSuitePasses(stage) {
    const gateway = await begin(stage, ["--long-poll=500ms", "--allow-origin=https://example.com"]);
    const killed = { gateway, daemon: stage.daemon }[victim];
    const proxy = new KillingProxy(gateway.port, killed ? EVERY : 0, () => restart(killed));
    const report = await runSuite(stage, await proxy.open());
    proxy.close();
    for (const test of report.testResults.flatMap((file) => file.assertionResults))
      if (test.status === "failed") console.log(`failed: ${test.fullName}\n${test.failureMessages.join("\n")}`);
    console.log(`passed ${report.numPassedTests}, failed ${report.numFailedTests}, kills ${proxy.kills}`);
    assert.ifError(proxy.failure);
    assert.equal(report.numFailedTests, 0);
    assert.equal(report.numPassedTests, TESTS);
    assert.ok(!killed || proxy.kills >= 100, `only ${proxy.kills} kills`);
  },
});
