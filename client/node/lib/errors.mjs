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

const classes = {};
for (const { name: code, text } of native.codes.slice(1)) {
  const name = classNameOf(code);
  const made = {
    [name]: class extends SponsonError {
      static code = code;
      constructor(message = text, more = undefined) {
        super(code, message, more);
      }
    },
  }[name];
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
