// SPDX-License-Identifier: Apache-2.0
// Pages of origins that are listed read and write, with cookies and without; whatever any other page tries,
// nothing is stored and nothing is read.
import assert from "node:assert/strict";
import { follow, metric, openBrowser, openGateway, openPage, servePage } from "./browser.mjs";
import { run, until } from "./stage.mjs";
import { newKey, sign } from "./token.mjs";

const SECRET = "the secret";

/** In the page: what came of a request, or the word of the browser that forbade to see it. */
async function request(url, init) {
  try {
    const answer = await fetch(url, init);
    return { status: answer.status, seq: answer.headers.get("Sponson-Seq"), text: await answer.text() };
  } catch (error) {
    return { error: error.name };
  }
}

/** In the page: `attempts`, what a foreign page tries. Each gives all that the page gets to see. */
function prepare() {
  /** The status, and the beginning of the body: that of a stream has no end. */
  const show = async (asked) => {
    try {
      const answer = await asked;
      const first = await answer.body?.getReader().read();
      return answer.status + new TextDecoder().decode(first?.value);
    } catch (error) {
      return String(error);
    }
  };

  const element = (name, url) =>
    new Promise((done) => {
      const made = document.createElement(name);
      made.onload = made.onerror = () => done(String(made.width));
      made.src = url;
      document.body.append(made);
    });

  const form = (url, sandbox) =>
    new Promise((done) => {
      const made = document.createElement("iframe");
      if (sandbox) made.sandbox = sandbox;
      let loads = 0; // of the form, then of the answer
      made.onload = () => {
        if (++loads < 2) return;
        try {
          done(made.contentDocument.body.innerText);
        } catch (error) {
          done(String(error));
        }
      };
      made.srcdoc = `<form method=post enctype=text/plain action="${url}"><input name=a value=b></form>
        <script>onload = () => setTimeout(() => document.forms[0].submit())</script>`;
      document.body.append(made);
    });

  const eventSource = (url) =>
    new Promise((done) => {
      const source = new EventSource(url, { withCredentials: true });
      source.onmessage = (event) => done(event.data);
      source.onerror = () => done("");
    });

  const withCookies = { mode: "no-cors", credentials: "include" };
  const json = { "Content-Type": "application/json" };
  window.attempts = {
    form: (url) => form(url),
    formWithoutOrigin: (url) => form(url, "allow-forms allow-scripts"),
    noCorsPost: (url) => show(fetch(url, { ...withCookies, method: "POST", body: "a" })),
    noCorsGet: (url) => show(fetch(url, withCookies)),
    post: (url) => show(fetch(url, { method: "POST", body: "a" })),
    postOfJson: (url) => show(fetch(url, { method: "POST", headers: json, body: '{"data":"a"}' })),
    get: (url) => show(fetch(url)),
    page: (url) => show(fetch(url, { headers: { Accept: "application/json" } })),
    put: (url) => show(fetch(url, { method: "PUT", body: "{}" })),
    delete: (url) => show(fetch(url, { method: "DELETE" })),
    eventSource,
    image: (url) => element("img", url),
    script: (url) => element("script", url),
    beacon: async (url) => String(navigator.sendBeacon(url, "a")),
  };
  return Object.keys(window.attempts);
}

async function openSecret(stage, words) {
  await stage.startDaemon();
  const gateway = await openGateway(stage, words);
  const stored = await fetch(stage.url("/v1/sessions/secret"), {
    method: "POST",
    headers: { "Event-Id": "1" },
    body: SECRET,
  });
  assert.equal(stored.status, 200);
  return gateway;
}

/** All that is stored is what openSecret stored. */
async function nothingIsStored(stage) {
  const list = await (await fetch(stage.url("/v1/sessions"))).json();
  assert.deepEqual(
    list.sessions.map(({ session, seq }) => [session, seq]),
    [["secret", 1]],
  );
}

await run({
  async listedPagesReadAndWrite(stage) {
    await stage.startDaemon();
    const key = newKey(stage);
    const token = sign(key, "s", "rwd", 600);
    const origin = await servePage(stage, null, {
      "Set-Cookie": `sponson-token=${token}; HttpOnly; SameSite=Strict`,
    });
    const gateway = await openGateway(stage, [
      "--key-file",
      key.path,
      "--allow-origin",
      "https://other.example",
      "--allow-origin",
      origin,
    ]);
    const url = `http://localhost:${gateway.port}/v1/sessions/s`;
    const page = await openPage(await openBrowser(stage), origin);
    const ask = (init, query = "") => page.evaluate(request, url + query, init);
    const json = { Accept: "application/json" };
    const body = JSON.stringify({ data: "a" });

    const posted = await ask({
      method: "POST",
      credentials: "include",
      headers: { "Content-Type": "application/json", "Idempotency-Key": "1" },
      body,
    });
    assert.equal(posted.status, 200, posted.text);
    const bearer = { Authorization: `Bearer ${token}` };
    assert.equal(
      (await ask({ method: "POST", credentials: "omit", headers: { ...bearer, "Event-Id": "2" }, body: "b" }))
        .status,
      200,
    );
    for (const init of [
      { credentials: "include", headers: json },
      { credentials: "omit", headers: { ...bearer, ...json } },
    ]) {
      const answer = await ask(init);
      assert.deepEqual([answer.status, JSON.parse(answer.text).events.map(({ id }) => id)], [200, ["1", "2"]]);
    }
    assert.equal((await ask({ method: "HEAD", credentials: "include" })).seq, "2");
    const refused = await ask({ credentials: "omit", headers: json });
    assert.deepEqual([refused.status, JSON.parse(refused.text).status], [401, 401]);

    await page.evaluate(follow, [
      { url, init: { withCredentials: true } },
      { url: `${url}?token=${token}` },
      { url },
    ]);
    await page.waitForFunction(
      () =>
        window.readers[0].events.length === 2 &&
        window.readers[1].events.length === 2 &&
        window.readers[2].source.readyState === EventSource.CLOSED,
      { polling: 20 },
    );
    assert.equal(await page.evaluate(() => window.readers[2].opens), 0);
    assert.equal((await ask({ method: "DELETE", credentials: "include" })).status, 204);
  },

  async foreignPagesGetNothing(stage) {
    const foreign = new URL(await servePage(stage));
    const sibling = foreign.origin; // of the same host, but not listed
    foreign.hostname = "foreign.test";
    const gateway = await openSecret(stage, ["--insecure-loopback", "--allow-origin", "https://app.example"]);
    const browser = await openBrowser(stage, ["--host-resolver-rules=MAP *.test 127.0.0.1"]);
    const direct = `http://localhost:${gateway.port}`;
    // A name that was made to mean this gateway later: the pages of its first server are of the same origin.
    const rebound = `http://rebound.test:${gateway.port}`;
    const denied = () => metric(gateway, 'sponson_http_denials_total{reason="origin"}');
    let count = 0;
    for (const [from, target] of [
      [foreign.origin, direct],
      [sibling, direct],
      [rebound, rebound],
    ]) {
      const page = await openPage(browser, `${from}/`);
      for (const name of await page.evaluate(prepare)) {
        const before = await denied();
        const url = `${target}/v1/sessions/secret`;
        const seen = await page.evaluate((each, to) => window.attempts[each](to), name, url);
        assert(!seen.includes(SECRET), `${name} from ${from} reads ${seen}`);
        // A page of the same host may have it sent that way, and sees none of it.
        const isBlind = from === sibling && ["noCorsGet", "image", "script"].includes(name);
        const words = `${name} from ${from} is refused: ${seen}`;
        if (!isBlind) await until(words, async () => (await denied()) > before);
        await nothingIsStored(stage);
        count++;
      }
      await page.close();
    }
    console.log(`${count} attempts`);
  },
});
