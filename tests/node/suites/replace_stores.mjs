// SPDX-License-Identifier: Apache-2.0
// replace_stores: the SDK's test of its transport without its two stores in memory.
//
// The third one of that file stores nothing: it is there to refuse an id, and stays.

/** From the line that begins with `from` to the line that is `to`. */
function replaceBlock(code, from, to, with_) {
  const start = code.indexOf(`\n${from}`);
  const end = code.indexOf(`\n${to}\n`, start);
  if (start < 0 || end < 0 || code.indexOf(`\n${from}`, start + 1) >= 0)
    throw new Error(`not once in the file: ${from}`);
  return `${code.slice(0, start)}\n${with_}${code.slice(end + 1 + to.length)}`;
}

export function replaceStores(code, stores) {
  const indent = "        ";
  const end = `${indent}};`;
  const first = `${indent}// Simple implementation of EventStore\n`;
  const second = `${indent}const createEventStore = (): EventStore => {`;
  // Tests look into storedEvents.
  code = replaceBlock(code, first, end, `${indent}const eventStore = newStore(storedEvents);`);
  code = replaceBlock(code, second, end, `${indent}const createEventStore = () => newStore();`);
  return `import { newStore } from ${JSON.stringify(stores)};\n${code}`;
}
