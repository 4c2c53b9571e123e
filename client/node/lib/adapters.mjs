// SPDX-License-Identifier: Apache-2.0
// adapters: what resumable-stream.mjs and mcp.mjs share.
//
// Owns  a producer for each client, and one client for those who give none. Both last as long as the process, and
//       neither keeps it from ending.
import { checkMs } from "./arguments.mjs";
import { Client, open } from "./client.mjs";
import { TimeoutError } from "./errors.mjs";
import { after } from "./wait.mjs";

export const DAY_MS = 24 * 60 * 60 * 1000;
const ANSWER_MS = 10_000;

let common = null;

/** The client that an app gave, or the one of all who give none. It connects as it is used. */
export function clientOf(given) {
  if (given === undefined) return (common ??= open());
  if (!(given instanceof Client)) throw new TypeError("client must be a Client");
  return given;
}

export function checkTimeout(timeoutMs = ANSWER_MS) {
  return checkMs(timeoutMs, "timeoutMs");
}

/** What ask(signal) gives; TimeoutError if that takes longer. */
export async function within(client, timeoutMs, ask) {
  const late = new AbortController();
  const stop = after(timeoutMs, () => late.abort());
  try {
    return await ask(late.signal);
  } catch (error) {
    if (error !== late.signal.reason) throw error;
    throw new TimeoutError(`the sidecar did not answer within ${timeoutMs} ms: ${client.detail}`);
  } finally {
    stop();
  }
}

/** The same of a promise of something that takes no signal. */
export const inTime = (client, timeoutMs, promise) =>
  within(
    client,
    timeoutMs,
    (signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        promise.then(resolve, reject);
      }),
  );

const producers = new WeakMap(); // promises, by client

function isUsable(producer) {
  try {
    producer.counters();
    return true;
  } catch {
    return false;
  }
}

function openProducer(client, timeoutMs) {
  const opening = within(client, timeoutMs, (signal) => client.producer({ signal }));
  producers.set(client, opening);
  opening.catch(() => {
    if (producers.get(client) === opening) producers.delete(client);
  });
  return opening;
}

/** The client's producer of the adapters; another one if it came to an end. Who asks while it is opened waits as long
 *  as the first who did. */
export async function producerOf(client, timeoutMs) {
  const opening = producers.get(client) ?? openProducer(client, timeoutMs);
  const producer = await opening;
  if (isUsable(producer)) return producer;
  if (producers.get(client) === opening) producers.delete(client);
  return producerOf(client, timeoutMs);
}
