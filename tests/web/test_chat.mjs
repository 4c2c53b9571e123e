// SPDX-License-Identifier: Apache-2.0
// The chat example in a browser: in the midst of an answer the page is reloaded, the server is restarted, and
// everything is killed. The answer ends up whole, once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort, openBrowser, openGateway, openPage } from "./browser.mjs";
import { run, until } from "./stage.mjs";

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

    // A question that is sent while there is no server arrives once.
    await server.kill();
    await page.focus("#question");
    await page.keyboard.type("And");
    await page.keyboard.down("Shift");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Shift");
    await ask(page, "then?");
    await until("the page has tried", () => page.$eval("#send", (send) => send.disabled));
    await server.start();
    await whole(page, 2);

    const wanted = [
      ["question", "What is this?"],
      ["answer", answers[0].join("")],
      ["question", "And\nthen?"],
      ["answer", answers[1].join("")],
    ];
    assert.deepEqual(await shown(page), wanted);
    const other = await openPage(browser, page.url());
    await whole(other, 2);
    assert.deepEqual(await shown(other), wanted);
    assert.deepEqual(errors, []);

    const chat = new URL(page.url()).hash.slice(1);
    const { events } = await (
      await fetch(stage.url(`/v1/sessions/chat/${chat}`), { headers: { Accept: "application/json" } })
    ).json();
    const questions = events.filter(({ type }) => type === "question").map(({ id }) => id);
    const ids = questions.flatMap((id, i) => [
      id,
      ...answers[i].map((_, n) => `${id}-${n}`),
      `${id}-${answers[i].length}`,
    ]);
    assert.deepEqual(
      events.map(({ id }) => id),
      ids,
    );
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
