// SPDX-License-Identifier: Apache-2.0
// errors: a class for each code of sponson.h, made from the addon's list: SPN_E_BAD_ID is BadIdError.
import { native } from "./native.mjs";

/** What every error of Sponson is. `code` is the name in sponson.h. */
export class SponsonError extends Error {
  constructor(code, message, more) {
    super(message);
    this.code = code;
    Object.assign(this, more);
  }

  get name() {
    return this.constructor.name;
  }
}

/** An event with the same id and other content is in the log: this one is not. */
export class ConflictError extends SponsonError {
  constructor(more) {
    super("SPN_CONFLICT", "an event with this id and other content is stored", more);
  }
}

const classNameOf = (code) =>
  code.slice("SPN_E_".length).replace(/_?([A-Z])([A-Z]*)/g, (_, first, rest) => first + rest.toLowerCase()) +
  "Error";

const byNumber = new Map();
const byCode = new Map();
const classes = {};
for (const { name: code, number, text } of native.codes.slice(1)) {
  const name = classNameOf(code);
  const made = {
    [name]: class extends SponsonError {
      static code = code;
      constructor(message = text, more = undefined) {
        super(code, message, more);
      }
    },
  }[name];
  byNumber.set(number, made);
  byCode.set(code, made);
  classes[name] = made;
}

export const {
  NomemError,
  InvalidError,
  SystemError,
  TimeoutError,
  UnavailableError,
  BackpressureError,
  EndError,
  ForkedError,
  TooManyError,
  ProtocolError,
  VersionError,
  UnsupportedError,
  StaleTokenError,
  FencedError,
  DeniedError,
  BadSessionError,
  BadIdError,
  BadTypeError,
  BadDataError,
  EventTooLargeError,
  BadNoteError,
  BadReasonError,
  BadAttributesError,
  BadPrefixError,
  BadPositionError,
  UnknownSessionError,
  UnknownIdError,
  OtherLifeError,
  TrimmedError,
  ClosedError,
  DeletedError,
  LostError,
  ConditionError,
  DependentError,
  IoError,
  DiskFullError,
  CorruptError,
  NewerFormatError,
  InUseError,
  PathError,
  StoppingError,
  LimitError,
  QuotaFullError,
  GoneError,
  OlderFormatError,
} = classes;

/** The numbers of the codes that are not failures here. */
export const OK = 0;
export const TIMEOUT = native.codes.find(({ name }) => name === "SPN_E_TIMEOUT").number;
export const BACKPRESSURE = native.codes.find(({ name }) => name === "SPN_E_BACKPRESSURE").number;
export const END = native.codes.find(({ name }) => name === "SPN_E_END").number;
export const CLOSED = native.codes.find(({ name }) => name === "SPN_E_CLOSED").number;

/** The name of a number, such as "SPN_E_CLOSED". */
export const codeOf = (number) => native.codes.find((code) => code.number === number)?.name;

/** The error of a number. */
export function errorOf(number, message, more) {
  const Class = byNumber.get(number) ?? ProtocolError;
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
