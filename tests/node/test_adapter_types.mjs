// SPDX-License-Identifier: Apache-2.0
// The adapters have the types of what they stand in for: adapter_types.ts is compiled with those.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { skip, staged } from "./kit.mjs";
import { hasPackages, install, noPackages } from "./pages.mjs";

if (!hasPackages) skip(noPackages);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

staged(
  "adapter_types.ts is compiled",
  async (stage) => {
    const packages = ["@types/node", "@modelcontextprotocol/sdk", "mcp-sdk-of-today", "resumable-stream"];
    install(stage, Object.fromEntries(packages.map((name) => [name, name])));
    copyFileSync(here("adapter_types.ts"), stage.path("types.mts"));
    const strict = ["--noEmit", "--strict", "--target", "esnext", "--module", "nodenext", "--types", "node"];
    // Declarations of others name packages that are not here.
    const words = [here("node_modules/typescript/bin/tsc"), ...strict, "--skipLibCheck", "types.mts"];
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: stage.directory, encoding: "utf8" });
    assert.equal(status, 0, stdout);
  },
  null,
);
