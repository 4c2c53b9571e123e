// SPDX-License-Identifier: Apache-2.0
// The npm package, packed and installed without a network: with the addon in it, and where there is none that fits.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { need, packageFile, staged } from "./kit.mjs";

const npm = need("npm");

function run(directory, program, words, env = {}) {
  const options = { cwd: directory, encoding: "utf8", env: { ...process.env, ...env } };
  const { status, stdout, stderr } = spawnSync(program, words, options);
  return { status, output: stdout + stderr, stdout };
}

function runNpm(directory, words, env) {
  const flags = [
    "--offline",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--foreground-scripts",
    "--cache",
    join(directory, "cache"),
  ];
  return run(directory, npm, [...words, ...flags], env);
}

/** A directory of an app, and the tarball of a package. */
function prepare(stage, name, change = () => {}) {
  const directory = stage.path(name);
  mkdirSync(join(directory, "app"), { recursive: true });
  cpSync(packageFile("."), join(directory, "package"), { recursive: true });
  change(join(directory, "package"));
  const packed = runNpm(join(directory, "package"), ["pack", "--ignore-scripts", "--pack-destination", directory]);
  assert.equal(packed.status, 0, packed.output);
  const app = join(directory, "app");
  writeFileSync(join(app, "package.json"), '{ "name": "app", "version": "1.0.0", "type": "module" }');
  writeFileSync(
    join(app, "app.mjs"),
    `import { connect } from "sponson";
     import "sponson/mcp";
     import "sponson/resumable-stream";
     const client = await connect();
     console.log((await client.publishOnce(${JSON.stringify(name)}, { id: "1", data: "x" })).result);
     await client.close();`,
  );
  return { app, tarball: join(directory, "sponson-0.1.0.tgz"), listing: packed.output };
}

const runApp = (stage, app) => run(app, process.execPath, ["app.mjs"], { SPONSON_SOCKET_DIR: stage.directory });

staged("with the addon in it", async (stage) => {
  const { app, tarball, listing } = prepare(stage, "ready");
  for (const file of [
    "index.mjs",
    "index.d.ts",
    "install.mjs",
    "mcp.mjs",
    "mcp.d.ts",
    "MCP.md",
    "resumable-stream.mjs",
    "resumable-stream.d.ts",
    "RESUMABLE-STREAM.md",
    "sponson.node",
    "lib/core.mjs",
    "native/CMakeLists.txt",
    "native/client/client.c",
    "native/proto/wire.c",
    "native/node/addon.c",
    "LICENSE",
    "README.md",
  ])
    assert.ok(listing.includes(` ${file}`), `${file} is not in the package: ${listing}`);
  const installed = runNpm(app, ["install", tarball]);
  assert.equal(installed.status, 0, installed.output);
  assert.doesNotMatch(installed.output, /cmake|Building C/);
  assert.deepEqual(runApp(stage, app), { status: 0, output: "stored\n", stdout: "stored\n" });
});

const withoutAddon = (directory) => rmSync(join(directory, "sponson.node"));

staged("without one: it is built", async (stage) => {
  for (const program of ["cmake", "cc", "pkg-config"]) need(program);
  const { app, tarball } = prepare(stage, "built", withoutAddon);
  const installed = runNpm(app, ["install", tarball]);
  assert.equal(installed.status, 0, installed.output);
  assert.match(installed.output, /Building C/);
  assert.doesNotMatch(installed.output, /warning:/);
  assert.deepEqual(runApp(stage, app), { status: 0, output: "stored\n", stdout: "stored\n" });
});

staged("without one, and without cmake: it says what to install", async (stage) => {
  const { app, tarball } = prepare(stage, "poor", withoutAddon);
  const bin = stage.path("poor/bin");
  mkdirSync(bin);
  for (const program of ["node", "npm", "sh", "env"])
    symlinkSync(program === "node" ? process.execPath : need(program), join(bin, program));
  const installed = runNpm(app, ["install", tarball], { PATH: bin });
  assert.notEqual(installed.status, 0);
  assert.match(installed.output, /apt install cmake gcc pkg-config libzmq3-dev/);
  assert.ok(!existsSync(join(app, "node_modules", "sponson", "sponson.node")));
});

staged("as README.md says, with this build for a new one", async (stage) => {
  const [, block] = readFileSync(packageFile("README.md"), "utf8").match(/```sh\n([^]*?)```/);
  const [packages, build, pack, install] = block.trim().split("\n");
  assert.equal(packages, "sh tests/packages.sh node");
  assert.match(build, /^cmake --preset release && cmake .* --target sponson_node_package sponsond sponson-cli$/);
  const lines = [pack, install].join("\n").replace("build/release/node", packageFile("."));
  const env = { HOME: stage.directory, npm_config_offline: "true" };
  const { status, output } = run(stage.directory, "sh", ["-ec", lines], env);
  assert.equal(status, 0, output);
  assert.ok(existsSync(stage.path("app/node_modules/sponson/sponson.node")));
});
