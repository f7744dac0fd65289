import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatAddress } from "../net/address.ts";
import { formatProblem } from "../net/problem.ts";
import { endpointState } from "./backends.ts";
import {
  emptyFrontendMemo,
  formatFrontend,
  resolveFrontends,
  type Backend,
  type Frontend,
  type Resolved,
} from "./frontends.ts";
import {
  endpointSliceSchema,
  objectKey,
  SERVICE_NAME_LABEL,
  serviceSchema,
  type EndpointSlice,
  type Service,
} from "./objects.ts";

const NODE = { name: "node-a", goneNodes: new Set<string>() };

interface ServiceShape {
  readonly name?: string;
  readonly metadata?: object;
  readonly spec?: object;
  readonly ingress?: readonly object[];
}

function service({
  name = "web",
  metadata = {},
  spec = {},
  ingress = [{ ip: "192.0.2.1" }],
}: ServiceShape = {}): Service {
  const ports = [{ port: 80, targetPort: 8080 }];
  return serviceSchema.parse({
    metadata: { name, ...metadata },
    spec: { type: "LoadBalancer", ports, ...spec },
    status: { loadBalancer: { ingress } },
  });
}

interface SliceShape {
  readonly name?: string;
  readonly of?: string;
  readonly addressType?: string;
  readonly ports?: readonly object[];
  readonly endpoints: readonly object[];
}

function slice({
  of = "web",
  name = of,
  addressType = "IPv4",
  ports = [{ port: 8080 }],
  endpoints,
}: SliceShape): EndpointSlice {
  return endpointSliceSchema.parse({
    metadata: { name, labels: { [SERVICE_NAME_LABEL]: of } },
    addressType,
    ports,
    endpoints,
  });
}

function pod(address: string, nodeName = "node-a", conditions: object = { ready: true }): object {
  return { addresses: [address], nodeName, conditions };
}

function input(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
): { services: Map<string, Service>; endpointSlices: Map<string, EndpointSlice> } {
  return {
    services: new Map(services.map((object) => [objectKey(object), object])),
    endpointSlices: new Map(slices.map((object) => [objectKey(object), object])),
  };
}

function resolve(services: readonly Service[], slices: readonly EndpointSlice[], node: typeof NODE = NODE): Resolved {
  return resolveFrontends(input(services, slices), node);
}

/** `10.0.0.1:8080/TCP`, with what is unusual about it. */
function describeBackend({ address, port, protocol, state, local }: Backend): string {
  return `${formatAddress(address)}:${port}/${protocol}${local ? " local" : ""}${state === "active" ? "" : ` ${state}`}`;
}

/** In the order of the Services' names. */
function list({ frontends }: Resolved): readonly Frontend[] {
  return [...frontends].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, each]) => each);
}

function table(resolved: Resolved): Record<string, readonly string[]> {
  return Object.fromEntries(
    list(resolved).map((frontend) => [formatFrontend(frontend), frontend.backends.map(describeBackend)]),
  );
}

describe("resolveFrontends", () => {
  const two = slice({ endpoints: [pod("10.0.0.2", "node-b"), pod("10.0.0.1")] });
  const rows: { name: string; services: Service[]; slices: EndpointSlice[]; expected: Record<string, string[]> }[] = [
    {
      name: "backends are sorted by address and know whether they are local",
      services: [service()],
      slices: [two],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local", "10.0.0.2:8080/TCP"] },
    },
    {
      name: "a Service without slices has a frontend nobody answers",
      services: [service()],
      slices: [],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "a slice of another Service is not used",
      services: [service()],
      slices: [slice({ of: "web2", endpoints: [pod("10.0.0.1")] })],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "a Service without an address has no frontend",
      services: [service({ ingress: [] })],
      slices: [two],
      expected: {},
    },
    {
      name: "an address that is only a host name is none",
      services: [service({ ingress: [{ hostname: "lb.example" }] })],
      slices: [two],
      expected: {},
    },
    {
      name: "an address whose balancer wants the traffic itself (ipMode Proxy) is left to it",
      services: [service({ ingress: [{ ip: "192.0.2.1", ipMode: "Proxy" }] })],
      slices: [two],
      expected: {},
    },
    {
      name: "ipMode VIP is the default said aloud",
      services: [service({ ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] })],
      slices: [],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "an address listed twice is one frontend",
      services: [service({ ingress: [{ ip: "192.0.2.1" }, { ip: "192.0.2.1" }] })],
      slices: [],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "Services of other types are not ours",
      services: [service({ spec: { type: "ClusterIP" } }), service({ name: "np", spec: { type: "NodePort" } })],
      slices: [two],
      expected: {},
    },
    {
      name: "each family gets the backends of its family",
      services: [service({ ingress: [{ ip: "192.0.2.1" }, { ip: "2001:DB8::1" }] })],
      slices: [two, slice({ name: "web-v6", addressType: "IPv6", endpoints: [pod("fd00::1")] })],
      expected: {
        "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local", "10.0.0.2:8080/TCP"],
        "[2001:db8::1]:80/TCP": ["fd00::1:8080/TCP local"],
      },
    },
    {
      name: "an IPv6 address without IPv6 endpoints is answered by nobody",
      services: [service({ ingress: [{ ip: "2001:db8::1" }] })],
      slices: [two],
      expected: { "[2001:db8::1]:80/TCP": [] },
    },
    {
      name: "ports are matched by name and protocol, not by number",
      services: [
        service({
          spec: {
            ports: [
              { name: "a", port: 80 },
              { name: "b", port: 81 },
              { name: "b-udp", port: 81, protocol: "UDP" },
            ],
          },
        }),
      ],
      slices: [
        slice({
          ports: [
            { name: "b", port: 8081 },
            { name: "b-udp", port: 9999, protocol: "UDP" },
            { name: "a", port: 8080 },
            { name: "a", port: 7777, protocol: "UDP" },
          ],
          endpoints: [pod("10.0.0.1")],
        }),
      ],
      expected: {
        "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local"],
        "192.0.2.1:81/TCP": ["10.0.0.1:8081/TCP local"],
        "192.0.2.1:81/UDP": ["10.0.0.1:9999/UDP local"],
      },
    },
    {
      name: "an empty port name is no name",
      services: [service()],
      slices: [slice({ ports: [{ name: "", port: 8080 }], endpoints: [pod("10.0.0.1")] })],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local"] },
    },
    {
      name: "a slice without the Service's port gives nothing",
      services: [service()],
      slices: [slice({ ports: [{ name: "metrics", port: 9090 }], endpoints: [pod("10.0.0.1")] })],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "a named target port may be another number in every slice",
      services: [service({ spec: { ports: [{ port: 80, targetPort: "http" }] } })],
      slices: [
        slice({ name: "old", ports: [{ port: 8080 }], endpoints: [pod("10.0.0.9")] }),
        slice({ name: "new", ports: [{ port: 8443 }], endpoints: [pod("10.0.0.1")] }),
      ],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8443/TCP local", "10.0.0.9:8080/TCP local"] },
    },
    {
      name: "a slice port without a number is the target port",
      services: [service()],
      slices: [slice({ ports: [{}], endpoints: [pod("10.0.0.1")] })],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local"] },
    },
    {
      name: "an endpoint with two addresses is one backend",
      services: [service()],
      slices: [slice({ endpoints: [{ addresses: ["10.0.0.1", "10.0.0.2"], nodeName: "node-a" }] })],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local"] },
    },
    {
      name: "an endpoint without a node is a backend, and not local",
      services: [service()],
      slices: [slice({ endpoints: [{ addresses: ["10.0.0.1"] }] })],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP"] },
    },
    {
      name: "endpoints that are no addresses of their slice's family are left out",
      services: [service()],
      slices: [
        slice({
          endpoints: [{ addresses: [] }, pod("web.example"), pod("fd00::1"), pod("10.0.0.256"), pod("10.0.0.1")],
        }),
      ],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local"] },
    },
    {
      name: "slices of names are left out",
      services: [service()],
      slices: [slice({ addressType: "FQDN", endpoints: [pod("web.example")] })],
      expected: { "192.0.2.1:80/TCP": [] },
    },
    {
      name: "a backend in two slices is one, in the better state",
      services: [service()],
      slices: [
        slice({ name: "s1", endpoints: [pod("10.0.0.1", "node-a", { ready: false }), pod("10.0.0.2")] }),
        slice({ name: "s2", endpoints: [pod("10.0.0.1"), pod("10.0.0.2", "node-a", { ready: false })] }),
      ],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local", "10.0.0.2:8080/TCP local"] },
    },
    {
      name: "policy Local lists the backends of this node only, in every state",
      services: [service({ spec: { externalTrafficPolicy: "Local" } })],
      slices: [
        slice({
          endpoints: [
            pod("10.0.0.1", "node-a", { ready: false }),
            pod("10.0.0.2", "node-b"),
            { addresses: ["10.0.0.3"] },
          ],
        }),
      ],
      expected: { "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local notReady"] },
    },
    {
      name: "backends are sorted by number, not by text",
      services: [service()],
      slices: [slice({ endpoints: [pod("10.0.0.10"), pod("10.0.0.9"), pod("9.0.0.1")] })],
      expected: {
        "192.0.2.1:80/TCP": ["9.0.0.1:8080/TCP local", "10.0.0.9:8080/TCP local", "10.0.0.10:8080/TCP local"],
      },
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const resolved = resolve(row.services, row.slices);
      assert.deepEqual(table(resolved), row.expected);
      assert.deepEqual(resolved.problems, []);
    });
  }

  test("backends on a node without an object are left out where nodes are known at all", () => {
    const slices = [
      slice({
        endpoints: [
          { addresses: ["10.0.0.1"], nodeName: "node-a" },
          { addresses: ["10.0.0.2"], nodeName: "deleted" },
          { addresses: ["10.0.0.3"] },
        ],
      }),
    ];
    const memo = emptyFrontendMemo();
    const objects = {
      services: new Map([["default/web", service()]]),
      endpointSlices: new Map(slices.map((each) => [objectKey(each), each])),
    };
    const addressesWith = (existingNodes?: ReadonlySet<string>): string[] =>
      list(
        resolveFrontends(objects, { ...NODE, ...(existingNodes === undefined ? {} : { existingNodes }) }, memo),
      ).flatMap((f) => f.backends.map((b) => formatAddress(b.address)));
    assert.deepEqual(addressesWith(new Set(["node-a", "deleted"])), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert.deepEqual(addressesWith(new Set(["node-a"])), ["10.0.0.1", "10.0.0.3"]);
    assert.deepEqual(addressesWith(new Set(["node-a", "another"])), ["10.0.0.1", "10.0.0.3"]);
    assert.deepEqual(addressesWith(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  });
  test("backends on a node that is gone are left out, those of unknown nodes are not", () => {
    const slices = [
      slice({
        endpoints: [pod("10.0.0.1"), pod("10.0.0.2", "node-b"), pod("10.0.0.3", "node-c"), { addresses: ["10.0.0.4"] }],
      }),
    ];
    const resolved = resolve([service()], slices, { name: "node-a", goneNodes: new Set(["node-b", "elsewhere"]) });
    assert.deepEqual(table(resolved), {
      "192.0.2.1:80/TCP": ["10.0.0.1:8080/TCP local", "10.0.0.3:8080/TCP", "10.0.0.4:8080/TCP"],
    });
  });

  test("a frontend says whose it is, a backend which pod on which node", () => {
    const named = service({ spec: { ports: [{ name: "http", port: 80 }], externalTrafficPolicy: "Local" } });
    const endpoint = { ...pod("10.0.0.1"), targetRef: { kind: "Pod", name: "web-1" } };
    const [frontend] = list(
      resolve([named], [slice({ ports: [{ name: "http", port: 8080 }], endpoints: [endpoint] })]),
    );
    assert.ok(frontend !== undefined);
    const { address, backends, ...rest } = frontend;
    assert.deepEqual(rest, {
      service: "default/web",
      port: 80,
      protocol: "TCP",
      portName: "http",
      algorithm: "maglev",
      externalTrafficPolicy: "Local",
    });
    assert.equal(formatAddress(address), "192.0.2.1");
    assert.deepEqual(
      backends.map(({ nodeName, targetRef }) => ({ nodeName, targetRef })),
      [{ nodeName: "node-a", targetRef: "default/web-1" }],
    );
  });
});

describe("the state of an endpoint", () => {
  const rows = [
    { name: "ready", conditions: { ready: true }, state: "active" },
    { name: "nothing said", conditions: {}, state: "active" },
    { name: "only serving said", conditions: { serving: true }, state: "active" },
    { name: "not ready", conditions: { ready: false }, state: "notReady" },
    {
      name: "not ready, not terminating, serving",
      conditions: { ready: false, serving: true, terminating: false },
      state: "notReady",
    },
    {
      name: "terminating and serving",
      conditions: { ready: false, serving: true, terminating: true },
      state: "terminating",
    },
    {
      name: "terminating, no longer serving",
      conditions: { ready: false, serving: false, terminating: true },
      state: "notReady",
    },
    { name: "terminating, serving not said", conditions: { ready: false, terminating: true }, state: "notReady" },
    {
      name: "terminating, but published as ready",
      conditions: { ready: true, serving: true, terminating: true },
      state: "active",
    },
  ] as const;
  for (const row of rows)
    test(`${row.name}: ${row.state}`, () => assert.equal(endpointState(row.conditions), row.state));
});

describe("the algorithm of a Service", () => {
  const ours = "fairlead.io/algorithm";
  const ciliums = "service.cilium.io/lb-algorithm";
  const rows = [
    { name: "is maglev without annotation", annotations: {}, algorithm: "maglev", problems: 0 },
    { name: "is what our annotation says", annotations: { [ours]: "random" }, algorithm: "random", problems: 0 },
    { name: "may be maglev aloud", annotations: { [ours]: "maglev" }, algorithm: "maglev", problems: 0 },
    {
      name: "is what Cilium's annotation says",
      annotations: { [ciliums]: "random" },
      algorithm: "random",
      problems: 0,
    },
    {
      name: "is ours where both speak",
      annotations: { [ours]: "maglev", [ciliums]: "random" },
      algorithm: "maglev",
      problems: 0,
    },
    {
      name: "is Cilium's where ours is nonsense, which is a problem",
      annotations: { [ours]: "best", [ciliums]: "random" },
      algorithm: "random",
      problems: 1,
    },
    {
      name: "is maglev for an unknown word, which is a problem",
      annotations: { [ours]: "round-robin" },
      algorithm: "maglev",
      problems: 1,
    },
    {
      name: "is maglev for an empty word, which is a problem",
      annotations: { [ciliums]: "" },
      algorithm: "maglev",
      problems: 1,
    },
    {
      name: "is written in lower case, anything else is a problem",
      annotations: { [ours]: "Random" },
      algorithm: "maglev",
      problems: 1,
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const resolved = resolve([service({ metadata: { annotations: row.annotations } })], []);
      assert.deepEqual(
        list(resolved).map(({ algorithm }) => algorithm),
        [row.algorithm],
      );
      assert.equal(resolved.problems.length, row.problems);
    });
  }

  test("that is unknown is reported with what to write", () => {
    const { problems } = resolve([service({ metadata: { annotations: { [ours]: "round-robin" } } })], []);
    assert.deepEqual(problems.map(formatProblem), [
      'Service default/web: metadata.annotations[fairlead.io/algorithm]: unknown algorithm "round-robin", using maglev; write one of: maglev, random',
    ]);
  });
});

describe("a problem is reported, and the rest goes on", () => {
  const rows: { name: string; services: Service[]; expected: string[]; problems: string[] }[] = [
    {
      name: "an SCTP port",
      services: [
        service({
          spec: {
            ports: [
              { name: "a", port: 80 },
              { name: "b", port: 132, protocol: "SCTP" },
            ],
          },
        }),
      ],
      expected: ["192.0.2.1:80/TCP"],
      problems: [
        "Service default/web: spec.ports[1].protocol: port 132 is not balanced: SCTP is not supported, only TCP and UDP",
      ],
    },
    {
      name: "source ranges, which the datapath would not look at: nobody may connect who should not",
      services: [service({ spec: { loadBalancerSourceRanges: ["10.0.0.0/8", "odd"] } })],
      expected: [],
      problems: [
        "Service default/web: spec.loadBalancerSourceRanges: IPv4 is not balanced: source ranges are not supported; its packets are left to the node, where kube-proxy, if there is one, lets in who may",
      ],
    },
    {
      name: "source ranges that are everything of one family",
      services: [
        service({
          spec: { loadBalancerSourceRanges: ["0.0.0.0/0", "2001:db8::/32"] },
          ingress: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }],
        }),
      ],
      expected: ["192.0.2.1:80/TCP"],
      problems: [
        "Service default/web: spec.loadBalancerSourceRanges: IPv6 is not balanced: source ranges are not supported; its packets are left to the node, where kube-proxy, if there is one, lets in who may",
      ],
    },
    {
      name: "an address from another load balancer, of whose class it is",
      services: [service({ spec: { loadBalancerClass: "other.io/lb" } })],
      expected: [],
      problems: [],
    },
    {
      name: "session affinity, which is not followed",
      services: [service({ spec: { sessionAffinity: "ClientIP" } })],
      expected: ["192.0.2.1:80/TCP"],
      problems: [
        "Service default/web: spec.sessionAffinity: ClientIP is not followed: connections of one client may go to different pods",
      ],
    },
    {
      name: "an ingress that is no address",
      services: [service({ ingress: [{ ip: "192.0.2.300" }, { ip: "192.0.2.1" }] })],
      expected: ["192.0.2.1:80/TCP"],
      problems: ['Service default/web: status.loadBalancer.ingress[0].ip: "192.0.2.300" is not an IP address'],
    },
    {
      name: "two Services with one address and port: the first by name has it",
      services: [
        service({ name: "b" }),
        service({ name: "a" }),
        service({ name: "c", spec: { ports: [{ port: 81 }] } }),
      ],
      expected: ["192.0.2.1:80/TCP", "192.0.2.1:81/TCP"],
      problems: [
        "Service default/b: 192.0.2.1:80/TCP is not balanced for it: Service default/a has the same address and port",
      ],
    },
    {
      name: "two Services with one address and port: the older one has it",
      services: [
        service({ name: "a", metadata: { creationTimestamp: "2026-02-01T00:00:00Z" } }),
        service({ name: "b", metadata: { creationTimestamp: "2026-01-01T00:00:00Z" } }),
      ],
      expected: ["192.0.2.1:80/TCP"],
      problems: [
        "Service default/a: 192.0.2.1:80/TCP is not balanced for it: Service default/b has the same address and port",
      ],
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const resolved = resolve(row.services, []);
      assert.deepEqual(list(resolved).map(formatFrontend), row.expected);
      assert.deepEqual(resolved.problems.map(formatProblem), row.problems);
    });
  }

  test("the same port of TCP and UDP on a shared address is no clash", () => {
    const udp = service({ name: "dns-udp", spec: { ports: [{ port: 53, protocol: "UDP" }] } });
    const tcp = service({ name: "dns-tcp", spec: { ports: [{ port: 53, protocol: "TCP" }] } });
    assert.deepEqual(resolve([udp, tcp], []).problems, []);
  });
});

describe("a memo", () => {
  const web = service();
  const other = service({ name: "other", ingress: [{ ip: "192.0.2.2" }] });
  const webSlice = slice({ endpoints: [pod("10.0.0.1"), pod("10.0.0.2", "node-b")] });
  const otherSlice = slice({ of: "other", endpoints: [pod("10.0.1.1"), pod("10.0.1.2", "node-c")] });

  test("keeps what did not change and renews what did", () => {
    const memo = emptyFrontendMemo();
    const first = resolveFrontends(input([web, other], [webSlice, otherSlice]), NODE, memo);
    const changed = slice({ endpoints: [pod("10.0.0.1", "node-a", { ready: false })] });
    const second = resolveFrontends(input([web, other], [changed, otherSlice]), NODE, memo);
    assert.notEqual(list(second)[1], list(first)[1]);
    assert.equal(list(second)[0], list(first)[0]);
    assert.deepEqual(table(second)["192.0.2.1:80/TCP"], ["10.0.0.1:8080/TCP local notReady"]);
  });

  test("renews only the Services with a backend on the node that went", () => {
    const memo = emptyFrontendMemo();
    const objects = input([web, other], [webSlice, otherSlice]);
    const before = resolveFrontends(objects, NODE, memo);
    const after = resolveFrontends(objects, { name: "node-a", goneNodes: new Set(["node-b"]) }, memo);
    assert.deepEqual(
      list(after).map((frontend, index) => frontend === list(before)[index]),
      [true, false],
    );
    const back = resolveFrontends(objects, NODE, memo);
    assert.deepEqual(list(back), list(before));
  });

  test("forgets Services that are gone", () => {
    const memo = emptyFrontendMemo();
    resolveFrontends(input([web, other], [webSlice]), NODE, memo);
    resolveFrontends(input([other], []), NODE, memo);
    assert.deepEqual([...(memo.last?.services.keys() ?? [])], ["default/other"]);
  });

  test("changes nothing about the result, whatever happened before", () => {
    const names = ["a", "b", "c"];
    const services = fc
      .subarray(names)
      .chain((list) =>
        fc.tuple(
          ...list.map((name) =>
            fc.integer({ min: 1, max: 3 }).map((n) => service({ name, ingress: [{ ip: `192.0.2.${n}` }] })),
          ),
        ),
      );
    const slices = fc
      .subarray(names)
      .chain((list) =>
        fc.tuple(
          ...list.map((of) =>
            fc
              .integer({ min: 1, max: 3 })
              .map((n) => slice({ of, endpoints: [pod(`10.0.0.${n}`, `node-${n}`), pod("10.0.0.9")] })),
          ),
        ),
      );
    const gone = fc.subarray(["node-1", "node-2", "node-3"]).map((list) => new Set(list));
    const steps = fc.array(fc.tuple(services, slices, gone), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(steps, (list) => {
        const memo = emptyFrontendMemo();
        for (const [someServices, someSlices, goneNodes] of list) {
          const objects = input(someServices, someSlices);
          const node = { name: "node-1", goneNodes };
          const [after, anew] = [resolveFrontends(objects, node, memo), resolveFrontends(objects, node)];
          assert.deepEqual(new Map(after.frontends), new Map(anew.frontends));
          assert.deepEqual(after.problems, anew.problems);
        }
      }),
      { numRuns: 60 },
    );
  });
});
