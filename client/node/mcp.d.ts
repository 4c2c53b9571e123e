// SPDX-License-Identifier: Apache-2.0
// Types of sponson/mcp.
import type { Client } from "./index.js";

export interface SponsonEventStoreOptions {
  /** The id of the MCP session: the one that sessionIdGenerator gives. A store belongs to one. */
  session: string;
  /** Unless given: one for the whole process, which finds the sidecar as connect does. */
  client?: Client;
  /** What the names of its sessions begin with; "mcp:" unless given. */
  prefix?: string;
  /** Deleted when nothing was stored for so long: a day unless given; 0: as the sidecar says. */
  ttlMs?: number;
  /** How long the sidecar may take to answer: 10,000 unless given. What is stored waits for as long as it takes. */
  timeoutMs?: number;
}

/** An EventStore of @modelcontextprotocol/sdk: the events of one MCP session. */
export class SponsonEventStore {
  constructor(options: SponsonEventStoreOptions);
  /** Resolves with the event's id when it is on the sidecar's disk. */
  storeEvent(streamId: string, message: object): Promise<string>;
  /** undefined: there is no such event in this MCP session, or not any more. */
  getStreamIdForEventId(eventId: string): Promise<string | undefined>;
  /** Sends what came after this event in its stream. UnknownIdError, UnknownSessionError. */
  replayEventsAfter(
    lastEventId: string,
    to: { send: (eventId: string, message: any) => Promise<void> },
  ): Promise<string>;
  /** Deletes what is stored: for onsessionclosed. Nothing is stored afterwards. */
  delete(): Promise<void>;
}
