// SPDX-License-Identifier: Apache-2.0
// index.d.ts is what apps in TypeScript need: types.ts is compiled with it, strictly.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageFile, skip, staged } from "./kit.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const compiler = join(here, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(compiler)) skip("npm's packages are not installed (npm ci --ignore-scripts in tests/node)");

staged(
  "types.ts is compiled",
  async (stage) => {
    mkdirSync(stage.path("node_modules"));
    symlinkSync(packageFile("."), stage.path("node_modules/sponson"));
    symlinkSync(join(here, "node_modules", "@types"), stage.path("node_modules/@types"));
    cpSync(join(here, "types.ts"), stage.path("types.mts"));
    const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022"];
    const modules = ["--module", "nodenext", "--lib", "es2022,esnext.disposable", "--types", "node"];
    const words = [compiler, ...strict, ...modules, "types.mts"];
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: stage.directory, encoding: "utf8" });
    assert.equal(status, 0, stdout);
  },
  null,
);
