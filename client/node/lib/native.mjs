// SPDX-License-Identifier: Apache-2.0
// native: the addon, sponson.node, which lies beside index.mjs.
import { createRequire } from "node:module";

// Of this name, so that what copies an app's files, such as Next.js, sees that sponson.node is one of them.
const require = createRequire(import.meta.url);

function load() {
  try {
    return require("../sponson.node");
  } catch (error) {
    if (String(error.message).includes("libzmq.so.5"))
      throw new Error("sponson needs libzmq: apt install libzmq5", { cause: error });
    throw error;
  }
}

export const native = load();

/** Of libsponson. */
export const { version } = native;
