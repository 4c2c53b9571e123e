// SPDX-License-Identifier: Apache-2.0
// For the suite alone: vitest looks nowhere else, and leaves nothing in the packages.
export default {
  cacheDir: process.env.DS_CACHE,
  test: { include: ["suite.mjs"], testTimeout: Number(process.env.DS_TEST_MS), hookTimeout: Number(process.env.DS_TEST_MS) },
};
