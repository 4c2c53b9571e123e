// SPDX-License-Identifier: Apache-2.0
// sidecar/http/openapi.yaml says what the gateway does: it is valid; each path and method is there and no other;
// the parameters, headers and codes are those of the gateway's sources; answers are as their schemas say.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { needModule, run } from "./stage.mjs";

const HTTP = new URL("../../sidecar/http/", import.meta.url);
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
// No parameters of their own: HTTP's, and the token's, which is a security scheme.
const PLAIN_HEADERS = ["Accept", "Authorization", "Cache-Control", "Content-Type"];

const yaml = await needModule("yaml");
const { Validator } = await needModule("@seriousme/openapi-schema-validator");
const { default: Ajv } = await needModule("ajv/dist/2020.js");

const text = readFileSync(new URL("openapi.yaml", HTTP), "utf8");
const api = yaml.parse(text);

function source(name) {
  return readFileSync(new URL(name, HTTP), "utf8");
}

function resolve(value) {
  return value.$ref
    ? value.$ref
        .slice(2)
        .split("/")
        .reduce((at, key) => at[key], api)
    : value;
}

/** The rows of an X macro of a header: the arguments of each X. */
function rows(file, macro) {
  const body = source(file).match(new RegExp(`#define ${macro}\\(X\\)([^]*?[^\\\\])\\n`))[1];
  const found = [...body.matchAll(/X\(([^)]*)\)/g)].map((row) =>
    row[1].split(",").map((one) => one.trim().replaceAll('"', "")),
  );
  assert.ok(found.length > 0, macro);
  return found;
}

const operations = Object.entries(api.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method.toLowerCase()]).map((method) => ({
    path,
    method,
    is: item[method.toLowerCase()],
  })),
);
const parameters = operations.flatMap(({ is }) => (is.parameters ?? []).map(resolve));

function named(kind) {
  return new Map(parameters.filter((one) => one.in === kind).map((one) => [one.name, one]));
}

// Formats are words for people, except that a date is one.
const ajv = new Ajv({ strict: false, validateFormats: false });
ajv.addSchema({ $id: "api", ...api });

function check(name, value) {
  const validate = ajv.getSchema(`api#/components/schemas/${name}`);
  assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors)} ${JSON.stringify(value)}`);
}

async function ask(stage, method, path, headers = {}, body = undefined) {
  const answer = await fetch(stage.url(path), { method, headers, body, redirect: "manual" });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

/** Every answer to a request is one that the file has, with headers that it has. */
function checkAnswer(path, method, answer) {
  const { is } = operations.find((one) => one.path === path && one.method === method);
  const told = is.responses[answer.status] ?? is.responses.default;
  assert.ok(told, `${method} ${path} answers ${answer.status}, which is not there`);
  const response = resolve(told);
  for (const [, name] of rows("names.h", "NAMES_EXPOSED_MAP"))
    if (answer.headers.has(name))
      assert.ok(response.headers?.[name], `${method} ${path} ${answer.status}: ${name} is not there`);
  const type = answer.headers.get("Content-Type")?.split(";")[0];
  if (type && answer.text)
    assert.ok(response.content?.[type], `${method} ${path} ${answer.status}: ${type} is not there`);
  if (type === "application/problem+json" && answer.text) check("Problem", JSON.parse(answer.text));
  return answer;
}

await run({
  async theFileIsValid() {
    const found = await new Validator().validate(text);
    assert.ok(found.valid, JSON.stringify(found.errors));
  },

  async parametersAreThoseOfTheGateway(stage) {
    await stage.startGateway(["--insecure-loopback", "--verdict-wait=10ms", "--wait-unknown=10ms"]);
    const query = named("query");
    const choices = rows("query.h", "QUERY_CHOICE_MAP");
    const values = [...source("query.c").matchAll(/\{"(\w+)", take_\w+\}/g)].map((row) => row[1]);
    assert.ok(values.length > 5);
    assert.deepEqual([...query.keys()].sort(), [...choices.map(([, key]) => key), ...values].sort());
    for (const [, key, allowed] of choices)
      assert.deepEqual(
        query.get(key).schema.enum,
        allowed.split(" ").map((value) => (value === "-" ? "" : value)),
        key,
      );
    const allowed = rows("names.h", "NAMES_ALLOWED_MAP").map(([, name]) => name);
    assert.deepEqual([...named("header").keys(), ...PLAIN_HEADERS].sort(), allowed.sort());
    const told = new Set(
      operations.flatMap(({ is }) =>
        Object.values(is.responses).flatMap((one) => Object.keys(resolve(one).headers ?? {})),
      ),
    );
    for (const [, name] of rows("names.h", "NAMES_EXPOSED_MAP"))
      assert.ok(told.has(name) || name === "Location", name);
    const { limit } = api.components.parameters;
    assert.equal((await ask(stage, "GET", `/v1/sessions?limit=${limit.schema.maximum + 1}`)).status, 400);
  },

  async pathsAndMethodsAreThoseOfTheGateway(stage) {
    await stage.startDaemon();
    await stage.startGateway([
      "--insecure-loopback",
      "--verdict-wait=10ms",
      "--wait-unknown=10ms",
      "--admin-listen=127.0.0.1:0",
    ]);
    const admin = stage.log().match(/url=http:\/\/127.0.0.1:(\d+)/)[1];
    for (const [, path] of rows("target.h", "TARGET_ROUTE_MAP")) {
      const told = api.paths[path.endsWith("/") && path !== "/" ? `${path}{name}` : path];
      if (!told) {
        assert.equal((await ask(stage, "GET", `${path}a`)).status, 404, path);
        continue;
      }
      for (const method of METHODS) {
        const isAdmin = told.get.tags?.[0] === "admin";
        const name = path.endsWith("/") && path !== "/" ? "a?wait=0" : "";
        const url = `http://127.0.0.1:${isAdmin ? admin : stage.gateways[0].port}${path}${name}`;
        const given = await fetch(url, {
          method,
          redirect: "manual",
          headers: { Accept: path === "/v1/events" ? "text/event-stream" : "*/*" },
        });
        await given.body?.cancel();
        assert.equal(
          given.status !== 405,
          told[method.toLowerCase()] !== undefined,
          `${method} ${path}: ${given.status}`,
        );
      }
    }
  },

  async answersAreAsTheFileSays(stage) {
    await stage.startDaemon();
    await stage.startGateway(["--insecure-loopback", "--verdict-wait=10ms", "--wait-unknown=10ms"]);
    const session = "/v1/sessions/{name}";
    const json = { "Content-Type": "application/json" };
    const published = [
      [{ "Event-Id": "1", "Event-Type": "t" }, "one"],
      [{ "Event-Id": "1", "Event-Type": "t" }, "one"],
      [{ "Event-Id": "1" }, "another"],
      [json, JSON.stringify([{ data: "two" }, { data: "x", id: "\u00e4", retry: 5 }])],
      [{ "Content-Type": "text/event-stream" }, "id: 9\n\ndata: three\n\nid\nretry: 7\n\n"],
      [{ "Sponson-If-Seq": "1" }, "late"],
      [json, JSON.stringify({ date: "x" })],
      [{ "Stream-Closed": "true" }, undefined],
      [{}, "after"],
    ];
    const statuses = new Set();
    for (const [headers, body] of published) {
      const answer = checkAnswer(session, "POST", await ask(stage, "POST", "/v1/sessions/s", headers, body));
      statuses.add(answer.status);
      if (answer.status === 200) check("Published", JSON.parse(answer.text));
    }
    assert.deepEqual([...statuses].sort(), [200, 204, 400, 409, 412]);
    const attributes = { ttl_ms: 600000, idle_close_ms: 60000, content_type: "a/b", note: "n" };
    check("Attributes", attributes);
    for (const [method, status] of [
      ["PUT", 201],
      ["PUT", 200],
      ["PATCH", 200],
      ["HEAD", 200],
      ["DELETE", 204],
      ["HEAD", 404],
    ]) {
      const body = ["PUT", "PATCH"].includes(method) ? JSON.stringify(attributes) : undefined;
      const answer = checkAnswer(session, method, await ask(stage, method, "/v1/sessions/p", json, body));
      assert.equal(answer.status, status, method);
    }
    const page = checkAnswer(
      session,
      "GET",
      await ask(stage, "GET", "/v1/sessions/s", { Accept: "application/json" }),
    );
    check("Page", JSON.parse(page.text));
    assert.equal(JSON.parse(page.text).closed, true);
    const lines = checkAnswer(
      session,
      "GET",
      await ask(stage, "GET", "/v1/sessions/s", { Accept: "application/x-ndjson" }),
    );
    const items = lines.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    items.slice(0, -1).forEach((item) => check("Event", item));
    checkAnswer(session, "GET", await ask(stage, "GET", "/v1/sessions/s", { Accept: "text/event-stream" }));
    checkAnswer(session, "GET", await ask(stage, "GET", "/v1/sessions/none?wait=0"));
    const list = checkAnswer("/v1/sessions", "GET", await ask(stage, "GET", "/v1/sessions"));
    JSON.parse(list.text).sessions.forEach((one) => check("Session", one));
    const all = checkAnswer("/v1/events", "GET", await ask(stage, "GET", "/v1/events?until=caught-up"));
    const blocks = [...all.text.matchAll(/(^event: sponson-\w+\n)?^data: (.*)$/gm)];
    const told = blocks.filter((one) => one[1]);
    assert.ok(told.length === 1 && blocks.length > 8, all.text); // a gap, since a session was deleted
    for (const [, own, data] of blocks) check(own ? "Told" : "LogItem", JSON.parse(data));
    checkAnswer("/problems", "GET", await ask(stage, "GET", "/problems"));
  },

  async answersOfStreamsAreAsTheFileSays(stage) {
    await stage.startDaemon();
    await stage.startGateway(["--insecure-loopback", "--long-poll=10ms"]);
    const stream = "/v1/stream/{name}";
    const json = { "Content-Type": "application/json" };
    const producer = (epoch, seq) => ({
      ...json,
      "Producer-Id": "p",
      "Producer-Epoch": String(epoch),
      "Producer-Seq": String(seq),
    });
    const requests = [
      ["POST", "", json, "1", 404],
      ["PUT", "", { ...json, "Stream-TTL": "60" }, "[0]", 201],
      ["PUT", "", { ...json, "Stream-TTL": "60" }, undefined, 200],
      ["PUT", "", json, undefined, 409],
      ["HEAD", "", {}, undefined, 200],
      ["POST", "", json, "{}", 204],
      ["POST", "", json, "{", 400],
      ["POST", "", producer(1, 0), "1", 200],
      ["POST", "", producer(1, 0), "1", 204],
      ["POST", "", producer(1, 2), "1", 409],
      ["POST", "", producer(0, 0), "1", 403],
      ["GET", "", {}, undefined, 200],
      ["GET", "?offset=now&live=long-poll", {}, undefined, 204],
      ["GET", "?offset=x", {}, undefined, 400],
      ["POST", "", { "Stream-Closed": "true" }, undefined, 204],
      ["POST", "", json, "1", 409],
      ["GET", "?offset=-1&live=sse", {}, undefined, 200],
      ["GET", "", { "If-None-Match": "*" }, undefined, 304],
      ["DELETE", "", {}, undefined, 204],
      ["DELETE", "", {}, undefined, 404],
      ["HEAD", "", {}, undefined, 404],
    ];
    const { "*/*": any } = api.paths[stream].get.responses["200"].content;
    api.paths[stream].get.responses["200"].content["application/json"] = any; // the type is the stream's
    for (const [method, query, headers, body, status] of requests) {
      const answer = checkAnswer(stream, method, await ask(stage, method, `/v1/stream/s${query}`, headers, body));
      assert.equal(answer.status, status, `${method} ${query} ${JSON.stringify(headers)}`);
    }
  },
});
