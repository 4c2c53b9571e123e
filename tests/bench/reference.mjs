// SPDX-License-Identifier: Apache-2.0
// Runs the Durable Streams reference server until it is killed: reference.mjs MODULE PORT DIRECTORY
import { pathToFileURL } from "node:url";

const [module, port, dataDir] = process.argv.slice(2);
const { DurableStreamTestServer } = await import(pathToFileURL(module));
const server = new DurableStreamTestServer({ port: Number(port), host: "127.0.0.1", dataDir });
await server.start();
