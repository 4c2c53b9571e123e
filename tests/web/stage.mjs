// SPDX-License-Identifier: Apache-2.0
// stage: a directory with the real daemon and the real gateway in it, for one test.
//
//   const stage = await Stage.open();
//   await stage.startDaemon();
//   const gateway = await stage.startGateway(["--insecure-loopback"]);
//   ... stage.url("/v1/sessions/a") ...
//   await gateway.kill(); await gateway.start();
//   await stage.close();
//
// The gateway's socket is held open by hold.py, so that a peer that comes while no gateway runs waits.
// Owns    the directory, the processes: all are ended by close, also when the test fails.
// Errors  what does not come within WAIT_MS throws; the logs are printed then.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const WAIT_MS = 30_000;
const HERE = dirname(fileURLToPath(import.meta.url));

/** Ends the test as one that was skipped for want of something. */
export function skip(words) {
  console.log(`skipped: ${words}`);
  process.exit(77);
}

/** The path of a program; skips the test if it is not installed. */
export function need(name) {
  const found = spawnSync("sh", ["-c", `command -v ${name}`], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  if (found.status !== 0) skip(`${name} is not installed`);
  return found.stdout.toString().trim();
}

/** A module of npm; skips the test if `npm ci --ignore-scripts` was not run here. */
export async function needModule(name) {
  if (!existsSync(join(HERE, "node_modules")))
    skip("npm's packages are not installed (npm ci --ignore-scripts in tests/web)");
  return import(name);
}

/** For a pace; nobody waits for something with it. */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until check() gives something true, and returns that. It is asked again after every wake. */
export async function until(words, check, ms = WAIT_MS) {
  const due = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > due) throw new Error(`not in time: ${words}`);
    await pause(5);
  }
}

/** The promise's value; fails if it does not come within WAIT_MS. */
export function inTime(words, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`not in time: ${words}`)), WAIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A TCP port that nobody uses, below those that the system gives out by itself. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise((done) => {
      server.on("error", () => done(false)).listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

/** A server of the test, of HTTP or of TCP, listens on a port of its own until the stage ends. Gives the port. */
export async function listen(stage, server) {
  const peers = new Set();
  server.on("connection", (peer) => peers.add(peer.on("close", () => peers.delete(peer))));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.programs.push({
    close: async () => {
      for (const peer of peers) peer.destroy();
      await new Promise((done) => server.close(done));
    },
  });
  return server.address().port;
}

/** A server of HTTP. Gives its port. */
export const serve = (stage, answer) => listen(stage, http.createServer(answer));

/** A program that is started, killed and started again with the same words. */
export class Program {
  constructor(path, words, log) {
    Object.assign(this, { path, words, log, child: null });
  }

  /** Starts it and waits until it says that it is ready. */
  async start() {
    const log = openSync(this.log, "a");
    const child = spawn(this.path, [...this.words, "--ready-fd=3"], { stdio: ["ignore", log, log, "pipe"] });
    closeSync(log);
    this.child = child;
    this.ended = once(child, "exit");
    const first = await inTime(`${this.path} is ready`, Promise.race([once(child.stdio[3], "data"), this.ended]));
    if (!(first[0] instanceof Buffer)) throw new Error(`${this.path} ended: ${first}`);
    child.stdio[3].destroy();
  }

  get pid() {
    return this.child.pid;
  }

  /** Sends a signal and waits until the process is gone. */
  async kill(signal = "SIGKILL") {
    this.child.kill(signal);
    return inTime(`${this.path} ends`, this.ended);
  }

  async close() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) await this.kill();
  }
}

/** A program whose listening socket stays while it comes and goes: see hold.py. */
export class HeldProgram {
  constructor(address, path, words, log) {
    Object.assign(this, { path, pid: 0, waiters: [] });
    const fd = openSync(log, "a");
    this.holder = spawn("python3", [join(HERE, "hold.py"), String(address), path, ...words], {
      stdio: ["pipe", "pipe", fd],
    });
    closeSync(fd);
    this.gone = once(this.holder, "exit");
    createInterface({ input: this.holder.stdout }).on("line", (line) => this.take(line.split(" ")));
    this.listening = this.news("port", "path");
  }

  take(words) {
    for (const waiter of this.waiters.filter((each) => each.kinds.includes(words[0]))) waiter.done(words);
    this.waiters = this.waiters.filter((each) => !each.kinds.includes(words[0]));
  }

  news(...kinds) {
    return inTime(`${this.path}: ${kinds}`, new Promise((done) => this.waiters.push({ kinds, done })));
  }

  async start() {
    const news = this.news("ready", "ended");
    this.holder.stdin.write("start\n");
    const [kind, value] = await news;
    if (kind !== "ready") throw new Error(`${this.path} ended: ${value}`);
    this.pid = Number(value);
    this.ended = new Promise((done) => this.waiters.push({ kinds: ["ended"], done }));
  }

  async kill(signal = "SIGKILL") {
    process.kill(this.pid, signal);
    const [, status] = await inTime(`${this.path} ends`, this.ended);
    return Number(status);
  }

  async close() {
    this.holder.stdin.end();
    await inTime("hold.py ends", this.gone);
  }
}

export class Stage {
  /** bin: where sponsond, sponson and sponson-http are; $SPONSON_BIN by default. */
  static async open(bin = process.env.SPONSON_BIN) {
    if (!bin) throw new Error("SPONSON_BIN names no directory of programs");
    const stage = new Stage();
    Object.assign(stage, { bin, directory: mkdtempSync(join(tmpdir(), "spn-web-")), programs: [], gateways: [] });
    mkdirSync(stage.path("data"));
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => stage.fail(error));
    return stage;
  }

  path(name) {
    return join(this.directory, name);
  }

  /** The URL of a path of a gateway on TCP. */
  url(path, gateway = this.gateways[0]) {
    return `http://127.0.0.1:${gateway.port}${path}`;
  }

  get socketWords() {
    return ["--socket-dir", this.directory];
  }

  async startDaemon(words = []) {
    this.daemon = new Program(
      join(this.bin, "sponsond"),
      ["--data-dir", this.path("data"), ...this.socketWords, ...words],
      this.path("log"),
    );
    this.programs.push(this.daemon);
    await this.daemon.start();
    return this.daemon;
  }

  /** A gateway on a port of its own (its `port`), or on a Unix socket. */
  async startGateway(words = [], address = 0) {
    const gateway = new HeldProgram(
      address,
      join(this.bin, "sponson-http"),
      [...this.socketWords, ...words],
      this.path("log"),
    );
    this.programs.push(gateway);
    this.gateways.push(gateway);
    gateway.port = Number((await gateway.listening)[1]);
    await gateway.start();
    return gateway;
  }

  /** A gateway that opens its sockets itself, as it runs without systemd: peers are refused while it is gone. Its
   *  Unix socket is `socket`. */
  async startPlainGateway(words = []) {
    const socket = this.path("http.sock");
    const all = [...this.socketWords, "--socket", socket, ...words];
    const gateway = new Program(join(this.bin, "sponson-http"), all, this.path("log"));
    this.programs.push(gateway);
    this.gateways.push(gateway);
    await gateway.start();
    return Object.assign(gateway, { socket });
  }

  /** Another program that is ended with the stage: nginx, caddy. */
  spawn(path, words, options = {}) {
    const log = openSync(this.path("log"), "a");
    const child = spawn(path, words, { stdio: ["ignore", log, log], cwd: this.directory, ...options });
    closeSync(log);
    const ended = once(child, "exit");
    this.programs.push({
      close: async () => {
        child.kill("SIGTERM");
        await inTime(`${path} ends`, ended);
      },
    });
    return child;
  }

  log() {
    return existsSync(this.path("log")) ? readFileSync(this.path("log"), "utf8") : "";
  }

  /** Prints what went wrong, and what the programs said last. */
  report(error) {
    console.error(error);
    console.error(this.log().split("\n").slice(-40).join("\n"));
    process.exitCode = 1;
  }

  fail(error) {
    this.report(error);
    this.close().finally(() => process.exit(1));
  }

  async close() {
    for (const program of this.programs.splice(0).reverse()) await program.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs a test's parts one after the other, each on a stage of its own. */
export async function run(parts) {
  for (const [name, part] of Object.entries(parts)) {
    const stage = await Stage.open();
    try {
      await part(stage);
      console.log(`ok - ${name}`);
    } catch (error) {
      console.log(`not ok - ${name}`);
      stage.report(error);
    }
    await stage.close();
  }
}
