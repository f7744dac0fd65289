import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BadRequest, parseCount, requireSocket, serveApi, type ApiHandlers, type DocumentProducers } from "./api.ts";
import type { MonitorEvent } from "./status.ts";

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
}

async function serve(name: string): Promise<Served> {
  const path = join(folder, name);
  const stopped = Promise.withResolvers<void>();
  const watching: Watching = { sampling: undefined, emit: () => {}, stopped: stopped.promise };
  const captured = Promise.withResolvers<void>();
  const capturing: Capturing = { peer: undefined, taken: [], stopped: captured.promise };
  const errors: string[] = [];
  const fail = (): never => {
    throw new Error("the map is gone");
  };
  const documents: DocumentProducers = {
    "/v1/status": fail,
    "/v1/services": () => [],
    "/v1/explain": async (query) => {
      if (query.get("service") === undefined) throw new BadRequest("say which Service");
      return { service: query.get("service") ?? "", node: "worker1", reachable: true, steps: [] };
    },
    "/v1/nodes": () => [{ name: "worker1", state: "self" }],
    "/v1/pools": () => [],
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
  return { path, watching, capturing, errors };
}

function ask(socketPath: string, path: string, method = "GET"): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode, body }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end();
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
