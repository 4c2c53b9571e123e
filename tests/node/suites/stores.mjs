// SPDX-License-Identifier: Apache-2.0
// stores: what stands where the SDK's tests have a store in memory: each is of an MCP session of its own.
import { randomUUID } from "node:crypto";
import { counted } from "./operation.mjs";

const { SponsonEventStore } = await import(`${process.env.SPONSON_NODE_PACKAGE}/mcp.mjs`);

/** storedEvents: a Map that the tests look into. */
export function newStore(storedEvents = new Map()) {
  const names = ["storeEvent", "getStreamIdForEventId", "replayEventsAfter"];
  const store = counted(new SponsonEventStore({ session: randomUUID() }), names);
  const storeEvent = async (streamId, message) => {
    const eventId = await store.storeEvent(streamId, message);
    storedEvents.set(eventId, { eventId, message });
    return eventId;
  };
  return { ...store, storeEvent };
}

/** A constructor that gives such a store. */
export function InMemoryEventStore() {
  return newStore();
}
