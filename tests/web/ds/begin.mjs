// SPDX-License-Identifier: Apache-2.0
// begin: the programs of a test of Durable Streams.

export const OPEN = ["--insecure-loopback", "--long-poll=100ms"];

/** The daemon and a gateway. Gives the gateway. */
export async function begin(stage, words = [], daemonWords = []) {
  await stage.startDaemon(daemonWords);
  return stage.startGateway([...OPEN, ...words]);
}

/** Kills all of them, and starts them again, the last one first. */
export async function restart(...programs) {
  for (const program of programs) await program.kill();
  for (const program of programs.reverse()) await program.start();
}
