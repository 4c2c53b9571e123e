// SPDX-License-Identifier: Apache-2.0
// How long an event takes from a POST to a browser's onmessage, on loopback, beside the durable ack alone.
//
//   SPONSON_BIN=build/bench/bin node tests/web/bench_browser.mjs [ROUNDS] [EVENTS]
//
// One event at a time: the next is sent when publisher and reader have the last. Rounds without a reader and with
// one alternate; the figures are medians of the rounds, in microseconds. The browser's clock is compared with ours
// before each round: clocks_us is what is left of the difference. Prints one JSON object.
import http from "node:http";
import { text } from "node:stream/consumers";
import { openBrowser, openGateway, openPage, servePage } from "./browser.mjs";
import { Stage } from "./stage.mjs";

const [ROUNDS, EVENTS] = [Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 400)];
const DATA = "x".repeat(100);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });
const now = () => performance.timeOrigin + performance.now();

/** At which of the sorted values so much of them is not larger. */
const quantile = (values, part) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * part) - 1];
const median = (values) => quantile(values, 0.5);
const both = (values) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });

/** The medians of what these rounds have found. */
const figures = (name, rounds) =>
  Object.fromEntries(
    ["p50", "p99"].map((key) => [
      `${name}_${key}_us`,
      Math.round(1000 * median(rounds.map((round) => round[key]))),
    ]),
  );

async function post(url) {
  const request = http.request(url, { method: "POST", agent, headers: { "Content-Length": DATA.length } });
  const answered = new Promise((done, fail) => request.on("response", done).on("error", fail));
  request.end(DATA);
  const answer = await answered;
  await text(answer);
  if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
}

/** In the page: the time of each message is noted, and the test is woken. */
function follow(url) {
  const source = new EventSource(url);
  source.onmessage = () => window.took(performance.timeOrigin + performance.now());
  return new Promise((done) => (source.onopen = done));
}

/** The page's clock minus ours, and how wrong that may be. */
async function difference(page) {
  let best = { error: Infinity };
  for (let i = 0; i < 50; i++) {
    const before = now();
    const there = await page.evaluate(() => performance.timeOrigin + performance.now());
    const after = now();
    if (after - before < 2 * best.error)
      best = { value: there - (before + after) / 2, error: (after - before) / 2 };
  }
  return best;
}

async function ackAlone(url) {
  const acks = [];
  for (let i = 0; i < EVENTS; i++) {
    const sent = now();
    await post(url);
    acks.push(now() - sent);
  }
  return both(acks);
}

async function withBrowser(browser, origin, url) {
  const page = await openPage(browser, origin);
  let took;
  await page.exposeFunction("took", (time) => took(time));
  await page.evaluate(follow, url);
  const clock = await difference(page);
  const [acks, messages] = [[], []];
  for (let i = 0; i < EVENTS; i++) {
    const arrived = new Promise((done) => (took = done));
    const sent = now();
    await post(url);
    acks.push(now() - sent);
    messages.push((await arrived) - clock.value - sent);
  }
  await page.close();
  return { acks: both(acks), messages: both(messages), error: clock.error };
}

async function measure(stage) {
  await stage.startDaemon();
  const origin = await servePage(stage);
  await openGateway(stage, ["--insecure-loopback", "--allow-origin", origin]);
  const browser = await openBrowser(stage);
  const alone = [];
  const read = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const url = stage.url(`/v1/sessions/s${i}`);
    const rounds = [await ackAlone(url), await withBrowser(browser, origin, `${url}r`)];
    if (i === 0) continue; // the first is to warm up
    alone.push(rounds[0]);
    read.push(rounds[1]);
  }
  return {
    rounds: ROUNDS,
    events: EVENTS,
    ...figures("alone", alone),
    ...figures(
      "ack",
      read.map(({ acks }) => acks),
    ),
    ...figures(
      "message",
      read.map(({ messages }) => messages),
    ),
    clocks_us: Math.round(1000 * Math.max(...read.map(({ error }) => error))),
  };
}

const stage = await Stage.open();
try {
  console.log(JSON.stringify(await measure(stage)));
} finally {
  agent.destroy();
  await stage.close();
}
