// SPDX-License-Identifier: Apache-2.0
// recipes: the code blocks of sidecar/http/RECIPES.md, filled in and run: web servers, programs of Node.
//
// Owns    nothing but what the stage ends: web servers, apps, files in its directory.
// Errors  a heading, a block or a value that RECIPES.md does not have throws.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, inTime, need, skip, until } from "./stage.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const TEXT = readFileSync(join(HERE, "../../sidecar/http/RECIPES.md"), "utf8");

/** The code block in this language under the heading; several: the index says which. */
export function block(heading, language, index = 0) {
  const section = TEXT.split(/^## /m).find((each) => each.startsWith(`${heading}\n`));
  if (!section) throw new Error(`RECIPES.md has no ${heading}`);
  const found = [...section.matchAll(/^```(\S+)\n(.*?)^```$/gms)].filter((each) => each[1] === language)[index];
  if (!found) throw new Error(`RECIPES.md has no ${language} number ${index} under ${heading}`);
  return found[2];
}

/** The table of names: rows of [path, session, handed over by nginx, by Caddy]. */
export function namesTable() {
  const rows = [...TEXT.split("\n## Names of sessions\n")[1].split("\n## ")[0].matchAll(/^\| `.*$/gm)];
  if (rows.length < 15) throw new Error("RECIPES.md has no table of names");
  return rows.map(([row]) => row.slice(2, -2).split(" | ").map((cell) => cell.replaceAll("`", "")));
}

/** Replaces values of RECIPES.md's table. Each has to be there. */
export function fill(text, values) {
  for (const [value, by] of Object.entries(values)) {
    if (!text.includes(value)) throw new Error(`the recipe has no ${value}`);
    text = text.replaceAll(value, by);
  }
  return text;
}

function certificate(stage) {
  const paths = { pem: stage.path("app.pem"), key: stage.path("app.key") };
  const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", paths.key, "-out", paths.pem];
  if (spawnSync(need("openssl"), words).status !== 0) throw new Error("openssl made no certificate");
  return paths;
}

async function common(stage, socket, app) {
  const files = certificate(stage);
  const port = await freePort();
  const values = {
    "/run/sponson-http/http.sock": socket,
    "127.0.0.1:3000": `127.0.0.1:${app}`,
    "/etc/ssl/app.pem": files.pem,
    "/etc/ssl/app.key": files.key,
    "/var/log/app.log": stage.path("web.log"),
  };
  return { port, values, ca: readFileSync(files.pem) };
}

async function answers(server) {
  await until("the web server answers", async () => {
    try {
      await server.fetch("/is-it-up");
      return true;
    } catch {
      return false;
    }
  });
  return server;
}

/** Puts the second block, which is for signed URLs, before the end of the server that the first one ends with. */
function withKeys(heading, language, hasKeys) {
  const whole = block(heading, language);
  const end = whole.lastIndexOf("}");
  return hasKeys ? `${whole.slice(0, end)}${block(heading, language, 1)}${whole.slice(end)}` : whole;
}

/** Skips the test if there is no nginx for the recipe. Before there is a stage, which would stay. */
export function needNginx() {
  need("openssl");
  if (!spawnSync(need("nginx"), ["-V"]).stderr.includes("http_v2")) skip("nginx has no HTTP/2");
}

export function needCaddy() {
  need("openssl");
  need("caddy");
}

/** nginx with the recipe, before the gateway on this socket and the app on this port. connections: a file that
 *  gets a line for each answer: connection, protocol, status, status of the gateway, path. */
export async function startNginx(stage, { socket, app, hasKeys, connections }) {
  const { port, values, ca } = await common(stage, socket, app);
  const own = { "listen 443": `listen 127.0.0.1:${port}`, "app.example": "localhost" };
  own["/var/log/app.errors"] = stage.path("web.errors");
  if (connections) own[" without_query;"] = ` without_query;\n    access_log ${connections} connections;`;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(stage.path("app.conf"), fill(withKeys("nginx", "nginx", hasKeys), { ...values, ...own }));
  writeFileSync(stage.path("nginx.conf"), `
${process.getuid() === 0 ? "user root;" : ""}
daemon off;
pid ${stage.path("nginx.pid")};
error_log ${stage.path("web.main")} info;
events { worker_connections 1024; }
http {
  ${temporary.map((name) => `${name}_temp_path ${stage.path(name)};`).join("\n  ")}
  log_format connections '$connection $server_protocol $status $upstream_status $uri';
  include ${stage.path("app.conf")};
}
`);
  stage.spawn(need("nginx"), ["-p", stage.directory, "-c", stage.path("nginx.conf"), "-e", stage.path("web.main")]);
  return answers(new WebServer(stage, port, ca));
}

/** The same with Caddy. */
export async function startCaddy(stage, { socket, app, hasKeys }) {
  const { port, values, ca } = await common(stage, socket, app);
  const quiet = "{\n\tadmin off\n\tauto_https disable_redirects\n\tlog {";
  const own = { "app.example:443": `localhost:${port}`, "{\n\tlog {": quiet };
  writeFileSync(stage.path("Caddyfile"), fill(withKeys("Caddy", "caddyfile", hasKeys), { ...values, ...own }));
  const home = stage.path("caddy");
  const env = { ...process.env, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, HOME: home };
  stage.spawn(need("caddy"), ["run", "--config", stage.path("Caddyfile"), "--adapter", "caddyfile"], { env });
  return answers(new WebServer(stage, port, ca));
}

/** Speaks HTTP/2 to a web server, one connection for all requests, as a browser does. */
export class WebServer {
  constructor(stage, port, ca) {
    Object.assign(this, { port, ca, session: null });
    stage.programs.push({ close: async () => this.session?.destroy() });
  }

  connection() {
    if (!this.session || this.session.destroyed || this.session.closed) {
      this.session = connect(`https://localhost:${this.port}`, { ca: this.ca });
      this.session.on("error", () => {});
    }
    return this.session;
  }

  /** As the global fetch; url: a path, or any URL of this server. Never merges or resolves the path. */
  fetch(url, { method = "GET", headers = {}, body, signal } = {}) {
    const path = String(url).replace(/^https?:\/\/[^/]*/, "");
    const fields = { ":method": method, ":path": path, ...headers };
    const request = this.connection().request(fields, { endStream: body === undefined });
    signal?.addEventListener("abort", () => request.close());
    if (typeof body === "function") body(request);
    else if (body !== undefined) request.end(body);
    return new Promise((done, fail) => {
      request.on("error", fail);
      request.on("close", () => fail(new Error("closed without an answer")));
      request.on("response", (given) => done(answerOf(request, given)));
    });
  }
}

function answerOf(request, fields) {
  let over = false;
  const stream = new ReadableStream({
    start(controller) {
      const end = (error) => {
        if (over) return;
        over = true;
        if (error) controller.error(error);
        else controller.close();
      };
      request.on("data", (bytes) => over || controller.enqueue(bytes));
      request.on("end", () => end(request.rstCode ? new Error("cut") : null));
      request.on("error", end);
      request.on("aborted", () => end(new Error("cut")));
      request.on("close", () => end(new Error("cut")));
    },
    cancel() {
      over = true;
      request.close();
    },
  });
  const status = fields[":status"];
  const headers = Object.entries(fields).filter(([name]) => !name.startsWith(":"));
  return new Response(status === 204 ? null : stream, { status, headers });
}

/** The same fetch, whose event streams ask to come back soon: the gateway's 1 to 3 s would be most of a test. */
export function soon(fetch) {
  return async (url, init) => {
    const answer = await fetch(url, init);
    if (answer.headers.get("content-type") !== "text/event-stream") return answer;
    const hurry = new TransformStream({
      transform(bytes, controller) {
        const text = Buffer.from(bytes).toString("latin1").replace(/^retry: \d+$/m, "retry: 20");
        controller.enqueue(Buffer.from(text, "latin1"));
      },
    });
    const body = answer.body.pipeThrough(hurry);
    return Object.defineProperty(new Response(body, answer), "url", { value: answer.url });
  };
}

/** The blocks of an event stream, each as {id, event, data, retry}; ends with it. Each has to come in time. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  try {
    for (;;) {
      const { done, value } = await inTime("an event", reader.read());
      if (done) return;
      left += value;
      for (let end; (end = left.indexOf("\n\n")) >= 0; left = left.slice(end + 2)) {
        const fields = left.slice(0, end).split("\n").filter((line) => !line.startsWith(":"));
        yield Object.fromEntries(fields.map((line) => line.split(/: ?(.*)/s, 2)));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Files below the stage's directory that contain the text. */
export function filesWith(stage, text) {
  const found = [];
  const walk = (directory) => {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const status = statSync(path);
      if (status.isDirectory()) walk(path);
      else if (status.isFile() && readFileSync(path).includes(text)) found.push(path);
    }
  };
  walk(stage.directory);
  return found;
}

/** Imports code as a module in the stage's directory. It finds npm's packages and other such modules. */
export function load(stage, name, text) {
  if (!existsSync(stage.path("node_modules"))) symlinkSync(join(HERE, "node_modules"), stage.path("node_modules"));
  writeFileSync(stage.path(name), text);
  return import(stage.path(name));
}
