// SPDX-License-Identifier: Apache-2.0
// The lines for curl of RECIPES.md, each run by a shell.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { block, fill } from "./recipes.mjs";
import { need, run, serve, until } from "./stage.mjs";

const SAMPLE = readFileSync(new URL("../data/response.sse", import.meta.url), "utf8");

/** Runs lines after the recipe's first block. Resolved when they are over: with 0, or it fails. */
function shell(stage, socket, lines) {
  const setup = fill(block("curl", "sh"), { "/run/sponson-http/http.sock": socket });
  const options = { cwd: stage.directory, stdio: ["ignore", "pipe", "pipe"], detached: true };
  const child = spawn("sh", ["-e", "-c", `${setup}\n${lines}`], options);
  let out = "", errors = "";
  child.stdout.setEncoding("utf8").on("data", (part) => (out += part));
  child.stderr.setEncoding("utf8").on("data", (part) => (errors += part));
  const over = new Promise((done, fail) => {
    child.on("close", (code) => (code === 0 ? done(out) : fail(new Error(`exit ${code}: ${lines}\n${errors}`))));
  });
  const settled = over.catch(() => {});
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    await settled;
  };
  stage.programs.push({ close: end });
  return { over, end };
}

async function open(stage) {
  await stage.startDaemon();
  const { socket } = await stage.startPlainGateway();
  const sh = (lines) => shell(stage, socket, lines);
  const page = async (name) => {
    const asked = sh(`gateway -H 'Accept: application/json' http://localhost/v1/sessions/${name}`);
    return JSON.parse(await asked.over.catch(() => '{"events":[]}')); /* it is not there yet */
  };
  return { sh, page };
}

const dataOf = (page) => page.events.map((event) => event.data);

need("curl");
await run({
  async aLiveUpstreamIsRecorded(stage) {
    const { sh, page } = await open(stage);
    let upstream;
    const port = await serve(stage, (request, response) => {
      upstream = response.writeHead(200, { "Content-Type": "text/event-stream" });
      upstream.write("data: 1\n\n");
    });
    const record = sh(fill(block("curl", "sh", 1), { "https://upstream.example": `http://127.0.0.1:${port}` }));
    for (let count = 1; count <= 3; count++) {
      await until(`event ${count}`, async () => (await page("talk")).events.length === count);
      if (count < 3) upstream.write(`data: ${count + 1}\n\n`);
    }
    upstream.end();
    assert.match(await record.over, /"stored":3/);
    assert.equal((await page("talk")).closed, true);
  },

  async aFileIsContinued(stage) {
    const { sh, page } = await open(stage);
    const [follow, ...resume] = block("curl", "sh", 2).trimEnd().split("\n");
    const publish = (data) => sh(`gateway -d ${data} "$talk"`).over;
    await publish(1);
    const following = sh(follow);
    const file = () => (existsSync(stage.path("talk.sse")) ? readFileSync(stage.path("talk.sse"), "utf8") : "");
    await until("the first event", () => file().includes("data: 1"));
    await publish(2);
    await until("the second event", () => file().includes("data: 2\n\n"));
    await following.end();
    await publish(3);
    await sh('gateway -X POST -H "Stream-Closed: true" "$talk"').over;
    await sh(resume.join("\n")).over;
    assert.deepEqual(file().match(/(?<=^data: ).*$/gm), ["1", "2", "3"]);
    assert.deepEqual(dataOf(await page("talk")), ["1", "2", "3"]);
  },

  async oneEventIsStoredOnceAndTheSessionEnds(stage) {
    const { sh, page } = await open(stage);
    const [publish, close] = block("curl", "sh", 3).trimEnd().split("\n");
    await sh(`${publish}\n${publish}`).over;
    await sh(close).over;
    const { events, closed } = await page("orders");
    assert.deepEqual([events.map(({ id, data }) => [id, data]), closed], [[["order-7", "it is on its way"]], true]);
  },

  async aResponseOfOpenAiGetsItsNumbersAsIds(stage) {
    const { sh, page } = await open(stage);
    const port = await serve(stage, (request, response) => response.end(SAMPLE));
    await sh(fill(block("OpenAI", "sh"), { "https://upstream.example": `http://127.0.0.1:${port}` })).over;
    const { events, closed } = await page("responses/resp_1");
    const sent = SAMPLE.match(/(?<=^data: ).*$/gm);
    const wanted = sent.map((data) => [String(JSON.parse(data).sequence_number), data]);
    assert.deepEqual(events.map(({ id, data }) => [id, data]), wanted);
    assert.equal(closed, true);
  },
});
