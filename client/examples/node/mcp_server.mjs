// SPDX-License-Identifier: Apache-2.0
// An MCP server with a tool that takes its time. A client that is cut off gets the rest of the call when it comes back.
//   npm install ./sponson-0.1.0.tgz @modelcontextprotocol/sdk zod; PORT=8080 node mcp_server.mjs
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { SponsonEventStore } from "sponson/mcp";
import { z } from "zod";

const transports = new Map(); // by MCP session

async function count({ to, intervalMs }, { sendNotification }) {
  for (let number = 1; number <= to; number++) {
    await sendNotification({ method: "notifications/message", params: { level: "info", data: number } });
    await new Promise((done) => setTimeout(done, intervalMs));
  }
  return { content: [{ type: "text", text: `counted to ${to}` }] };
}

/** A transport for a client that is new. Its events are in a store of its own. */
async function openTransport() {
  const session = randomUUID();
  const eventStore = new SponsonEventStore({ session });
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => session,
    eventStore,
    retryInterval: 100, // when a client comes back, in milliseconds
    onsessioninitialized: () => void transports.set(session, transport),
    onsessionclosed: () => eventStore.delete(),
  });
  transport.onclose = () => transports.delete(session);
  const server = new McpServer({ name: "counter", version: "1.0.0" }, { capabilities: { logging: {} } });
  const inputSchema = { to: z.number().int().max(1000), intervalMs: z.number() };
  server.registerTool("count", { description: "Counts, and says each number.", inputSchema }, count);
  await server.connect(transport);
  return transport;
}

const server = createServer(async (request, response) => {
  const session = request.headers["mcp-session-id"];
  const transport = session === undefined ? await openTransport() : transports.get(session);
  if (transport === undefined) return response.writeHead(404).end();
  await transport.handleRequest(request, response);
});
server.listen(process.env.PORT ?? 8080);
