// SPDX-License-Identifier: Apache-2.0
// Types of sponson/resumable-stream: those of the npm package resumable-stream, without Redis.
import type { Client } from "./index.js";

export interface CreateResumableStreamContextOptions {
  /** Called with a promise that resolves when a stream that began here is written to its end; null: nobody asks. */
  waitUntil: ((promise: Promise<unknown>) => void) | null;
  /** What the names of its sessions begin with, "resumable-stream" unless given; then come ":rs:" and the id. */
  keyPrefix?: string;
  /** Unless given: one for the whole process, which finds the sidecar as connect does. */
  client?: Client;
  /** When a writer was silent for so long, it is gone, and its stream ends: 60,000 unless given; 0: never. */
  idleCloseMs?: number;
  /** When nothing came for so long, the stream is forgotten: a day unless given; 0: as the sidecar says. */
  ttlMs?: number;
  /** How long the sidecar may take to answer: 10,000 unless given. */
  timeoutMs?: number;
  /** Called with why a stream that began here could not be read or written to its end. A warning unless given. */
  onError?: (error: Error) => void;
  /** Taken and not needed: the end of a stream is in its session. */
  doneWatchdogIntervalMs?: number;
  /** Of Redis: TypeError if they are given. */
  publisher?: undefined;
  subscriber?: undefined;
}

/** In a stream: UnfinishedError, TrimmedError (its beginning is not retained any more), DeletedError. */
export interface ResumableStreamContext {
  /** Begins a stream, or resumes it after `skipCharacters`; null: it is done. makeStream is called only to begin. */
  resumableStream(
    streamId: string,
    makeStream: () => ReadableStream<string>,
    skipCharacters?: number,
  ): Promise<ReadableStream<string> | null>;
  /** The same. */
  createNewResumableStream(
    streamId: string,
    makeStream: () => ReadableStream<string>,
    skipCharacters?: number,
  ): Promise<ReadableStream<string> | null>;
  /** null: it is done; undefined: there is none. */
  resumeExistingStream(streamId: string, skipCharacters?: number): Promise<ReadableStream<string> | null | undefined>;
  /** null: there is none. */
  hasExistingStream(streamId: string): Promise<null | true | "DONE">;
}

export function createResumableStreamContext(options: CreateResumableStreamContextOptions): ResumableStreamContext;

/** A stream ended before its end. */
export class UnfinishedError extends Error {
  /** "idle": its writer is gone; "writer failed": what it wrote threw; else why its session was closed. */
  readonly reason: string;
}
