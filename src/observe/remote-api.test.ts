import assert from "node:assert/strict";
import { request } from "node:https";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeSelfSigned } from "../source/kubernetes/self-signed.ts";
import { BadRequest, type ApiHandlers } from "./api.ts";
import { serveRemoteApi, TICKET_HEADER, type Access, type Verb } from "./remote-api.ts";

const asked: { readonly ticket: string; readonly verb: Verb }[] = [];
const logged: unknown[] = [];
const drained: unknown[] = [];
let streamsEnded = 0;
let mayStill: Awaited<ReturnType<Access>> = { status: 200, user: "viewer" };
let server: Awaited<ReturnType<typeof serveRemoteApi>>;

before(async () => {
  const handlers = {
    monitor: (_: unknown, emit: (event: unknown) => void) => {
      const timer = setInterval(() => emit({ verdict: "drop_internal" }), 5);
      return () => {
        clearInterval(timer);
        streamsEnded += 1;
      };
    },
    bgpPcap: (peer: string | undefined, take: (piece: Uint8Array) => boolean) => {
      if (peer !== undefined) throw new BadRequest(`there is no ${peer}`);
      const timer = setInterval(() => take(Buffer.from("x")), 5);
      return () => clearInterval(timer);
    },
    documents: { "/v1/nodes": () => [{ name: "worker1", state: "self" }] },
    changes: { "/v1/drain": (body: unknown) => drained.push(body) },
    onError: () => {},
  } as unknown as ApiHandlers;
  server = await serveRemoteApi(
    { host: "127.0.0.1", port: 0 },
    {
      certificate: await makeSelfSigned("worker1"),
      access: async (ticket, verb) => {
        asked.push({ ticket, verb });
        if (ticket === "ending") return mayStill;
        if (ticket === "operator" || (ticket === "viewer" && verb === "get")) return { status: 200, user: ticket };
        return { status: ticket === "viewer" ? 403 : 401, reason: `${ticket} may not ${verb}` };
      },
      handlers,
      log: (event, fields) => void logged.push([event, fields]),
      recheckMilliseconds: 10,
    },
  );
});
after(() => {
  server.closeAllConnections();
  server.close();
});

function ask(
  method: string,
  path: string,
  headers: Readonly<Record<string, string | string[]>>,
  body?: string,
): Promise<{ readonly status: number | undefined; readonly text: string; readonly ended: string | undefined }> {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return new Promise((resolve, reject) => {
    // As the API server: it checks no certificate of a pod.
    const outgoing = request({
      host: "127.0.0.1",
      port,
      path,
      method,
      headers,
      rejectUnauthorized: false,
      agent: false,
    });
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      void response.toArray().then((parts: Buffer[]) => {
        const ended = response.trailers["fairlead-ended"];
        resolve({ status: response.statusCode, text: Buffer.concat(parts).toString("utf8"), ended });
      }, reject);
    });
    outgoing.end(body);
  });
}

describe("the API for those elsewhere", () => {
  it("gives a document to whom the API server vouches for", async () => {
    const { status, text } = await ask("GET", "/v1/nodes", { [TICKET_HEADER]: "viewer" });
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(text), [{ name: "worker1", state: "self" }]);
    assert.deepEqual(asked.pop(), { ticket: "viewer", verb: "get" });
  });

  it("gives nothing without a ticket, not even the list of what there is", async () => {
    for (const path of ["/v1/nodes", "/", "/metrics", "/v1/monitor", "/nothing"]) {
      const { status, text } = await ask("GET", path, {});
      assert.equal(status, 401, path);
      assert.doesNotMatch(text, /v1|worker1/);
    }
    const two = await ask("GET", "/v1/nodes", { authorization: "Bearer operator" });
    assert.equal(two.status, 401);
  });

  it("takes whatever is no GET for a change", async () => {
    for (const method of ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"]) {
      assert.equal((await ask(method, "/v1/drain", { [TICKET_HEADER]: "viewer" }, "")).status, 403, method);
      assert.equal(asked.at(-1)?.verb, "update", method);
    }
    assert.deepEqual(drained, []);
  });

  it("makes a change for an operator, and logs who asked", async () => {
    const { status } = await ask("POST", "/v1/drain", { [TICKET_HEADER]: "operator" }, '{"draining":true}');
    assert.equal(status, 200);
    assert.deepEqual(drained, [{ draining: true }]);
    assert.deepEqual(logged, [["remoteChange", { user: "operator", method: "POST", path: "/v1/drain" }]]);
  });

  it("does not take two tickets for one", async () => {
    assert.equal((await ask("GET", "/v1/nodes", { [TICKET_HEADER]: ["viewer", "operator"] })).status, 401);
  });

  for (const path of ["/v1/monitor", "/v1/bgp/pcap"])
    it(`ends a stream of ${path} when its ticket has ended or its right is gone, and says which; not for want of an answer`, async () => {
      for (const refusal of [
        { status: 401, reason: "the ticket has expired" },
        { status: 403, reason: "viewer may not get worker1" },
      ] as const) {
        mayStill = { status: 200, user: "viewer" };
        const before = asked.length;
        const reading = ask("GET", path, { [TICKET_HEADER]: "ending" });
        const unasked = { status: 503, reason: "cannot ask" } as const;
        while (asked.length < before + 3) await sleep(5);
        mayStill = unasked;
        while (asked.length < before + 6) await sleep(5);
        mayStill = refusal;
        const { status, text, ended } = await reading;
        assert.deepEqual([status, ended], [200, refusal.reason]);
        assert.notEqual(text, "");
        const after = asked.length;
        await sleep(50);
        assert.equal(asked.length, after, "nobody is asked about it any more");
      }
    });

  it("lets go of what it had watched for a stream that it ends", () => assert.equal(streamsEnded, 2));

  it("refuses a capture of nobody's in a whole answer", async () => {
    const { status, text } = await ask("GET", "/v1/bgp/pcap?peer=x", { [TICKET_HEADER]: "viewer" });
    assert.deepEqual([status, JSON.parse(text)], [400, { error: "there is no x" }]);
  });

  it("does not speak without TLS", async () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await assert.rejects(fetch(`http://127.0.0.1:${port}/v1/nodes`, { headers: { [TICKET_HEADER]: "viewer" } }));
  });
});
