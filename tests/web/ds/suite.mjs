// SPDX-License-Identifier: Apache-2.0
// The public suite of Durable Streams, against the server of $DS_URL. Its command finds no tests, so it is called here.
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

runConformanceTests({ baseUrl: process.env.DS_URL, longPollTimeoutMs: 500, subscriptions: false });
