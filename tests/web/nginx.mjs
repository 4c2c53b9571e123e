// SPDX-License-Identifier: Apache-2.0
// nginx: TLS and HTTP/2 in front of a gateway's Unix socket, as an app would run it.
// While there is no gateway it answers EventSources itself, or they would never come back.
// A test that imports this is skipped if there is no nginx or no openssl.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { EMPTY_PAGE } from "./browser.mjs";
import { freePort, need, until } from "./stage.mjs";

const [nginx, openssl] = [need("nginx"), need("openssl")];
const TEMPS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

function configuration(stage, port, socket) {
  return `
daemon off;
pid ${stage.path("nginx.pid")};
${process.getuid() === 0 ? "user root;" : ""}
events { worker_connections 1024; }
http {
  ${TEMPS.map((each) => `${each}_temp_path ${stage.path("temp")};`).join("\n  ")}
  log_format test '$connection $server_protocol $status $upstream_status $uri';
  access_log ${stage.path("access.log")} test;
  upstream gateway { server unix:${socket} max_fails=0; }
  map "$request_method $http_accept" $is_stream { "GET text/event-stream" 1; default 0; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${stage.path("tls.crt")};
    ssl_certificate_key ${stage.path("tls.key")};
    location / { default_type text/html; return 200 "${EMPTY_PAGE}"; }
    location /v1/ {
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 1h;
      proxy_request_buffering off;
      error_page 502 503 504 = @gone;
    }
    location @gone {
      if ($is_stream = 0) { return 502; }
      default_type text/event-stream;
      add_header Cache-Control no-store;
      return 200 "retry: 500\\n\\n";
    }
  }
}
`;
}

function answers(port) {
  return new Promise((done) => {
    const peer = connect(port, "127.0.0.1", () => {
      peer.destroy();
      done(true);
    });
    peer.on("error", () => done(false));
  });
}

/** Its port, and log(): one [connection, protocol, status, status of the gateway, path] for each answer. */
export async function openNginx(stage, socket) {
  const port = await freePort();
  const made = spawnSync(openssl, [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "1",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost",
    "-keyout",
    stage.path("tls.key"),
    "-out",
    stage.path("tls.crt"),
  ]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
  mkdirSync(stage.path("temp"));
  writeFileSync(stage.path("nginx.conf"), configuration(stage, port, socket));
  stage.spawn(nginx, ["-p", stage.directory, "-c", stage.path("nginx.conf"), "-e", stage.path("log")]);
  await until("nginx listens", () => answers(port));
  const log = () =>
    readFileSync(stage.path("access.log"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split(" "));
  return { port, log };
}
