// SPDX-License-Identifier: Apache-2.0
// For the suites in vendor/: what they import of their own package comes from npm, or is ours; and the stores that
// the SDK's tests keep in memory are replaced as their text is loaded. $SPONSON_SUITE says which.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { replaceStores } from "./replace_stores.mjs";

const tests = fileURLToPath(new URL("..", import.meta.url));
const ours = (name) => `${tests}suites/${name}`;
const isIn = (folder, importer) => importer?.startsWith(`${tests}vendor/${folder}/`);

/** What a vendored file imports, by the end of the path; undefined: what it says. */
function replaced(source, importer) {
  if (isIn("resumable-stream", importer) && (source === ".." || source === "../ioredis")) return ours("context.mjs");
  if (!isIn("mcp-typescript-sdk", importer)) return undefined;
  if (source.endsWith("/examples/shared/inMemoryEventStore.js")) return ours("stores.mjs");
  const sdk = /^(?:\.\.\/)+src\/(?!__fixtures__)(.*)$/.exec(source);
  return sdk ? `@modelcontextprotocol/sdk/${sdk[1]}` : undefined;
}

const suites = {
  name: "suites",
  enforce: "pre",
  resolveId(source, importer) {
    const name = replaced(source, importer);
    return name?.startsWith("@") ? this.resolve(name, ours("context.mjs"), { skipSelf: true }) : name;
  },
  transform(code, id) {
    return id.endsWith("/streamableHttp.test.ts") ? replaceStores(code, ours("stores.mjs")) : undefined;
  },
};

const include = {
  "resumable-stream": ["suites/resumable-stream.test.mjs"],
  mcp: ["vendor/mcp-typescript-sdk/test/**/*.test.ts"],
};

export default defineConfig({
  root: tests,
  cacheDir: process.env.SPONSON_CACHE,
  plugins: [suites],
  test: {
    globals: true,
    setupFiles: ["suites/setup.mjs"],
    include: include[process.env.SPONSON_SUITE],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false,
    server: { deps: { external: [new RegExp(`^${process.env.SPONSON_NODE_PACKAGE}/`)] } },
  },
});
