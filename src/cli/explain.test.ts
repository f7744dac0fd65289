import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { documents } from "./documents.fixture.ts";
import { fairlead, serveDocuments } from "./agent.fixture.ts";

describe("fairlead explain", () => {
  test("names the node to ask where this one fails and others announce by BGP too, and exits with 1", async () => {
    const step = { step: "peers", protocol: "bgp", result: "failed" as const, found: "words", details: [] };
    const document = { service: "default/web", node: "worker1", reachable: false, ask: "worker2" };
    await using agent = await serveDocuments({
      "/v1/explain": { ...document, steps: [{ ...step, todo: "Do.", ask: "worker2" }] },
    });
    const { code, stdout } = await fairlead(`explain web --socket ${agent.socket}`);
    assert.match(stdout, /Not reachable by way of worker1: it fails at the step "bgp peers"; ask on worker2\.\n$/);
    assert.equal(code, 1);
  });

  test("draws the steps, what was found at each and what to do, and exits with 1 where one fails", async () => {
    await using agent = await serveDocuments(documents);
    const { code, stdout } = await fairlead(`explain svc/cart -n shop --socket ${agent.socket}`);
    assert.equal(
      stdout,
      `Service shop/cart, as worker1 sees it

ok       service        LoadBalancer
ok       pool           demo
warning  address        192.168.10.3
                          not the one asked for
                        → Free it.
FAILED   advertisement  no L2Advertisement is for pool demo and this Service
                          metallb-system/edge: is for other pools
                        → Name the pool.
-        nodes          no advertisement
ok       endpoints      1 ready on worker2
                          10.244.2.2 (web-1): ready on worker2

Not reachable: it fails at the step "advertisement".
`,
    );
    assert.equal(code, 1);
    assert.deepEqual(agent.asked, ["/v1/explain?service=shop%2Fcart"]);
  });

  const well = { service: "default/web", node: "worker1", reachable: true, steps: [] };
  const ENDS = [
    { name: "every step is well", document: well, says: /Reachable: every step is well\.\n$/ },
    {
      name: "another node knows the rest",
      document: { ...well, ask: "worker2" },
      says: /Well as far as worker1 can tell; the agent on worker2 knows the rest\.\n$/,
    },
    {
      name: "a step warns, which the last line says",
      document: { ...well, steps: [{ step: "endpoints", result: "warning" as const, found: "words", details: [] }] },
      says: /No step fails; something is to be seen to at the step "endpoints"\.\n$/,
    },
  ];
  for (const { name, document, says } of ENDS)
    test(`exits with 0 where ${name}`, async () => {
      await using agent = await serveDocuments({ "/v1/explain": document });
      const { code, stdout } = await fairlead(`explain web --socket ${agent.socket}`);
      assert.match(stdout, says);
      assert.equal(code, 0);
    });

  const QUERIES = [
    { asked: "svc/web", query: "?service=default%2Fweb" },
    { asked: "service/web -n shop", query: "?service=shop%2Fweb" },
    { asked: "web", query: "?service=default%2Fweb" },
    { asked: "192.168.10.3", query: "?address=192.168.10.3" },
    { asked: "fc00::3", query: "?address=fc00%3A%3A3" },
  ];
  for (const { asked, query } of QUERIES)
    test(`understands ${asked}`, async () => {
      await using agent = await serveDocuments({ "/v1/explain": well });
      assert.equal((await fairlead(`explain ${asked} -o json --socket ${agent.socket}`)).code, 0);
      assert.deepEqual(agent.asked, [`/v1/explain${query}`]);
    });

  for (const asked of ["pod/web", "svc/", "shop/web", "a_b", "svc/web/x", ""])
    test(`exits with 2 for ${JSON.stringify(asked)}`, async () => {
      const { code, stderr } = await fairlead(`explain ${asked} --socket /nonexistent`.replaceAll("  ", " "));
      assert.equal(code, 2);
      assert.match(stderr, /svc\/NAME|missing required argument/);
    });

  test("exits with 3 where no agent answers", async () => {
    assert.equal((await fairlead("explain svc/web --socket /nonexistent/a.sock")).code, 3);
  });
});
