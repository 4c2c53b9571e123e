// SPDX-License-Identifier: Apache-2.0
// The suites in vendor/ with the adapters and a real daemon: as they are, and with the daemon killed -9 in their
// middle.
//   node test_suites.mjs resumable-stream|mcp [EVERY]
// Without EVERY it is killed three times, at a quarter, a half and three quarters of what the suite does; with it,
// before each EVERY-th thing that the suite does.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { skip, staged } from "./kit.mjs";
import { Killer } from "./suites/killer.mjs";

const passes = { "resumable-stream": 16, mcp: 156 + 6 };
const [suite, every] = process.argv.slice(2);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const vitest = here("node_modules/vitest/vitest.mjs");
if (!existsSync(vitest)) skip("npm's packages are not installed (npm ci --ignore-scripts in tests/node)");

/** Runs the suite. Gives how many operations it had. */
async function runSuite(stage, isDue) {
  const report = stage.path("report.json");
  const killer = new Killer(stage, isDue);
  const env = {
    ...process.env,
    SPONSON_SUITE: suite,
    SPONSON_SOCKET_DIR: stage.directory,
    SPONSON_CACHE: stage.path("cache"),
    SPONSON_KILLER: String(await killer.open()),
  };
  const words = [
    vitest,
    "run",
    "--config",
    here("suites/vitest.config.mjs"),
    "--reporter=json",
    "--outputFile",
    report,
  ];
  await once(spawn(process.execPath, words, { env, stdio: ["ignore", "inherit", "inherit"] }), "exit");
  const { testResults, numPassedTests: passed } = JSON.parse(readFileSync(report, "utf8"));
  for (const { message, assertionResults } of testResults) {
    if (message) console.log(message);
    for (const test of assertionResults)
      if (test.status !== "passed") console.log(`${test.status}: ${test.fullName}\n${test.failureMessages.join("\n")}`);
  }
  console.log(`${suite}: ${passed} passed, ${killer.kills} kills in ${killer.operations} operations`);
  assert.ifError(killer.failure);
  assert.equal(passed, passes[suite]);
  assert.ok(testResults.every((file) => file.status === "passed"));
  return killer;
}

let operations = 0;
staged(`${suite}: its tests pass`, async (stage) => {
  ({ operations } = await runSuite(stage, () => false));
});
staged(`${suite}: its tests pass while the daemon is killed`, async (stage) => {
  const points = [1, 2, 3].map((quarter) => Math.ceil((operations * quarter) / 4));
  const { kills } = await runSuite(stage, (number) => (every ? number % every === 0 : points.includes(number)));
  assert.ok(every ? kills >= 3 : kills === 3, `${kills} kills`);
});
