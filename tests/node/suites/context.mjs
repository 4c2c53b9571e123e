// SPDX-License-Identifier: Apache-2.0
// context: what stands where resumable-stream's tests import their package. Chunks are operations, too.
import { counted, operation } from "./operation.mjs";

const { createResumableStreamContext: create } = await import(
  `${process.env.SPONSON_NODE_PACKAGE}/resumable-stream.mjs`
);

const countedChunks = (makeStream) => () => {
  const reader = makeStream().getReader();
  const pull = async (controller) => {
    const { done, value } = await reader.read();
    await operation();
    if (done) controller.close();
    else controller.enqueue(value);
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
};

export function createResumableStreamContext(options) {
  const context = create(options);
  const names = ["resumableStream", "createNewResumableStream", "resumeExistingStream", "hasExistingStream"];
  const all = counted(context, names);
  const beginning =
    (name) =>
    (id, makeStream, ...rest) =>
      all[name](id, countedChunks(makeStream), ...rest);
  return {
    ...all,
    resumableStream: beginning("resumableStream"),
    createNewResumableStream: beginning("createNewResumableStream"),
  };
}
