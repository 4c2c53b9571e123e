// SPDX-License-Identifier: Apache-2.0
// arguments: what apps pass in, checked for its shape. The addon checks each value, with its name.
import { isUint8Array } from "node:util/types";
import { native } from "./native.mjs";

export function checkObject(value, name) {
  if (typeof value !== "object" || value === null) throw new TypeError(`${name} must be an object`);
  return value;
}

export function checkText(value, name) {
  if (typeof value !== "string" && !isUint8Array(value))
    throw new TypeError(`${name} must be a string or a Uint8Array`);
  return value;
}

export function checkMs(value, name) {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number`);
  if (!(value >= 0)) throw new RangeError(`${name} must not be negative`);
  return value;
}

function oneOf(value, name, names) {
  const number = names.indexOf(value);
  if (number < 0) throw new TypeError(`${name} must be one of ${names.join(", ")}`);
  return number;
}

export const checkLevel = (level) =>
  level === undefined ? undefined : oneOf(level, "level", ["none", "accepted", "durable"]);

const eventKinds = [];
eventKinds[native.EVENT] = "event";
eventKinds[native.MARKER] = "marker";
eventKinds[native.RESET] = "reset";
export const checkEventKind = (kind) => (kind === undefined ? undefined : oneOf(kind, "kind", eventKinds));

/** The conditions of an entry, for the addon; undefined if there are none. */
export function conditionsOf({ ifNew, ifSeq, life, closes, reason }) {
  if (
    ifNew === undefined &&
    ifSeq === undefined &&
    life === undefined &&
    closes === undefined &&
    reason === undefined
  )
    return undefined;
  return { ifNew, ifSeq, life, closes, reason };
}

export function attributesOf(attributes) {
  const { ttlMs, idleCloseMs, contentType, note } = checkObject(attributes, "attributes");
  return { ttlMs, idleCloseMs, contentType, note };
}

const cursorPattern = /^spn:([0-9a-f]{32}):(\d{1,16})$/;

/** {life, seq} of a cursor's text, or of an object that has both. */
function cursorOf(cursor) {
  if (typeof cursor === "object" && cursor !== null) return { life: cursor.life, number: cursor.seq };
  const match = typeof cursor === "string" && cursorPattern.exec(cursor);
  if (!match) throw new TypeError("cursor must be an event, or the text of a cursor");
  return { life: match[1], number: Number(match[2]) };
}

const otherwiseBits = { fail: 0, restart: native.RESTART, wait: native.WAIT };

function otherwiseOf(otherwise) {
  if (otherwise === undefined) return 0;
  let bits = 0;
  for (const word of Array.isArray(otherwise) ? otherwise : [otherwise]) {
    if (!Object.hasOwn(otherwiseBits, word))
      throw new TypeError("otherwise must be fail, restart or wait, or an array of these");
    bits |= otherwiseBits[word];
  }
  return bits;
}

const isGiven = (value) => value !== undefined && value !== null && value.length !== 0;

/** Where a session is read from. Without an `after`, or with an empty one, it is the beginning. */
export function startOf({ after, cursor, from, otherwise, windowBytes }) {
  if (isGiven(after) + (cursor !== undefined) + (from !== undefined) > 1)
    throw new TypeError("only one of after, cursor and from may be given");
  const common = { otherwise: otherwiseOf(otherwise), windowBytes };
  if (isGiven(after)) return { ...common, start: native.AFTER_ID, after: checkText(after, "after") };
  if (cursor !== undefined) return { ...common, start: native.AFTER_SEQ, ...cursorOf(cursor) };
  if (from !== undefined && oneOf(from, "from", ["earliest", "now"]) === 1) return { ...common, start: native.NOW };
  return { ...common, start: native.EARLIEST };
}

/** Where the log is followed from: an item of it, or its {database, position}. */
export function followStartOf({ after, from, prefix, touches, windowBytes }) {
  if (after !== undefined && from !== undefined) throw new TypeError("only one of after and from may be given");
  const common = { prefix, touches, windowBytes };
  if (after !== undefined) {
    const { database, position } = checkObject(after, "after");
    if (typeof position !== "number") throw new TypeError("after must have a database and a position");
    return { ...common, start: native.AFTER_POSITION, life: database, number: position };
  }
  if (from !== undefined && oneOf(from, "from", ["earliest", "now"]) === 1) return { ...common, start: native.NOW };
  return { ...common, start: native.EARLIEST };
}
