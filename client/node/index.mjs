// SPDX-License-Identifier: Apache-2.0
// sponson: publish server-sent events to the sidecar on this host, and read them back. See README.md.
export * from "./lib/errors.mjs";
export { connect, open, Client } from "./lib/client.mjs";
export { Producer } from "./lib/producer.mjs";
export { Replay, Subscription } from "./lib/subscription.mjs";
export { SseParser, formatEvent, parseEvents } from "./lib/sse.mjs";
export { Event } from "./lib/event.mjs";
export { version } from "./lib/native.mjs";
