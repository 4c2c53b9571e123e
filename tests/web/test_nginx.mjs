// SPDX-License-Identifier: Apache-2.0
// nginx with the recipe of RECIPES.md: hand-over, signed URLs, HTTP/2, nothing held back, restarts, logs.
import { needNginx, startNginx } from "./recipes.mjs";
import { run } from "./stage.mjs";
import { webServerParts } from "./web_server_parts.mjs";

needNginx();
await run(webServerParts("nginx", startNginx));
