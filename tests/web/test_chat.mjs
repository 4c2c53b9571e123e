// SPDX-License-Identifier: Apache-2.0
// The chat example in a browser: in the midst of an answer the page is reloaded, the server is restarted, and
// everything is killed. The answer ends up whole, once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBrowser, openGateway, openPage } from "./browser.mjs";
import { freePort, run } from "./stage.mjs";

const EXAMPLE = fileURLToPath(new URL("../../client/examples/chat/", import.meta.url));

/** The answers of the example's model. */
const answers = readFileSync(`${EXAMPLE}model.sse`, "utf8")
  .split("data: [DONE]")
  .slice(0, -1)
  .map((answer) =>
    answer
      .split("\n\n")
      .filter(Boolean)
      .map((event) => JSON.parse(event.slice("data: ".length)).delta),
  );

/** The example's server, which can be killed and started again. */
class Server {
  constructor(stage, port) {
    Object.assign(this, {
      stage,
      url: `http://127.0.0.1:${port}/`,
      env: { ...process.env, PORT: port, SPONSON_HTTP_SOCKET: stage.path("http.sock") },
    });
    stage.programs.push({ close: () => this.kill() });
  }

  async start() {
    this.child = spawn(process.execPath, [`${EXAMPLE}server.mjs`], {
      env: this.env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.ended = once(this.child, "exit");
    const [line] = await once(this.child.stdout, "data");
    assert.equal(`${line}`, `${this.url.slice(0, -1)}\n`);
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

async function ask(page, question) {
  await page.focus("#question");
  await page.keyboard.type(question);
  await page.keyboard.press("Enter");
}

/** Waits until so much of an answer is there, which is not whole then. */
async function partly(page, number, size) {
  const [text, isOpen] = await page
    .waitForFunction(
      (i, least) => {
        const answer = document.querySelectorAll(".answer")[i];
        return answer?.textContent.length >= least && [answer.textContent, answer.classList.contains("open")];
      },
      { polling: 20 },
      number,
      size,
    )
    .then((found) => found.jsonValue());
  assert(isOpen, "the answer was whole before anything was killed");
  assert(answers[number].join("").startsWith(text));
}

const whole = (page, count) =>
  page.waitForFunction(
    (all) => document.querySelectorAll(".answer:not(.open)").length === all,
    { polling: 20 },
    count,
  );
const shown = (page) => page.$$eval("main p", (all) => all.map((each) => [each.className, each.textContent]));

async function stored(stage, chat) {
  const url = stage.url(`/v1/sessions/chat/${chat}`);
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  return (await answer.json()).events;
}

async function repeat(url, question) {
  const headers = { "Idempotency-Key": question.id };
  assert.equal((await fetch(url, { method: "POST", headers, body: question.data })).status, 200);
}

await run({
  async anAnswerIsWholeAfterAll(stage) {
    const daemon = await stage.startDaemon();
    const gateway = await openGateway(stage, ["--insecure-loopback"]);
    const server = new Server(stage, await freePort());
    await server.start();
    const browser = await openBrowser(stage);
    const page = await openPage(browser, server.url);
    const errors = [];
    page.on("pageerror", (error) => errors.push(error));

    const size = answers[0].join("").length;
    await ask(page, "What is this?");
    await partly(page, 0, size / 8);
    await page.reload();
    await partly(page, 0, size / 4);
    await server.kill();
    await server.start();
    await partly(page, 0, size / 2);
    const withoutGateway = page.waitForResponse((answer) => answer.url().includes("/chats/"));
    await Promise.all([gateway.kill(), daemon.kill()]);
    assert.equal((await withoutGateway).status(), 200);
    await server.kill();
    await daemon.start();
    await gateway.start();
    await server.start();
    await whole(page, 1);

    const wanted = [
      ["question", "What is this?"],
      ["answer", answers[0].join("")],
    ];
    assert.deepEqual(await shown(page), wanted);
    const other = await openPage(browser, page.url());
    await whole(other, 1);
    assert.deepEqual(await shown(other), wanted);

    // A question is stored once: one that is sent again, and one that is sent while there is no server.
    const chat = new URL(page.url()).hash.slice(1);
    const [first] = await stored(stage, chat);
    await repeat(`${server.url}chats/${chat}`, first);
    await server.kill();
    const failed = new Promise((done) => page.on("requestfailed", (each) => each.method() === "POST" && done()));
    await page.focus("#question");
    await page.keyboard.type("And");
    await page.keyboard.down("Shift");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Shift");
    await ask(page, "then?");
    await failed;
    await server.start();
    await partly(page, 1, 1);
    assert.deepEqual((await shown(page))[2], ["question", "And\nthen?"]);

    const events = await stored(stage, chat);
    const questions = events.filter(({ type }) => type === "question");
    assert.deepEqual(
      questions.map(({ data }) => data),
      ["What is this?", "And\nthen?"],
    );
    const ids = questions.flatMap(({ id }, i) => [
      id,
      ...Array.from({ length: answers[i].length + 1 }, (_, n) => `${id}-${n}`),
    ]);
    assert.deepEqual(
      events.map(({ id }) => id),
      ids.slice(0, events.length),
    );
    assert.deepEqual(errors, []);
  },

  async theCommandsOfItsReadmeRun(stage) {
    cpSync(EXAMPLE, stage.path("chat"), { recursive: true });
    const [, commands] = /```sh\n(.*?)```/s.exec(readFileSync(`${EXAMPLE}README.md`, "utf8"));
    const port = await freePort();
    const env = { ...process.env, PATH: `${stage.bin}:${process.env.PATH}`, PORT: port };
    const log = openSync(stage.path("log"), "a");
    const stdio = ["ignore", "pipe", log];
    const shell = spawn("sh", ["-ec", commands], { cwd: stage.path("chat"), env, detached: true, stdio });
    const ended = once(shell, "close"); // of all that it started
    stage.programs.push({ close: () => process.kill(-shell.pid, "SIGTERM") && ended });
    closeSync(log);
    await once(shell.stdout.resume(), "data");
    const page = await openPage(await openBrowser(stage), `http://127.0.0.1:${port}`);
    await ask(page, "Hello");
    await page.waitForFunction(() => document.querySelector(".answer")?.textContent.length > 0, { polling: 20 });
  },
});
