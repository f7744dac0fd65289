/** Each misfortune, and the first step of the explanation that fails because of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runtime } from "../datapath/abi.generated.ts";
import type { ExplainDocument } from "../observe/status.ts";
import { eth0 } from "./world.fixture.ts";

import {
  MINE,
  THEIRS,
  type Case,
  unready,
  explained,
  ad,
  pool,
  failedTo,
  EXCLUDED,
  UNAVAILABLE,
} from "./explain.fixture.ts";

interface Misfortune extends Case {
  readonly name: string;
  readonly fails: string;
  readonly found: RegExp;
  readonly todo: RegExp;
}

const MISFORTUNES: readonly Misfortune[] = [
  {
    name: "no such Service",
    ask: "service=default/wep",
    fails: "service",
    found: /no Service default\/wep of type LoadBalancer is known/,
    todo: /Check the name/,
  },
  {
    name: "another namespace",
    ask: "service=shop/web",
    fails: "service",
    found: /no Service shop\/web/,
    todo: /Did you mean default\/web\? .*-n/,
  },
  {
    name: "a manifest that cannot be read",
    ask: "service=default/broken",
    problems: [
      { subject: "svc.yaml document 1 (Service default/broken)", path: "spec.ports", message: "is not a list" },
    ],
    fails: "service",
    found: /manifest cannot be read/,
    todo: /Correct the file/,
  },
  {
    name: "the wrong type",
    spec: { type: "ClusterIP" },
    ips: [],
    fails: "service",
    found: /its type is ClusterIP/,
    todo: /Set spec.type to LoadBalancer/,
  },
  {
    name: "the wrong class",
    spec: { loadBalancerClass: "other.io/lb" },
    ips: [],
    fails: "service",
    found: /loadBalancerClass is other.io\/lb/,
    todo: /--lb-class other.io\/lb/,
  },
  {
    name: "no pool",
    pools: [],
    ips: [],
    fails: "pool",
    found: /there is no IPAddressPool/,
    todo: /Create an IPAddressPool/,
  },
  {
    name: "a pool with a problem, and no other",
    pools: [],
    ips: [],
    problems: [
      { subject: "pool.yaml document 1 (IPAddressPool metallb-system/demo)", message: "spec.addresses is missing" },
    ],
    fails: "pool",
    found: /there is no IPAddressPool/,
    todo: /Correct the pool/,
  },
  {
    name: "an exhausted pool",
    pools: [pool("demo", { addresses: ["192.168.10.9/32"] })],
    ips: [],
    otherServices: [
      {
        metadata: { name: "first" },
        spec: { type: "LoadBalancer" },
        status: { loadBalancer: { ingress: [{ ip: "192.168.10.9" }] } },
      },
    ],
    conditions: [failedTo("no available IPs")],
    fails: "pool",
    found: /no pool has a free IPv4 address/,
    todo: /Add IPv4 addresses to a pool/,
  },
  {
    name: "pools of the other family",
    pools: [pool("demo", { addresses: ["fc00::/124"] })],
    ips: [],
    fails: "pool",
    found: /no pool has a free IPv4 address/,
    todo: /Add IPv4/,
  },
  {
    name: "pools on request only",
    pools: [pool("demo", { addresses: ["192.168.10.0/24"], autoAssign: false })],
    ips: [],
    fails: "pool",
    found: /no pool gives addresses by itself/,
    todo: /autoAssign/,
  },
  {
    name: "a pool that does not exist",
    annotations: { "metallb.io/address-pool": "gold" },
    ips: [],
    fails: "pool",
    found: /asks for pool gold, and there is none/,
    todo: /create the pool/,
  },
  {
    name: "an address that lies in no pool any more",
    pools: [pool("demo", { addresses: ["10.0.0.0/24"] })],
    fails: "pool",
    found: /no pool holds 192\.168\.10\.2/,
    todo: /spec\.addresses/,
  },
  {
    name: "no controller",
    ips: [],
    fails: "address",
    found: /no controller has said why/,
    todo: /fairlead controller/,
  },
  {
    name: "a request that cannot be met",
    ips: [],
    annotations: { "metallb.io/loadBalancerIPs": "10.9.9.9" },
    conditions: [failedTo('Failed to allocate IP for "default/web": ["10.9.9.9"] is not allowed in config')],
    fails: "address",
    found: /not allowed in config/,
    todo: /Change what the Service asks for/,
  },
  {
    name: "a host name for an address",
    ips: ["lb.example"],
    fails: "address",
    found: /lb\.example, which is no IP address/,
    todo: /Another load balancer/,
  },
  {
    name: "no advertisement",
    ads: [],
    fails: "advertisement",
    found: /there is no L2Advertisement/,
    todo: /Create an L2Advertisement/,
  },
  {
    name: "an advertisement with a problem",
    ads: [],
    problems: [{ subject: "l2.yaml document 2 (L2Advertisement metallb-system/ad)", message: "unknown operator" }],
    fails: "advertisement",
    found: /there is no L2Advertisement/,
    todo: /Correct the advertisement/,
  },
  {
    name: "an advertisement of other pools",
    ads: [ad({ ipAddressPools: ["gold"] })],
    fails: "advertisement",
    found: /no L2Advertisement is for pool demo/,
    todo: /ipAddressPools/,
  },
  {
    name: "an advertisement of other Services",
    ads: [ad({ serviceSelectors: [{ matchLabels: { app: "x" } }] })],
    fails: "advertisement",
    found: /no L2Advertisement is for pool demo and this Service/,
    todo: /selectors/,
  },
  {
    name: "a shared address and service selectors",
    labels: { app: "x" },
    annotations: { "metallb.io/allow-shared-ip": "k" },
    ads: [ad({ serviceSelectors: [{ matchLabels: { app: "x" } }] })],
    fails: "advertisement",
    found: /may be shared/,
    todo: /allow-shared-ip/,
  },
  {
    name: "selectors that exclude all nodes",
    ads: [ad({ nodeSelectors: [{ matchLabels: { edge: "" } }] })],
    fails: "nodes",
    found: /metallb-system\/ad select none of 2 nodes/,
    todo: /label a node/,
  },
  {
    name: "the only node of the advertisement gone",
    nodes: [{ metadata: { name: "me" } }, { metadata: { name: "peer", labels: { edge: "" } } }],
    ads: [ad({ nodeSelectors: [{ matchLabels: { edge: "" } }] })],
    alive: ["me"],
    gone: ["peer"],
    fails: "nodes",
    found: /no node of its advertisements may announce/,
    todo: /Bring one of these nodes back/,
  },
  {
    name: "all nodes excluded by label",
    nodes: ["me", "peer"].map((name) => ({ metadata: { name, labels: EXCLUDED } })),
    fails: "nodes",
    found: /no node of its advertisements/,
    todo: /its label/,
  },
  {
    name: "no node with a network",
    nodes: ["me", "peer"].map((name) => ({ metadata: { name }, status: UNAVAILABLE })),
    fails: "nodes",
    found: /no node of its advertisements/,
    todo: /its network/,
  },
  { name: "no Node objects", nodes: [], fails: "nodes", found: /no Node objects/, todo: /Put Node objects/ },
  {
    name: "policy Local, and the endpoints where the advertisement is not",
    spec: { externalTrafficPolicy: "Local" },
    nodes: [{ metadata: { name: "me", labels: { edge: "" } } }, { metadata: { name: "peer" } }],
    ads: [ad({ nodeSelectors: [{ matchLabels: { edge: "" } }] })],
    endpoints: [{ addresses: ["10.244.1.2"], nodeName: "peer" }],
    fails: "nodes",
    found: /policy Local/,
    todo: /externalTrafficPolicy to Cluster/,
  },
  {
    name: "an interface that does not exist",
    ads: [ad({ interfaces: ["eth7"] })],
    fails: "interface",
    found: /192\.168\.10\.2 is to be announced on interface eth7, and me has none/,
    todo: /spec\.interfaces/,
  },
  {
    name: "an interface that is down",
    links: [{ ...eth0, up: false }],
    fails: "interface",
    found: /on any interface/,
    todo: /set the interface up/,
  },
  {
    name: "a stamp that has run out",
    spoil: (state) => state.maps.runtime.setBigUint64(runtime.offset.valid_until_ns, 1n, true),
    fails: "answers",
    found: /stamp has run out/,
    todo: /Restart it/,
  },
  {
    name: "an announcement that somebody took out of the kernel",
    spoil: ({ maps: { announced } }) => {
      for (const [key] of [...announced.entries()].map(([k]) => [k.slice()] as const)) announced.remove(key, 1);
    },
    fails: "answers",
    found: /no row for 192\.168\.10\.2 on eth0/,
    todo: /status/,
  },
  {
    name: "no endpoints",
    endpoints: [],
    fails: "endpoints",
    found: /no EndpointSlice has an endpoint/,
    todo: /match its selector \(app=web\)/,
  },
  {
    name: "no ready endpoint",
    endpoints: [unready("me")],
    fails: "endpoints",
    found: /none of 1 endpoint is ready/,
    todo: /readiness/,
  },
  {
    name: "ready endpoints only on a node that is gone",
    endpoints: [{ addresses: ["10.244.1.2"], nodeName: "peer" }],
    alive: ["me"],
    gone: ["peer"],
    fails: "endpoints",
    found: /on a node that is gone/,
    todo: /nodes back/,
  },
  {
    name: "a port that no endpoint has",
    slicePort: "http",
    fails: "endpoints",
    found: /192\.168\.10\.2:80\/TCP: no ready endpoint has this port/,
    todo: /targetPort/,
  },
  {
    name: "no route to the only backend",
    endpoints: [{ addresses: ["10.244.1.2"], nodeName: "peer" }],
    route: { ok: false, refusal: "Network is unreachable" },
    fails: "endpoints",
    found: /1 backend of 1 cannot be reached/,
    todo: /route to the pods/,
  },
  {
    name: "a frontend that somebody took out of the kernel",
    spoil: ({ maps: { forwarding } }) => {
      for (const [key] of [...forwarding.frontends.entries()].map(([k]) => [k.slice()] as const))
        forwarding.frontends.remove(key, 1);
    },
    fails: "datapath",
    found: /tables of me are not as they should be/,
    todo: /Restart this node's agent/,
  },
  {
    name: "a backend that is not in the slots",
    spoil: ({ maps: { forwarding } }) => void forwarding.slots.window(0, forwarding.slots.length).fill(0),
    fails: "datapath",
    found: /not as they should be/,
    todo: /Restart this node's agent/,
  },
  {
    name: "pods that listen on another port",
    trials: { "10.244.0.2": "refused", "10.244.1.2": "refused" },
    fails: "endpoints",
    found: /2 of 2 backends took no connection from here: refused/,
    todo: /targetPort/,
  },
  {
    name: "pods that do not answer",
    trials: { "10.244.0.2": "silent", "10.244.1.2": { error: "connect EHOSTUNREACH" } },
    fails: "endpoints",
    found: /2 of 2 backends took no connection from here: no answer, connect EHOSTUNREACH/,
    todo: /NetworkPolicy/,
  },
];

describe("explain names the first step that fails for", () => {
  for (const { name, fails, found, todo, ...given } of MISFORTUNES)
    test(`${name}: ${fails}`, async () => {
      const document = await explained(given);
      const first = document.steps.find(({ result }) => result === "failed");
      assert.equal(first?.step, fails, JSON.stringify(document.steps, undefined, 1));
      assert.match(first.found, found);
      assert.match(first.todo ?? "", todo);
      assert.equal(document.reachable, false);
    });
});

describe("explain", () => {
  const results = ({ steps }: ExplainDocument): readonly string[] =>
    steps.map(({ step, result }) => `${step} ${result}`);
  const step = ({ steps }: ExplainDocument, name: string): ExplainDocument["steps"][number] | undefined =>
    steps.find((each) => each.step === name);

  test("finds every step well on the node that announces", async () => {
    const document = await explained({});
    assert.deepEqual(results(document), [
      "service ok",
      "pool ok",
      "address ok",
      "advertisement ok",
      "nodes ok",
      "announcer ok",
      "interface ok",
      "answers ok",
      "endpoints ok",
      "datapath ok",
    ]);
    assert.deepEqual([document.reachable, document.ask], [true, undefined]);
    assert.equal(step(document, "announcer")?.found, "me, first of me, peer, by hash");
  });

  test("names the node to ask for what only that node knows", async () => {
    const document = await explained({ ips: [THEIRS] });
    assert.deepEqual(
      results(document).filter((each) => !each.endsWith(" ok")),
      ["interface elsewhere", "answers elsewhere"],
    );
    assert.deepEqual([document.reachable, document.ask], [true, "peer"]);
  });

  test("says of a Service of another class only that", async () => {
    const document = await explained({ spec: { loadBalancerClass: "other.io/lb" }, ips: [] });
    assert.deepEqual(
      results(document).filter((each) => each.endsWith(" failed")),
      ["service failed"],
    );
  });

  test("says what to do about each reason of the controller", async () => {
    const reasons = ["PoolExhausted", "AddressInUse", "AddressNotInPool", "SomethingNew"];
    const todos = await Promise.all(
      reasons.map(async (reason) => {
        const condition = { type: "fairlead.io/AddressAssigned", status: "False", reason, message: "words" };
        return step(await explained({ ips: [], conditions: [condition] }), "address")?.todo;
      }),
    );
    assert.match(todos[0] ?? "", /Enlarge the pool/);
    assert.match(todos[1] ?? "", /allow-shared-ip/);
    assert.match(todos[2] ?? "", /an IPAddressPool holds/);
    assert.match(todos[3] ?? "", /^Change what the Service asks for/);
  });

  test("finds a Service by its address, however it is spelled", async () => {
    assert.equal((await explained({ ask: `address=${MINE}` })).service, "default/web");
    await assert.rejects(explained({ ask: "address=192.0.2.1" }), /no Service has the address 192\.0\.2\.1/);
    await assert.rejects(explained({ ask: "" }), /say which Service to explain/);
    await assert.rejects(explained({ ask: "service=web" }), /say which Service to explain/);
  });

  const WARNINGS: readonly (Case & { name: string; step: string; found: RegExp })[] = [
    {
      name: "one pod of two that listens on another port",
      trials: { "10.244.1.2": "refused" },
      step: "endpoints",
      found: /1 of 2 backends took no connection from here: refused/,
    },
    {
      name: "pods that take no connection from a node that does not announce",
      ips: [THEIRS],
      trials: { "10.244.0.2": "silent", "10.244.1.2": "silent" },
      step: "endpoints",
      found: /2 of 2 backends took no connection from here: no answer/,
    },
    {
      name: "ports of a protocol that is not balanced",
      spec: { ports: [{ port: 132, protocol: "SCTP" }] },
      step: "datapath",
      found: /nothing of it is balanced here/,
    },
    {
      name: "source ranges",
      spec: { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      step: "service",
      found: /with problems/,
    },
    {
      name: "a request that is not met, with a working address",
      conditions: [{ type: "fairlead.io/RequestMet", status: "False", message: "10.9.9.9 is taken" }],
      step: "address",
      found: /not as it asks for/,
    },
    {
      name: "addresses of two pools of which one is not advertised",
      annotations: { "fairlead.io/dual-stack-pools": "span" },
      ips: [MINE, "fc00::1"],
      pools: [pool("demo", { addresses: ["192.168.10.0/30"] }), pool("six", { addresses: ["fc00::/124"] })],
      ads: [ad({ ipAddressPools: ["demo"] })],
      step: "announcer",
      found: /me, but not for all of its addresses/,
    },
    { name: "an agent that has just started", complete: false, step: "announcer", found: /has just started/ },
    { name: "a node that hears nobody", isolated: true, step: "announcer", found: /hears none of its peers/ },
    {
      name: "one of two backends without a route",
      endpoints: [
        { addresses: ["10.244.0.2"], nodeName: "me" },
        { addresses: ["10.244.1.2"], nodeName: "peer" },
      ],
      route: { ok: true, way: { device: "eth0", via: "192.168.10.202", neighbor: "FAILED" } },
      step: "endpoints",
      found: /1 backend of 2 cannot be reached/,
    },
    {
      name: "tables of a node that does not announce",
      ips: [THEIRS],
      spoil: ({ maps: { forwarding } }) => void forwarding.slots.window(0, forwarding.slots.length).fill(0),
      step: "datapath",
      found: /not as they should be/,
    },
  ];
  for (const { name, step: where, found, ...given } of WARNINGS)
    test(`warns of ${name}: ${where}`, async () => {
      const document = await explained(given);
      assert.equal(step(document, where)?.result, "warning");
      assert.match(step(document, where)?.found ?? "", found);
      assert.equal(document.reachable, true);
    });

  test("says of each node why it does not announce, and of an interface that is not there", async () => {
    const document = await explained({
      nodes: [
        { metadata: { name: "me" } },
        { metadata: { name: "peer", labels: EXCLUDED } },
        { metadata: { name: "third" } },
      ],
      ads: [ad({ interfaces: ["eth0", "eth7"] })],
    });
    assert.deepEqual(step(document, "nodes")?.details.toSorted(), [
      "me: may announce",
      "peer: has the label node.kubernetes.io/exclude-from-external-load-balancers",
      "third: is gone: its peers hear nothing, or no agent has run there for its grace",
    ]);
    assert.deepEqual(step(document, "interface")?.details, ["eth7: no such interface on this node"]);
  });
});
