// SPDX-License-Identifier: Apache-2.0
// Compiled by test_adapter_types.mjs, and never run: the adapters where the packages that they are for expect their
// own.
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { EventStore as EventStoreOfToday } from "mcp-sdk-of-today/server/streamableHttp.js";
import type { CreateResumableStreamContextOptions, ResumableStreamContext } from "resumable-stream";
import { connect } from "sponson";
import { SponsonEventStore } from "sponson/mcp";
import { createResumableStreamContext, UnfinishedError } from "sponson/resumable-stream";

const client = await connect();
export const store: EventStore = new SponsonEventStore({ session: "a", client });
export const storeOfToday: EventStoreOfToday = new SponsonEventStore({ session: "a", prefix: "b", ttlMs: 1 });
export const context: ResumableStreamContext = createResumableStreamContext({ waitUntil: null });
declare const options: Omit<CreateResumableStreamContextOptions, "publisher" | "subscriber">;
export const same: ResumableStreamContext = createResumableStreamContext({ ...options, client });
export const reason = (error: unknown): string => (error instanceof UnfinishedError ? error.reason : "");

// @ts-expect-error a store has an MCP session
new SponsonEventStore({});
// @ts-expect-error a publisher is of Redis
createResumableStreamContext({ waitUntil: null, publisher: {} });
// @ts-expect-error a chunk is a string
context.resumableStream("a", () => new ReadableStream<number>());
