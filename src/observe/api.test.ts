import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  BadRequest,
  parseCount,
  requireSocket,
  serveApi,
  serveMetrics,
  type ApiHandlers,
  type DocumentProducers,
} from "./api.ts";
import type { DrainDocument, MonitorEvent } from "./status.ts";

const folder = mkdtempSync(join(tmpdir(), "fl-api-"));
const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true });
});

const event: MonitorEvent = {
  time: "2026-01-01T00:00:00.000Z",
  verdict: "forwarded",
  hook: "xdp",
  device: "eth0",
  protocol: "TCP",
  source: "192.0.2.1",
  sourcePort: 1,
  destination: "192.0.2.2",
  destinationPort: 2,
  length: 60,
  packet: "00",
};

interface Watching {
  sampling: { flows: number; drops: number } | undefined;
  emit: (event: MonitorEvent) => void;
  stopped: Promise<void>;
}

interface Capturing {
  peer: string | undefined;
  taken: boolean[];
  stopped: Promise<void>;
}

interface Served {
  path: string;
  watching: Watching;
  capturing: Capturing;
  errors: string[];
  changed: unknown[];
  handlers: ApiHandlers;
}

const drainOf = (draining: boolean): DrainDocument => ({
  node: "worker1",
  draining,
  bgp: "announcing",
  sessions: 1,
  routes: 2,
  pending: 0,
  layer2Addresses: 0,
});

async function serve(name: string): Promise<Served> {
  const path = join(folder, name);
  const stopped = Promise.withResolvers<void>();
  const watching: Watching = { sampling: undefined, emit: () => {}, stopped: stopped.promise };
  const captured = Promise.withResolvers<void>();
  const capturing: Capturing = { peer: undefined, taken: [], stopped: captured.promise };
  const errors: string[] = [];
  const changed: unknown[] = [];
  const fail = (): never => {
    throw new Error("the map is gone");
  };
  const documents: DocumentProducers = {
    "/v1/status": fail,
    "/v1/services": async function* () {},
    "/v1/explain": async (query) => {
      if (query.get("service") === undefined) throw new BadRequest("say which Service");
      return { service: query.get("service") ?? "", node: "worker1", reachable: true, steps: [] };
    },
    "/v1/nodes": () => [{ name: "worker1", state: "self" }],
    "/v1/pools": () => [],
    "/v1/drain": () => drainOf(false),
    "/v1/bgp/peers": () => [],
    "/v1/bgp/routes": () => [],
    "/v1/bgp/received": () => [],
    "/v1/bgp/bfd": async () => [],
    "/v1/bpf/lb": () => [],
    "/v1/bpf/ct": (query) => Array.from({ length: parseCount(query.get("limit") ?? "") ?? 7 }, () => ({}) as never),
    "/v1/bpf/backends": () => [],
    "/v1/bpf/announced": () => [],
    "/v1/bpf/drops": () => [],
  };
  const handlers: ApiHandlers = {
    documents,
    changes: {
      "/v1/drain": (body) => {
        changed.push(body);
        if (body === null) throw new BadRequest("send something");
        if (body === "full") throw new Error("no space left");
        return drainOf(true);
      },
    },
    metrics: async () => ({ contentType: "text/plain", text: "up 1\n" }),
    monitor: (sampling, emit) => {
      watching.sampling = sampling;
      watching.emit = emit;
      emit(event);
      return () => stopped.resolve();
    },
    bgpPcap: (peer, take) => {
      if (peer === "nobody") throw new BadRequest("there is no such peer");
      capturing.peer = peer;
      capturing.taken = [take(Buffer.from("head")), ...Array.from({ length: 12 }, () => take(new Uint8Array(1 << 20)))];
      return () => captured.resolve();
    },
    onError: (where, error) => void errors.push(`${where}: ${(error as Error).message}`),
  };
  servers.push(await serveApi(path, handlers));
  return { path, watching, capturing, errors, changed, handlers };
}

function ask(
  where: string | number,
  path: string,
  method = "GET",
  sent = "",
): Promise<{ status: number | undefined; body: string }> {
  const to = typeof where === "string" ? { socketPath: where } : { host: "127.0.0.1", port: where };
  return new Promise((resolve, reject) => {
    const asked = request({ ...to, path, method }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode, body }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(sent);
  });
}

const api = await serve("api.sock");

describe("the API", () => {
  test("answers a known path with its document", async () => {
    const { status, body } = await ask(api.path, "/v1/nodes");
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), [{ name: "worker1", state: "self" }]);
  });

  test("waits for a document that takes a look at the machine, and refuses a query that makes no sense", async () => {
    const { status, body } = await ask(api.path, "/v1/explain?service=default%2Fweb");
    assert.deepEqual([status, (JSON.parse(body) as { service: string }).service], [200, "default/web"]);
    const refused = await ask(api.path, "/v1/explain");
    assert.deepEqual([refused.status, JSON.parse(refused.body)], [400, { error: "say which Service" }]);
  });

  test("hands the query to the document", async () => {
    assert.equal((JSON.parse((await ask(api.path, "/v1/bpf/ct?limit=3&x=%zz")).body) as unknown[]).length, 3);
    assert.equal((JSON.parse((await ask(api.path, "/v1/bpf/ct?limit=-3")).body) as unknown[]).length, 7);
  });

  test("serves the metrics as text", async () =>
    assert.deepEqual(await ask(api.path, "/metrics"), { status: 200, body: "up 1\n" }));

  for (const path of [
    "/",
    "/v1",
    "/v1/nodes/",
    "/v1/nodesx",
    "/v2/nodes",
    "/constructor",
    "/__proto__",
    "//v1/nodes",
    "/v1/%6eodes",
  ]) {
    test(`answers 404 for ${path} and says what there is`, async () => {
      const { status, body } = await ask(api.path, path);
      assert.equal(status, 404);
      assert.match(
        (JSON.parse(body) as { error: string }).error,
        /^nothing at .*: there are \/v1\/status, .*\/metrics$/,
      );
    });
  }

  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    test(`refuses ${method}: nothing can be changed here`, async () =>
      assert.equal((await ask(api.path, "/v1/nodes", method)).status, 405));
  }

  test("a POST to what may be changed is handed its body, and answers with the document", async () => {
    const { path, changed, errors } = await serve("changes.sock");
    const { status, body } = await ask(path, "/v1/drain", "POST", '{"draining":true}');
    assert.deepEqual([status, JSON.parse(body)], [200, drainOf(true)]);
    assert.equal((await ask(path, "/v1/drain", "POST", "null")).status, 400);
    assert.equal((await ask(path, "/v1/drain", "POST", '"full"')).status, 500);
    assert.deepEqual(errors, ["/v1/drain: no space left"]);
    assert.deepEqual(changed, [{ draining: true }, null, "full"]);
  });

  test("a body that is too long, or no JSON, changes nothing", async () => {
    const { path, changed } = await serve("bodies.sock");
    for (const [body, status] of [
      ['"'.padEnd(1024, "x") + '"', 413],
      ["x".repeat(60_000), 413],
      ["", 400],
      ["{", 400],
    ] as const)
      assert.equal((await ask(path, "/v1/drain", "POST", body)).status, status);
    assert.deepEqual(changed, []);
  });

  test("the port of the metrics changes nothing, whatever is sent to it", async () => {
    const { handlers, changed } = await serve("tcp.sock");
    const server = await serveMetrics({ host: "127.0.0.1", port: 0 }, handlers);
    servers.push(server);
    const { port } = server.address() as { port: number };
    assert.equal((await ask(port, "/v1/drain", "POST", '{"draining":true}')).status, 404);
    assert.equal((await ask(port, "/metrics", "POST", '{"draining":true}')).status, 405);
    assert.equal((await ask(port, "/metrics")).status, 200);
    assert.deepEqual(changed, []);
  });

  test("a document that cannot be made is a 500 with the reason, and is logged", async () => {
    const { status, body } = await ask(api.path, "/v1/status");
    assert.equal(status, 500);
    assert.deepEqual(JSON.parse(body), { error: "the map is gone" });
    assert.deepEqual(api.errors, ["/v1/status: the map is gone"]);
  });

  for (const query of ["flows=x", "flows=-1", "flows=1.5", "drops=4294967296", "drops="]) {
    test(`the monitor refuses ${query}`, async () =>
      assert.equal((await ask(api.path, `/v1/monitor?${query}`)).status, 400));
  }

  test("the monitor sends one event a line until the reader leaves, and then stops sampling", async () => {
    const { path, watching } = await serve("monitor.sock");
    const lines = await new Promise<string>((resolve, reject) => {
      const asked = request({ socketPath: path, path: "/v1/monitor?flows=100" }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.split("\n").length < 3) return watching.emit({ ...event, verdict: "drop_no_route" });
          asked.destroy();
          return resolve(text);
        });
        response.on("error", () => {});
      });
      asked.on("error", reject);
      asked.end();
    });
    assert.deepEqual(watching.sampling, { flows: 100, drops: 1 });
    assert.deepEqual(
      lines
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as MonitorEvent).verdict),
      ["forwarded", "drop_no_route"],
    );
    await watching.stopped;
  });
});

describe("a capture of BGP", () => {
  test("is a file until the reader leaves; one that reads too slowly misses pieces, and memory stays bounded", async () => {
    const { path, capturing } = await serve("pcap.sock");
    const first = await new Promise<Buffer>((resolve, reject) => {
      const asked = request({ socketPath: path, path: "/v1/bgp/pcap?peer=tor" }, (response) => {
        assert.equal(response.headers["content-type"], "application/vnd.tcpdump.pcap");
        response.once("data", (chunk: Buffer) => {
          asked.destroy();
          resolve(chunk);
        });
        response.on("error", () => {});
      });
      asked.on("error", reject);
      asked.end();
    });
    assert.equal(first.subarray(0, 4).toString(), "head");
    assert.equal(capturing.peer, "tor");
    assert.deepEqual([capturing.taken[0], capturing.taken.at(-1)], [true, false]);
    await capturing.stopped;
  });

  test("of a peer that is not there is refused", async () => {
    const { status, body } = await ask(api.path, "/v1/bgp/pcap?peer=nobody");
    assert.deepEqual([status, JSON.parse(body)], [400, { error: "there is no such peer" }]);
  });
});

describe("the socket", () => {
  test("is refused where another agent answers", async () => {
    await assert.rejects(
      requireSocket(api.path),
      /^Error: Cannot serve the API on .*: another agent answers there; stop it first$/,
    );
  });

  test("takes the place of one that a killed agent left behind", async () => {
    writeFileSync(join(folder, "left.sock"), "");
    const { path } = await serve("left.sock");
    assert.equal((await ask(path, "/v1/nodes")).status, 200);
  });
});

describe("parseCount", () => {
  for (const [text, count] of [
    ["0", 0],
    ["4294967295", 4294967295],
    ["007", 7],
  ] as const) {
    test(`reads ${text}`, () => assert.equal(parseCount(text), count));
  }
  for (const text of ["", " 1", "1e3", "0x10", "99999999999", "-0", "١"]) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseCount(text), undefined));
  }
});
