// SPDX-License-Identifier: Apache-2.0
// event: what is read, as JavaScript has it, out of the numbers and values of items.h.
import { codeOf } from "./codes.mjs";
import { native } from "./native.mjs";

// The order is that of `enum item_number` and `enum item_value`.
const KIND = 1,
  MISSING = 2,
  SEQ = 3,
  WHY = 4,
  EVENT_KIND = 5,
  RETRY = 6,
  EVENT_SEQ = 7,
  POSITION = 8,
  TIME = 9,
  SIZE = 10,
  NEWEST = 11,
  STATE = 12,
  FIRST = 13,
  LAST = 14,
  HAS = 15;
const HAS_TYPE = 1,
  HAS_MORE = 2;
const ID = 0,
  TYPE = 1,
  DATA = 2,
  MORE = 3;
const eventKinds = [];
eventKinds[native.EVENT] = "event";
eventKinds[native.MARKER] = "marker";
eventKinds[native.RESET] = "reset";
const none = Object.freeze({});

/** An event, a marker or a reset of a session. */
export class Event {
  constructor(kind, id, type, data, retryMs, seq, position, timeMs, life, missing, more) {
    this.kind = kind;
    this.id = id;
    this.type = type;
    this.data = data;
    this.retryMs = retryMs;
    this.note = more.note;
    this.seq = seq;
    this.position = position;
    this.timeMs = timeMs;
    this.life = life;
    this.missing = missing;
    this.closes = more.closes === true;
    this.reason = more.reason;
    if (more.database !== undefined) {
      this.session = more.session;
      this.database = more.database;
    }
  }

  /** Names this event in this life of its session, here and in each copy of the session. */
  get cursor() {
    return `spn:${this.life}:${this.seq}`;
  }
}

export const kindOf = (numbers, at) => native.itemKinds[numbers[at + KIND]];
export const sizeOf = (numbers, at) => numbers[at + SIZE];
export const whyOf = (numbers, at) => numbers[at + WHY];
export const missingOf = (numbers, at) => numbers[at + MISSING];
const moreOf = (numbers, at, values, v) => (numbers[at + HAS] & HAS_MORE ? values[v + MORE] : none);
export const lifeOf = (numbers, at, values, v) => moreOf(numbers, at, values, v).life;
export const isEvent = (numbers, at) => numbers[at + KIND] === 1 && numbers[at + EVENT_KIND] === native.EVENT;

/** asBytes: data is a Buffer. Otherwise large data come as one, and are made a string here: see items.c. */
export function makeEvent(numbers, at, values, v, life, missing, asBytes) {
  const data = values[v + DATA];
  const kind = numbers[at + EVENT_KIND];
  const retry = numbers[at + RETRY];
  return new Event(
    eventKinds[kind],
    values[v + ID],
    numbers[at + HAS] & HAS_TYPE ? values[v + TYPE] : "message",
    asBytes || typeof data === "string" ? data : data.toString(),
    retry < 0 ? undefined : retry,
    numbers[at + EVENT_SEQ],
    numbers[at + POSITION],
    numbers[at + TIME],
    life,
    missing,
    moreOf(numbers, at, values, v),
  );
}

/** What is no event: a verdict, a gap, an end, that it has caught up, and what else follow has. */
export function makeItem(numbers, at, values, v, life) {
  const kind = kindOf(numbers, at);
  const more = moreOf(numbers, at, values, v);
  const item = { kind, seq: numbers[at + SEQ], life, missing: numbers[at + MISSING] };
  if (kind === "verdict" || kind === "end") {
    item.why = codeOf(numbers[at + WHY]);
    item.newest = numbers[at + NEWEST];
    item.state = native.states[numbers[at + STATE]];
  }
  if (kind === "gap") Object.assign(item, { first: numbers[at + FIRST], last: numbers[at + LAST] });
  if (numbers[at + EVENT_KIND] >= 0)
    Object.assign(item, {
      position: numbers[at + POSITION],
      timeMs: numbers[at + TIME],
      seq: numbers[at + EVENT_SEQ],
    });
  Object.assign(item, more, { life });
  if (more.database !== undefined && item.position === undefined) item.position = numbers[at + SEQ];
  return item;
}
