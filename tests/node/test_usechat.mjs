// SPDX-License-Identifier: Apache-2.0
// client/examples/node/usechat in a browser: in the middle of an answer its page is reloaded and the daemon is killed.
// At each step the page shows what the model has said so far: all of it, once, in order.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { openBrowser, openPage } from "../web/browser.mjs";
import { inTime, skip, staged, until } from "./kit.mjs";
import { hasPackages, noPackages, startChat } from "./pages.mjs";

if (!hasPackages) skip(noPackages);

const QUESTION = "Well?";
const STEP = 10; // words at once

/** Waits until the page shows these paragraphs, and no others. */
async function shows(page, wanted) {
  let shown;
  const look = () => page.$$eval("p", (all) => all.map((each) => [each.className, each.textContent]));
  await until("the page shows it", async () => isDeepStrictEqual((shown = await look()), wanted)).catch(() => {});
  assert.deepEqual(shown, wanted);
}

const isReady = (page) => page.waitForFunction(() => document.querySelector("output")?.value === "ready");

/** Opens the page, or reloads it. Gives the status of the answer to useChat's attempt to resume. */
async function load(page, url) {
  const resumed = page.waitForResponse((response) => response.url().endsWith("/stream"));
  await Promise.all([resumed, url ? page.goto(url) : page.reload()]);
  return (await resumed).status();
}

staged("useChat: an answer outlives reloads, and a daemon that is killed", async (stage) => {
  const { url, say } = await startChat(stage);
  const page = await openPage(await openBrowser(stage), "about:blank");
  const errors = [];
  page.on("pageerror", (error) => errors.push(error));
  let text = "";
  const sayMore = () => {
    const words = Array.from({ length: STEP }, (_, i) => `word${text.split(" ").length + i}`);
    say(...words);
    text += words.map((word) => `${word} `).join("");
  };
  const showsAll = () =>
    shows(page, [
      ["user", QUESTION],
      ["assistant", text],
    ]);

  assert.equal(await load(page, url), 204);
  await isReady(page);
  await page.type("input", QUESTION);
  await page.keyboard.press("Enter");
  sayMore();
  await showsAll();
  const chat = new URL(page.url()).hash.slice(1);
  await until("it can be resumed", async () => {
    const answer = await fetch(`${url}/api/chat/${chat}/stream`);
    await answer.body?.cancel();
    return answer.status === 200;
  });

  assert.equal(await load(page), 200);
  await showsAll();
  sayMore();
  await showsAll();

  await stage.daemon.kill();
  sayMore();
  await stage.daemon.start();
  await showsAll();
  assert.equal(await load(page), 200);
  await showsAll();

  sayMore();
  say();
  await inTime("the answer ends", isReady(page));
  await showsAll();

  assert.equal(await load(page), 204);
  await isReady(page);
  await showsAll();
  assert.deepEqual(errors, []);
});
