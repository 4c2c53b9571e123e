// SPDX-License-Identifier: Apache-2.0
// Durable Streams against a model: requests that are drawn go to several streams through two gateways, while the daemon
// and both gateways are killed. Every answer, and every stream at the end, is as the model has it.
//
//   test_ds_model.mjs [REQUESTS [SEED]]: so many requests for each stream; 150 by default.
import { drawer, Model } from "./ds/model.mjs";
import { run } from "./stage.mjs";

const STREAMS = 4;
const count = Number(process.argv[2] ?? 150);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);

await run({
  async everyAnswerIsTheModels(stage) {
    console.log(`seed ${seed}`);
    await stage.startDaemon();
    for (let i = 0; i < 2; i += 1) await stage.startGateway(["--insecure-loopback", "--long-poll=100ms"]);
    const urls = (name) => stage.gateways.map(({ port }) => `http://127.0.0.1:${port}/v1/stream/${name}`);
    const models = Array.from({ length: STREAMS }, (_, i) => new Model(urls(`m/${i}`), seed + i));
    const sum = (name) => models.reduce((before, model) => before + model[name], 0);
    const draw = drawer(seed - 1);
    const victims = [stage.daemon, ...stage.gateways];
    let isOver = false;
    let kills = 0;
    const killing = (async () => {
      while (!isOver) {
        const victim = victims[Math.floor(draw() * victims.length)];
        const asked = sum("asked") + 1 + Math.floor(draw() * 40);
        while (!isOver && sum("asked") < asked) await new Promise((done) => setTimeout(done, 1));
        if (isOver) break;
        await victim.kill();
        await victim.start();
        kills += 1;
      }
    })();
    try {
      await Promise.all(models.map((model) => model.go(count)));
    } finally {
      isOver = true;
      for (const model of models) model.stops = true;
      await killing;
    }
    console.log(`${sum("asked")} requests, ${sum("lost")} answers lost, ${kills} kills`);
  },
});
