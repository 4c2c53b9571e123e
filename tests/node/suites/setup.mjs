// SPDX-License-Identifier: Apache-2.0
// What the suites expect of Node, and Node 18 does not have.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
