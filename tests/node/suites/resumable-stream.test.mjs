// SPDX-License-Identifier: Apache-2.0
import { resumableStreamTests } from "../vendor/resumable-stream/src/__tests__/tests";

resumableStreamTests(() => ({ subscriber: undefined, publisher: undefined }), "redis");
