// SPDX-License-Identifier: Apache-2.0
// Durable Streams against a model: requests that are drawn go to several streams through two gateways, while the daemon
// and both gateways are killed. Every answer, and every stream at the end, is as the model has it.
//
//   test_ds_model.mjs [REQUESTS [SEED]]: so many requests for each stream; 150 by default.
import { begin, OPEN, restart } from "./ds/begin.mjs";
import { Model } from "./ds/model.mjs";
import { draws } from "./draws.mjs";
import { run } from "./stage.mjs";

const STREAMS = 4;
const count = Number(process.argv[2] ?? 150);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);

await run({
  async everyAnswerIsTheModels(stage) {
    console.log(`seed ${seed}`);
    await begin(stage);
    await stage.startGateway(OPEN);
    const urls = (name) => stage.gateways.map((gateway) => stage.url(`/v1/stream/${name}`, gateway));
    const models = Array.from({ length: STREAMS }, (_, i) => new Model(urls(`m/${i}`), seed + i));
    const sum = (name) => models.reduce((before, model) => before + model[name], 0);
    const draw = draws(seed - 1);
    const victims = [stage.daemon, ...stage.gateways];
    let isOver = false;
    let kills = 0;
    const killing = (async () => {
      while (!isOver) {
        const victim = victims[draw(victims.length)];
        const asked = sum("asked") + 1 + draw(40);
        while (!isOver && sum("asked") < asked) await new Promise((done) => setTimeout(done, 1));
        if (isOver) break;
        await restart(victim);
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
