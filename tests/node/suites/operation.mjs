// SPDX-License-Identifier: Apache-2.0
// operation: what the suites do with the adapters is counted by the program that runs them: see killer.mjs. When this
// resolves, the daemon may have been killed just now.
import http from "node:http";

const port = Number(process.env.SPONSON_KILLER);

export const operation = () =>
  new Promise((resolve, reject) => {
    http
      .get({ port, host: "127.0.0.1", agent: false }, (answer) => answer.resume().on("end", resolve))
      .on("error", reject);
  });

/** An object whose functions are operations. */
export function counted(object, names) {
  const wrapped = {};
  for (const name of names)
    wrapped[name] = async (...words) => {
      await operation();
      return object[name](...words);
    };
  return wrapped;
}
