// SPDX-License-Identifier: Apache-2.0
// codes: the numbers that the addon returns, and the errors that they are.
import * as errors from "./errors.mjs";
import { native } from "./native.mjs";

const byCode = new Map(
  Object.values(errors).flatMap((each) => (each.code === undefined ? [] : [[each.code, each]])),
);
const byNumber = new Map(native.codes.map(({ name, number }) => [number, byCode.get(name)]));
const numberOf = (name) => native.codes.find((code) => code.name === name).number;

/** The numbers of the codes that are not failures here. */
export const OK = 0;
export const TIMEOUT = numberOf("SPN_E_TIMEOUT");
export const BACKPRESSURE = numberOf("SPN_E_BACKPRESSURE");
export const END = numberOf("SPN_E_END");
export const CLOSED = numberOf("SPN_E_CLOSED");

/** The name of a number, such as "SPN_E_CLOSED". */
export const codeOf = (number) => native.codes.find((code) => code.number === number)?.name;

/** The error of a number. */
export function errorOf(number, message, more) {
  const Class = byNumber.get(number) ?? errors.ProtocolError;
  return new Class(message || undefined, more);
}

/** Calls what throws the addon's errors, and throws them as their classes. */
export function attempt(call) {
  try {
    return call();
  } catch (error) {
    const Class = byCode.get(error.code);
    throw Class ? new Class(error.message) : error;
  }
}
