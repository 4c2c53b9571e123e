// SPDX-License-Identifier: Apache-2.0
// browser: a headless Chromium on a stage, pages of ours in it, and EventSources that note what they get.
//
//   const browser = await openBrowser(stage);
//   const page = await openPage(browser, await servePage(stage));
//   await page.evaluate(follow, [{ url: stage.url("/v1/sessions/a") }]);
//   ... window.readers in the page ...
//
// A test that imports this is skipped if there is no Chromium.
// Owns    what it opens; the stage ends it.
import { WAIT_MS, freePort, need, needModule, serve } from "./stage.mjs";

const EMPTY_PAGE = "<!doctype html><title>page</title><link rel=icon href=data:,>";

// Before there is a stage, which would stay if the test were skipped then.
const executablePath = need("chromium");
const { default: puppeteer } = await needModule("puppeteer-core");

export async function openBrowser(stage, words = []) {
  const browser = await puppeteer.launch({
    executablePath,
    headless: true,
    protocolTimeout: WAIT_MS,
    userDataDir: stage.path("chromium"),
    args: ["--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", ...words],
  });
  stage.programs.push({ close: () => browser.close() });
  return browser;
}

export async function openPage(browser, url) {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  await page.goto(url);
  return page;
}

/** A server of an empty page at `/`; all else is for answer(request, response). Gives its origin. */
export async function servePage(stage, answer, headers = {}) {
  const port = await serve(stage, (request, response) => {
    if (request.url !== "/") return answer(request, response);
    response.writeHead(200, { "Content-Type": "text/html", ...headers });
    response.end(EMPTY_PAGE);
  });
  return `http://localhost:${port}`;
}

/** A plain gateway of the stage with TCP: its `port`, and its `adminPort`. */
export async function openGateway(stage, words) {
  const [port, adminPort] = [await freePort(), await freePort()];
  const listeners = [`--listen=127.0.0.1:${port}`, `--admin-listen=127.0.0.1:${adminPort}`];
  return Object.assign(await stage.startPlainGateway([...listeners, ...words]), { port, adminPort });
}

/** The gateway's counter with these labels, such as `sponson_http_streams{phase="live"}`. */
export async function metric(gateway, name) {
  const answer = await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`);
  const line = (await answer.text()).split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line.slice(name.length));
}

/** In the page: an EventSource for each {url, init}. `window.readers` notes how often each was opened, its
 *  events, and the lines of the gateway's own. */
export function follow(sources) {
  window.readers = sources.map(({ url, init }) => {
    const source = new EventSource(url, init);
    const reader = { source, opens: 0, events: [], notes: [] };
    source.onopen = () => reader.opens++;
    source.onmessage = (event) => reader.events.push([event.lastEventId, event.data]);
    for (const kind of ["sponson-gap", "sponson-reset", "sponson-end"])
      source.addEventListener(kind, (event) => reader.notes.push([kind, JSON.parse(event.data)]));
    return reader;
  });
}

/** What the page's readers have noted. */
export function noted(page) {
  return page.evaluate(() =>
    window.readers.map(({ source, opens, events, notes }) => ({ state: source.readyState, opens, events, notes })),
  );
}
