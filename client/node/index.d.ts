// SPDX-License-Identifier: Apache-2.0
// Types of sponson. What each thing means in full is in sponson.h and README.md.

/** A string, or bytes: a string is sent as UTF-8. */
export type Text = string | Uint8Array;

/** The version of libsponson. */
export const version: string;

// -- errors ---------------------------------------------------------------------------------------

/** What every error of Sponson is. `code` is the name in sponson.h. */
export class SponsonError extends Error {
  readonly code: string;
}

/** An event with the same id and other content is in the log: this one is not. */
export class ConflictError extends SponsonError {
  readonly code: "SPN_CONFLICT";
  readonly ticket?: number;
}

export class NomemError extends SponsonError {
  static readonly code: "SPN_E_NOMEM";
  readonly code: "SPN_E_NOMEM";
}
export class InvalidError extends SponsonError {
  static readonly code: "SPN_E_INVALID";
  readonly code: "SPN_E_INVALID";
}
export class SystemError extends SponsonError {
  static readonly code: "SPN_E_SYSTEM";
  readonly code: "SPN_E_SYSTEM";
}
export class TimeoutError extends SponsonError {
  static readonly code: "SPN_E_TIMEOUT";
  readonly code: "SPN_E_TIMEOUT";
}
export class UnavailableError extends SponsonError {
  static readonly code: "SPN_E_UNAVAILABLE";
  readonly code: "SPN_E_UNAVAILABLE";
}
export class BackpressureError extends SponsonError {
  static readonly code: "SPN_E_BACKPRESSURE";
  readonly code: "SPN_E_BACKPRESSURE";
}
export class EndError extends SponsonError {
  static readonly code: "SPN_E_END";
  readonly code: "SPN_E_END";
}
export class ForkedError extends SponsonError {
  static readonly code: "SPN_E_FORKED";
  readonly code: "SPN_E_FORKED";
}
export class TooManyError extends SponsonError {
  static readonly code: "SPN_E_TOO_MANY";
  readonly code: "SPN_E_TOO_MANY";
}
export class ProtocolError extends SponsonError {
  static readonly code: "SPN_E_PROTOCOL";
  readonly code: "SPN_E_PROTOCOL";
}
export class VersionError extends SponsonError {
  static readonly code: "SPN_E_VERSION";
  readonly code: "SPN_E_VERSION";
}
export class UnsupportedError extends SponsonError {
  static readonly code: "SPN_E_UNSUPPORTED";
  readonly code: "SPN_E_UNSUPPORTED";
}
export class StaleTokenError extends SponsonError {
  static readonly code: "SPN_E_STALE_TOKEN";
  readonly code: "SPN_E_STALE_TOKEN";
}
export class FencedError extends SponsonError {
  static readonly code: "SPN_E_FENCED";
  readonly code: "SPN_E_FENCED";
}
export class DeniedError extends SponsonError {
  static readonly code: "SPN_E_DENIED";
  readonly code: "SPN_E_DENIED";
}
export class BadSessionError extends SponsonError {
  static readonly code: "SPN_E_BAD_SESSION";
  readonly code: "SPN_E_BAD_SESSION";
}
export class BadIdError extends SponsonError {
  static readonly code: "SPN_E_BAD_ID";
  readonly code: "SPN_E_BAD_ID";
}
export class BadTypeError extends SponsonError {
  static readonly code: "SPN_E_BAD_TYPE";
  readonly code: "SPN_E_BAD_TYPE";
}
export class BadDataError extends SponsonError {
  static readonly code: "SPN_E_BAD_DATA";
  readonly code: "SPN_E_BAD_DATA";
}
export class EventTooLargeError extends SponsonError {
  static readonly code: "SPN_E_EVENT_TOO_LARGE";
  readonly code: "SPN_E_EVENT_TOO_LARGE";
}
export class BadNoteError extends SponsonError {
  static readonly code: "SPN_E_BAD_NOTE";
  readonly code: "SPN_E_BAD_NOTE";
}
export class BadReasonError extends SponsonError {
  static readonly code: "SPN_E_BAD_REASON";
  readonly code: "SPN_E_BAD_REASON";
}
export class BadAttributesError extends SponsonError {
  static readonly code: "SPN_E_BAD_ATTRIBUTES";
  readonly code: "SPN_E_BAD_ATTRIBUTES";
}
export class BadPrefixError extends SponsonError {
  static readonly code: "SPN_E_BAD_PREFIX";
  readonly code: "SPN_E_BAD_PREFIX";
}
export class BadPositionError extends SponsonError {
  static readonly code: "SPN_E_BAD_POSITION";
  readonly code: "SPN_E_BAD_POSITION";
}
export class UnknownSessionError extends SponsonError {
  static readonly code: "SPN_E_UNKNOWN_SESSION";
  readonly code: "SPN_E_UNKNOWN_SESSION";
}
export class UnknownIdError extends SponsonError {
  static readonly code: "SPN_E_UNKNOWN_ID";
  readonly code: "SPN_E_UNKNOWN_ID";
}
export class OtherLifeError extends SponsonError {
  static readonly code: "SPN_E_OTHER_LIFE";
  readonly code: "SPN_E_OTHER_LIFE";
}
export class TrimmedError extends SponsonError {
  static readonly code: "SPN_E_TRIMMED";
  readonly code: "SPN_E_TRIMMED";
}
export class ClosedError extends SponsonError {
  static readonly code: "SPN_E_CLOSED";
  readonly code: "SPN_E_CLOSED";
}
export class DeletedError extends SponsonError {
  static readonly code: "SPN_E_DELETED";
  readonly code: "SPN_E_DELETED";
}
export class LostError extends SponsonError {
  static readonly code: "SPN_E_LOST";
  readonly code: "SPN_E_LOST";
}
export class ConditionError extends SponsonError {
  static readonly code: "SPN_E_CONDITION";
  readonly code: "SPN_E_CONDITION";
}
export class DependentError extends SponsonError {
  static readonly code: "SPN_E_DEPENDENT";
  readonly code: "SPN_E_DEPENDENT";
}
export class IoError extends SponsonError {
  static readonly code: "SPN_E_IO";
  readonly code: "SPN_E_IO";
}
export class DiskFullError extends SponsonError {
  static readonly code: "SPN_E_DISK_FULL";
  readonly code: "SPN_E_DISK_FULL";
}
export class CorruptError extends SponsonError {
  static readonly code: "SPN_E_CORRUPT";
  readonly code: "SPN_E_CORRUPT";
}
export class NewerFormatError extends SponsonError {
  static readonly code: "SPN_E_NEWER_FORMAT";
  readonly code: "SPN_E_NEWER_FORMAT";
}
export class InUseError extends SponsonError {
  static readonly code: "SPN_E_IN_USE";
  readonly code: "SPN_E_IN_USE";
}
export class PathError extends SponsonError {
  static readonly code: "SPN_E_PATH";
  readonly code: "SPN_E_PATH";
}
export class StoppingError extends SponsonError {
  static readonly code: "SPN_E_STOPPING";
  readonly code: "SPN_E_STOPPING";
}
export class LimitError extends SponsonError {
  static readonly code: "SPN_E_LIMIT";
  readonly code: "SPN_E_LIMIT";
}
export class QuotaFullError extends SponsonError {
  static readonly code: "SPN_E_QUOTA_FULL";
  readonly code: "SPN_E_QUOTA_FULL";
}
export class GoneError extends SponsonError {
  static readonly code: "SPN_E_GONE";
  readonly code: "SPN_E_GONE";
}
export class OlderFormatError extends SponsonError {
  static readonly code: "SPN_E_OLDER_FORMAT";
  readonly code: "SPN_E_OLDER_FORMAT";
}

// -- publishing -----------------------------------------------------------------------------------

/** What an acknowledgement means: sent; in the sidecar's memory; on its disk. */
export type Level = "none" | "accepted" | "durable";

export interface EventInit {
  /** "event" unless given. A marker has an id, a retry or both, and no data. A reset has neither. */
  kind?: "event" | "marker" | "reset";
  data?: Text;
  /** Up to 4,096 bytes. Without one a producer's event gets one. */
  id?: Text;
  /** "message" unless given. */
  type?: Text;
  retryMs?: number;
  /** Up to 512 bytes of your own, delivered with the event. */
  note?: Text;
}

export interface Conditions {
  /** There is no such session yet. */
  ifNew?: boolean;
  /** The newest event of the session has this seq. */
  ifSeq?: number;
  /** The session has this life. */
  life?: string;
}

export interface Aborts {
  /** The promise is rejected with its reason. What was sent already may be carried out all the same. */
  signal?: AbortSignal;
}

export interface PublishOptions extends Conditions, Aborts {
  /** The event closes its session, both or neither. */
  closes?: boolean;
  /** Why it closes: up to 64 bytes. */
  reason?: Text;
  /** A promise of this producer: refused if that was. */
  dependsOn?: Promise<Ack>;
}

export interface OperationOptions extends Conditions, Aborts {
  /** Of a close. */
  reason?: Text;
  dependsOn?: Promise<Ack>;
}

export interface Ack {
  /** 0: it has none yet (latestOnly), or it was not taken. */
  readonly ticket: number;
  /** "taken": at level "none" and with latestOnly. The last three only in what publishMany gives. */
  readonly result: "stored" | "duplicate" | "taken" | "conflict" | "refused" | "lost";
  /** The event's id, also one that it got. */
  readonly id?: string;
  /** Why it is not in the log: of publishMany. */
  readonly error?: Error;
}

export interface Attributes {
  /** Deleted when nothing came for so long; 0: as the sidecar says. */
  ttlMs?: number;
  /** Closed, with the reason "idle", when nothing came for so long; 0: never. */
  idleCloseMs?: number;
  contentType?: Text;
  note?: Text;
}

export interface ProducerOptions extends Aborts {
  /** "durable" unless given. */
  level?: Level;
  /** 32 hexadecimal digits of your own, kept across restarts of the app. It fences who had it before. */
  id?: string;
  windowBytes?: number;
  windowEvents?: number;
  /** Only the newest event of each session gets through while the sidecar is behind. */
  latestOnly?: boolean;
}

export interface Counters {
  taken: number;
  stored: number;
  duplicates: number;
  conflicts: number;
  refused: number;
  lost: number;
  resent: number;
  backpressure: number;
  unacknowledged: number;
  pending: number;
  replaced: number;
}

/** Publishes in the order of the calls. */
export class Producer {
  private constructor();
  readonly client: Client;
  readonly committed: number;
  onrefused: ((error: SponsonError) => void) | undefined;
  /** Resolves when the event is in the log. Waits while there is no room. */
  publish(session: Text, event: EventInit, options?: PublishOptions): Promise<Ack>;
  /** Resolves when each has its result. One that is not in the log has an `error`. */
  publishMany(session: Text, events: Iterable<EventInit>, options?: Aborts): Promise<Ack[]>;
  closeSession(session: Text, options?: OperationOptions): Promise<Ack>;
  deleteSession(session: Text, options?: OperationOptions): Promise<Ack>;
  touchSession(session: Text, options?: OperationOptions): Promise<Ack>;
  setSession(session: Text, attributes: Attributes, options?: OperationOptions): Promise<Ack>;
  /** Resolves when all that was published before has its result. */
  flush(options?: Aborts): Promise<void>;
  counters(): Counters;
  /** Waits for results, 5 seconds unless given. Resolves with the number of entries that have none. */
  close(options?: { timeoutMs?: number }): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

// -- reading --------------------------------------------------------------------------------------

export type State = "live" | "closed" | "damaged";

/** An event, a marker or a reset, as it is read. */
export class Event<Data = string> {
  private constructor();
  readonly kind: "event" | "marker" | "reset";
  readonly id: string;
  readonly type: string;
  readonly data: Data;
  readonly retryMs: number | undefined;
  readonly note: Data | undefined;
  readonly seq: number;
  readonly position: number;
  readonly timeMs: number;
  readonly life: string;
  /** Events directly before this one that are not retained any more. */
  readonly missing: number;
  /** It closed its session, and why. */
  readonly closes: boolean;
  readonly reason: string | undefined;
  /** Of follow. */
  readonly session?: string;
  readonly database?: string;
  /** Names this event in this life of its session, here and in each copy of it. */
  readonly cursor: string;
}

/** What a subscription with `items` gives beside events. */
export interface Item {
  readonly kind: "verdict" | "gap" | "end" | "caughtUp";
  readonly seq: number;
  readonly life: string | null;
  readonly missing: number;
  /** Of a verdict and an end: "SPN_OK", "SPN_E_TRIMMED", "SPN_E_CLOSED" ... */
  readonly why?: string;
  readonly newest?: number;
  readonly state?: State;
  readonly reason?: string;
  readonly id?: string;
  /** Of a gap of follow. */
  readonly first?: number;
  readonly last?: number;
  /** Of follow: a cursor of the log. */
  readonly database?: string;
  readonly position?: number;
}

/** What follow gives beside these. */
export interface LogItem<Data = string> {
  readonly kind: "open" | "close" | "delete" | "expire" | "attributes" | "touch";
  readonly session: string;
  readonly life: string;
  readonly seq: number;
  readonly position: number;
  readonly timeMs: number;
  readonly database: string;
  readonly missing: number;
  readonly reason?: string;
  readonly attributes?: { ttlMs: number; idleCloseMs: number; contentType: string; note: Data };
}

interface As {
  /** What data and notes are: strings unless given, or Buffers. */
  as?: "text" | "bytes";
}

export interface StartOptions extends Aborts, As {
  /** Resume after this id. Empty or null: begin with the earliest, as without Last-Event-ID. */
  after?: Text | null;
  /** Resume after an event, or its cursor. */
  cursor?: string | { life: string; seq: number };
}

type Otherwise = "fail" | "restart" | "wait";

export interface SubscribeOptions extends StartOptions {
  from?: "earliest" | "now";
  /** What to do when it cannot begin there: fail unless given. */
  otherwise?: Otherwise | Otherwise[];
  windowBytes?: number;
  /** Everything is given: the verdict, markers, gaps, the end. */
  items?: boolean;
}

export interface FollowOptions extends Aborts, As {
  from?: "earliest" | "now";
  after?: { database?: string; position?: number };
  prefix?: Text;
  touches?: boolean;
  windowBytes?: number;
}

interface Reading<T> extends AsyncIterableIterator<T> {
  readonly client: Client;
  /** A stream of what the iterator gives. */
  readable(): ReadableStream<T>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Subscription<T = Event> extends Reading<T> {}
export class Subscription<T = Event> {
  private constructor();
  /** Where it began, and why there; null: not known yet. */
  readonly verdict: Item | null;
  /** How it ended; null: it has not. */
  readonly end: Item | null;
  /** The bytes of a text/event-stream, with a comment every heartbeatMs (15,000) without an event. */
  eventStream(options?: { heartbeatMs?: number }): ReadableStream<Uint8Array>;
}

export interface Replay<T = Event> extends Reading<T> {}
export class Replay<T = Event> {
  private constructor();
  readonly missing: number;
}

// -- client ---------------------------------------------------------------------------------------

export interface OpenOptions {
  /** Unless given: $SPONSON_SOCKET_DIR, /run/sponson, $XDG_RUNTIME_DIR/sponson. */
  socketDir?: string;
  /** Fail if nobody listens now. */
  atOnce?: boolean;
  sendHwm?: number;
  readBytesMax?: number;
  questionsMax?: number;
}

export interface ConnectOptions extends OpenOptions, Aborts {
  /** 5,000 unless given; Infinity: for ever. */
  timeoutMs?: number;
}

export interface Last {
  readonly id: string;
  readonly seq: number;
  readonly life: string;
  readonly position: number;
  readonly timeMs: number;
  readonly state: State;
}

export interface Session {
  readonly name: string;
  readonly lastId: string;
  readonly life: string | null;
  readonly epoch: number;
  readonly seq: number;
  readonly markers: number;
  readonly position: number;
  readonly bytes: number;
  readonly openedMs: number;
  readonly lastMs: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly state: State;
  readonly reason: string;
  readonly contentType: string;
  readonly ttlMs: number;
  readonly idleCloseMs: number;
}

export interface SessionInfo extends Session {
  readonly firstSeq: number;
  readonly retainedMarkers: number;
  readonly lifeFirstSeq: number;
  readonly note: Uint8Array;
}

export interface Health {
  readonly status: "healthy" | "degraded" | "stopping";
  readonly reason: string;
  readonly version: string;
  readonly pid: number;
  readonly instance: bigint;
  readonly uptimeMs: number;
  readonly durable: number;
  readonly checkpoint: number;
}

/** What became of a one-shot. The error of one that was refused has the same properties. */
export interface Published {
  readonly result: "stored" | "duplicate";
  readonly id: string;
  readonly state: State;
  readonly life: string | null;
  readonly seq: number;
  readonly position: number;
}

export interface OnceOptions extends Conditions, Aborts {
  reason?: Text;
}

/** A connection to the sidecar of this host. */
export class Client {
  private constructor();
  readonly dataMax: number;
  readonly detail: string;
  ready(options?: Aborts): Promise<void>;
  producer(options?: ProducerOptions): Promise<Producer>;
  subscribe(
    session: Text,
    options: SubscribeOptions & { items: true; as: "bytes" },
  ): Subscription<Event<Uint8Array> | Item>;
  subscribe(session: Text, options: SubscribeOptions & { items: true }): Subscription<Event | Item>;
  subscribe(session: Text, options: SubscribeOptions & { as: "bytes" }): Subscription<Event<Uint8Array>>;
  subscribe(session: Text, options?: SubscribeOptions): Subscription<Event>;
  follow(options: FollowOptions & { as: "bytes" }): Subscription<Event<Uint8Array> | LogItem<Uint8Array> | Item>;
  follow(options?: FollowOptions): Subscription<Event | LogItem | Item>;
  replay(session: Text, options: StartOptions & { as: "bytes" }): Replay<Event<Uint8Array>>;
  replay(session: Text, options?: StartOptions): Replay<Event>;
  /** One event, without a producer. It needs an id, so that it can be repeated. */
  publishOnce(
    session: Text,
    event: EventInit,
    options?: OnceOptions & { closes?: boolean; level?: "accepted" | "durable" },
  ): Promise<Published>;
  closeSession(session: Text, options?: OnceOptions): Promise<Published>;
  deleteSession(session: Text, options?: OnceOptions): Promise<Published>;
  touchSession(session: Text, options?: OnceOptions): Promise<Published>;
  setSession(session: Text, attributes: Attributes, options?: OnceOptions): Promise<Published>;
  last(session: Text, options?: Aborts): Promise<Last>;
  session(name: Text, options?: Aborts): Promise<SessionInfo>;
  sessions(options?: { prefix?: Text; after?: Text } & Aborts): AsyncGenerator<Session, void, void>;
  health(options?: Aborts): Promise<Health>;
  stats(options?: Aborts): Promise<Record<string, number>>;
  /** Closes the producers, as Producer.close does, then the connection. */
  close(options?: { timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A client that has met its sidecar. */
export function connect(options?: ConnectOptions): Promise<Client>;
/** A client that connects as it is used: there need not be a sidecar yet. */
export function open(options?: OpenOptions): Client;

// -- text/event-stream ----------------------------------------------------------------------------

export interface ParsedEvent {
  readonly kind: "event" | "marker" | "reset";
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly retryMs?: number;
  /** The event has an `id:` without a value. */
  readonly resetsId: boolean;
}

/** An incremental parser. */
export class SseParser {
  constructor(options?: { eventMax?: number });
  readonly lastId: string;
  readonly skipped: number;
  push(chunk: Text): ParsedEvent[];
}

/** The events of a stream of chunks, such as the body of a response of fetch. */
export function parseEvents(
  chunks: AsyncIterable<Text>,
  options?: { eventMax?: number },
): AsyncGenerator<ParsedEvent, void, void>;

/** The bytes of an event, with its blank line. */
export function formatEvent(event: EventInit & { resetsId?: boolean }): Uint8Array;
