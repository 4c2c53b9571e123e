// SPDX-License-Identifier: Apache-2.0
// draws: numbers that are the same for the same seed.

/** A seeded draw (mulberry32): draw(count) gives a number from 0 up to count - 1. */
export function draws(state) {
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}
