// SPDX-License-Identifier: Apache-2.0
// native: the addon, sponson.node, which lies beside index.mjs.
import { createRequire } from "node:module";

function load() {
  try {
    return createRequire(import.meta.url)("../sponson.node");
  } catch (error) {
    if (String(error.message).includes("libzmq.so.5"))
      throw new Error("sponson needs libzmq: apt install libzmq5", { cause: error });
    throw error;
  }
}

export const native = load();

/** Of libsponson. */
export const { version } = native;
