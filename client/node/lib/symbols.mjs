// SPDX-License-Identifier: Apache-2.0
/** Node 18 has it since 18.18. */
export const asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
