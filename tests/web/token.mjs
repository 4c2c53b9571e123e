// SPDX-License-Identifier: Apache-2.0
// token: a key file of a stage, and tokens that are signed with its key.
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** The key's line, and the file that has it alone. */
export function newKey(stage, kid = "k1") {
  const line = spawnSync(join(stage.bin, "sponson"), ["token", "--new-key", kid]).stdout.toString().trim();
  const path = stage.path("keys");
  writeFileSync(path, `${line}\n`, { mode: 0o600 });
  return { line, path };
}

/** name: the session; rights: of "rwdl". */
export function sign(key, name, rights, seconds) {
  const [kid, secret] = key.line.split(":");
  const payload = JSON.stringify({ exp: Math.floor(Date.now() / 1000) + seconds, n: name, r: rights });
  const head = `v1.${kid}.${Buffer.from(payload).toString("base64url")}`;
  return `${head}.${createHmac("sha256", Buffer.from(secret, "base64url")).update(head).digest("base64url")}`;
}
