// SPDX-License-Identifier: Apache-2.0
// Caddy with the recipe of RECIPES.md: the same parts as nginx.
import { needCaddy, startCaddy } from "./recipes.mjs";
import { run } from "./stage.mjs";
import { webServerParts } from "./web_server_parts.mjs";

needCaddy();
await run(webServerParts("Caddy", startCaddy));
