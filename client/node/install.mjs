// SPDX-License-Identifier: Apache-2.0
// install: run by `npm install`. If the addon in the package cannot be loaded here, it is built out of native/.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const ADVICE =
  "sponson: building needs: apt install cmake gcc pkg-config libzmq3-dev, and libnode-dev for Debian's Node";

/** In another process, so that a library that is missing now is looked for again later. */
function loads() {
  const words = ["-e", `require(${JSON.stringify(join(here, "sponson.node"))})`];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  if (status !== 0 && stderr.includes("libzmq.so.5")) {
    console.error("sponson: libzmq is missing: apt install libzmq5");
    return true; // what would be built lacks it too
  }
  return status === 0;
}

function run(...words) {
  const { status, error } = spawnSync("cmake", words, { stdio: "inherit" });
  if (status === 0) return;
  console.error(error ? `sponson: cmake: ${error.message}` : "sponson: cmake failed");
  console.error(ADVICE);
  process.exit(1);
}

function build() {
  const directory = mkdtempSync(join(tmpdir(), "sponson-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const program = `-DSPONSON_NODE_PROGRAM=${process.execPath}`;
  run("-S", join(here, "native"), "-B", directory, "-DCMAKE_BUILD_TYPE=Release", program);
  run("--build", directory, "--parallel", "2");
  copyFileSync(join(directory, "sponson.node"), join(here, "sponson.node"));
}

if (!loads()) build();
