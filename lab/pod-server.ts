/**
 * The server in every pod: says who it is and whom it sees, over HTTP, TCP and UDP. A program of its own, with node: built-ins only,
 * because a lab starts one per pod.
 *
 *     GET  /            {"pod_name", "pod_ip", "host_name", "client_ip", "client_port"}
 *     GET  /bytes?n=N   N bytes
 *     POST /sink        the same JSON with the number of bytes received
 *     GET  /ready       200; 503 between POST /not-ready and POST /ready, which changes nothing else
 *     TCP               that JSON on a line at once, then everything sent comes back
 *     UDP               that JSON for every datagram, with the datagram as "data"
 *
 * Argument: {"pod_name", "host_name", "listen": [{"protocol": "HTTP"|"TCP"|"UDP", "port"}]}.
 */
import { createSocket } from "node:dgram";
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";

interface PodIdentity {
  readonly pod_name: string;
  readonly host_name: string;
  readonly listen: readonly { readonly protocol: "HTTP" | "TCP" | "UDP"; readonly port: number }[];
}

/** What a readiness probe is told. */
let ready = true;
const CHUNK = Buffer.alloc(64 * 1024, "fairlead ");
/** As much as the kernel lets an application ask for by default (net.core.somaxconn). */
const BACKLOG = 4096;
/** The first word of the line that says that every socket is open; the lab waits for it. */
export const LISTENING = "listening:";

if (import.meta.main) serve(JSON.parse(process.argv[2] ?? "{}") as PodIdentity);

function serve(identity: PodIdentity): void {
  let missing = identity.listen.length;
  const listening = (): void => {
    missing -= 1;
    if (missing === 0)
      process.stdout.write(
        `${LISTENING} ${identity.listen.map((each) => `${each.protocol} ${each.port}`).join(", ")}\n`,
      );
  };
  for (const { protocol, port } of identity.listen) {
    switch (protocol) {
      case "HTTP": {
        // One connection may be idle as long as the test that holds it open.
        const server = createHttpServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) =>
          answerHttp(identity, request, response),
        );
        server.listen({ port, host: "::", backlog: BACKLOG }, listening);
        break;
      }
      case "TCP":
        createTcpServer((socket) => answerTcp(identity, socket)).listen(
          { port, host: "::", backlog: BACKLOG },
          listening,
        );
        break;
      case "UDP":
        answerUdp(identity, port, listening);
        break;
    }
  }
}

function describe(
  identity: PodIdentity,
  podIp: string,
  clientIp: string,
  clientPort: number,
): Record<string, string | number> {
  return {
    pod_name: identity.pod_name,
    pod_ip: podIp,
    host_name: identity.host_name,
    client_ip: clientIp,
    client_port: clientPort,
  };
}

function describeSocket(identity: PodIdentity, socket: Socket): Record<string, string | number> {
  return describe(
    identity,
    plain(socket.localAddress ?? ""),
    plain(socket.remoteAddress ?? ""),
    socket.remotePort ?? 0,
  );
}

function answerHttp(identity: PodIdentity, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://pod");
  request.on("error", () => response.destroy());
  if (url.pathname === "/bytes") {
    sendBytes(response, Number(url.searchParams.get("n") ?? 0));
    return;
  }
  let received = 0;
  request.on("data", (chunk: Buffer) => (received += chunk.length));
  request.on("end", () => {
    if (request.method === "POST" && url.pathname.endsWith("ready")) ready = url.pathname === "/ready";
    const status = url.pathname === "/ready" && !ready ? 503 : 200;
    const body = { ...describeSocket(identity, request.socket), ...(url.pathname === "/sink" ? { received } : {}) };
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  });
}

function sendBytes(response: ServerResponse, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0) {
    response.writeHead(400).end();
    return;
  }
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": count });
  let left = count;
  const send = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= chunk.length;
      if (!response.write(chunk)) {
        response.once("drain", send);
        return;
      }
    }
    response.end();
  };
  send();
}

function answerTcp(identity: PodIdentity, socket: Socket): void {
  socket.on("error", () => socket.destroy());
  socket.write(`${JSON.stringify(describeSocket(identity, socket))}\n`);
  socket.pipe(socket);
}

function answerUdp(identity: PodIdentity, port: number, listening: () => void): void {
  const socket = createSocket("udp6");
  socket.on("message", (data, from) => {
    const clientIp = plain(from.address);
    const answer = {
      ...describe(identity, ownAddress(clientIp.includes(":") ? "IPv6" : "IPv4"), clientIp, from.port),
      data: data.toString("latin1"),
    };
    socket.send(JSON.stringify(answer), from.port, from.address);
  });
  socket.bind(port, "::", listening);
}

/** A UDP socket does not say which address it was reached at; a pod has one of each family. */
function ownAddress(family: "IPv4" | "IPv6"): string {
  const own = networkInterfaces()["eth0"]?.find((each) => each.family === family && !each.address.startsWith("fe80:"));
  return own?.address ?? "";
}

/** A socket bound to :: sees IPv4 clients as ::ffff:a.b.c.d. */
function plain(text: string): string {
  return text.startsWith("::ffff:") ? text.slice("::ffff:".length) : text;
}
