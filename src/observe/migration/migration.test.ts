import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { l2AdvertisementSchema } from "../../announce/objects.ts";
import { ipAddressPoolSchema } from "../../pool/objects.ts";
import { endpointSliceSchema, nodeSchema, serviceSchema } from "../../service/objects.ts";
import type { Snapshot } from "../../source/source.ts";
import { findingsOf, type Row } from "./findings.ts";
import { readInstallation, type RawWorkloads } from "./installation.ts";
import { nextStep } from "./steps.ts";

const LIST = ["^docker.*", "^lo$"];

function workload(name: string, image: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const list = Object.entries(env).map(([key, value]) => ({ name: key, value }));
  const containers = [{ image: "sidecar:1" }, { image, args, env: list }];
  return { metadata: { name }, spec: { replicas: 1, template: { spec: { containers } } } };
}

function raw(changes: Partial<RawWorkloads> = {}): RawWorkloads {
  const excludel2 = `announcedInterfacesToExclude:\n${LIST.map((each) => `  - ${each}`).join("\n")}\n`;
  return {
    deployments: [workload("controller", "quay.io/metallb/controller:v0.16.1", ["--port=9120"])],
    daemonSets: [workload("speaker", "quay.io/metallb/speaker:v0.16.1", ["--log-level=info"])],
    configMaps: [{ metadata: { name: "metallb-excludel2" }, data: { "excludel2.yaml": excludel2 } }],
    l2Statuses: [{ status: { node: "b", serviceName: "web", serviceNamespace: "default" } }],
    frrConfigurations: [],
    validatingWebhooks: ["other", "metallb-webhook-configuration"],
    peerConversion: "Webhook",
    ...changes,
  };
}

const service = (name: string, ip?: string, annotations = {}): [string, ReturnType<typeof serviceSchema.parse>] => [
  `default/${name}`,
  serviceSchema.parse({
    metadata: { name, namespace: "default", annotations },
    spec: { type: "LoadBalancer", clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: ip === undefined ? [] : [{ ip }] } },
  }),
];

function snapshot(
  services: readonly ReturnType<typeof service>[],
  labels: Readonly<Record<string, string>> = {},
): Snapshot {
  const metadata = { name: "x", namespace: "metallb-system" };
  const slice = endpointSliceSchema.parse({
    metadata: { name: "s", namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.0.1"], nodeName: "a", conditions: { ready: true } }],
    ports: [{ port: 80, protocol: "TCP" }],
  });
  const none = new Map<string, never>();
  return {
    services: new Map(services),
    endpointSlices: new Map([["default/s", slice]]),
    nodes: new Map(["a", "b"].map((name) => [name, nodeSchema.parse({ metadata: { name, labels } })])),
    namespaces: none,
    secrets: none,
    ipAddressPools: new Map([
      ["metallb-system/x", ipAddressPoolSchema.parse({ metadata, spec: { addresses: ["192.0.2.0/24"] } })],
    ]),
    l2Advertisements: new Map([["metallb-system/x", l2AdvertisementSchema.parse({ metadata, spec: {} })]]),
    bgpAdvertisements: none,
    bgpPeers: none,
    bfdProfiles: none,
    communities: none,
    problems: [],
    complete: true,
    reserved: none,
  };
}

function rows(objects: Snapshot, workloads = raw()): readonly string[] {
  const facts = { installation: readInstallation(workloads), snapshot: objects, interfacesExclude: LIST.join("|") };
  const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  return findingsOf({ ...facts, sha256 }).map(({ verdict, object, what }: Row) => `${verdict} ${object}: ${what}`);
}

describe("what a MetalLB is", () => {
  test("read from its own workloads, whatever else runs beside", () => {
    const found = readInstallation(raw());
    assert.deepEqual([found.controller?.version, found.speaker?.name, found.mode], ["0.16.1", "speaker", "native"]);
    assert.deepEqual([found.webhook, found.converts, found.agents], ["metallb-webhook-configuration", true, undefined]);
    assert.deepEqual([...found.announcers], [["default/web", ["b"]]]);
  });

  test("mode, class and flags of its programs", () => {
    const speaker = workload("s", "m/speaker@sha256:0", ["--lb-class=x", "--ignore-exclude-lb"], {
      METALLB_BGP_TYPE: "frr-k8s",
    });
    const found = readInstallation(raw({ daemonSets: ["garbage", speaker] }));
    assert.deepEqual([found.mode, found.loadBalancerClass, found.ignoresExcludeLabel], ["frr-k8s", "x", true]);
  });
});

describe("what differs", () => {
  test("nothing, where the addresses stay and the same node announces", () => {
    const all = rows(snapshot([service("web", "192.0.2.0")]));
    assert.deepEqual(
      all.filter((row) => !row.startsWith("same")),
      [],
    );
    assert.ok(all.includes("same 1 address: stay where they are"), all.join("\n"));
    assert.ok(all.includes("same 1 layer 2 announcement: by the same nodes"), all.join("\n"));
  });

  const cases: readonly (readonly [string, Snapshot, RawWorkloads, string])[] = [
    [
      "an address that no pool has",
      snapshot([service("web", "198.51.100.1")]),
      raw(),
      "act Service default/web: has 198.51.100.1 and would get 192.0.2.0",
    ],
    [
      "another announcer",
      snapshot([service("web", "192.0.2.0")]),
      raw({ l2Statuses: [{ status: { node: "a", serviceName: "web", serviceNamespace: "default" } }] }),
      "act Service default/web: 192.0.2.0 would be announced by b, and is by a",
    ],
    [
      "interfaces of their own",
      snapshot([]),
      raw({
        configMaps: [
          {
            metadata: { name: "metallb-excludel2" },
            data: { "excludel2.yaml": 'announcedInterfacesToExclude: ["^eth1$"]' },
          },
        ],
      }),
      "act ConfigMap metallb-excludel2: has a list of its own",
    ],
    [
      "raw configuration of FRR",
      snapshot([]),
      raw({ frrConfigurations: [{ metadata: { name: "metallb-a" } }, { metadata: { name: "mine", namespace: "n" } }] }),
      "act FRRConfiguration n/mine: configures FRR directly; nobody reads it any more",
    ],
    [
      "no MetalLB",
      snapshot([]),
      raw({ daemonSets: [] }),
      "act MetalLB: its controller or its speakers are not in this namespace",
    ],
  ];
  for (const [name, objects, workloads, expected] of cases)
    test(name, () => {
      const all = rows(objects, workloads);
      assert.ok(all.includes(expected), all.join("\n"));
    });
});

describe("the next step", () => {
  const rest = {
    ...workload("controller", "m/controller:v1", []),
    spec: { ...workload("c", "m/controller:v1", []).spec, replicas: 0 },
  };
  const agent = workload("fairlead-agent", "fairlead:0.1.0", ["agent", "--handover"]);
  const metallb = raw().daemonSets;
  const steps: readonly (readonly [string, RawWorkloads, Readonly<Record<string, string>>, RegExp | undefined])[] = [
    ["first MetalLB's controller rests", raw(), {}, /scale deployment controller --replicas=0/],
    ["then Fairlead is installed", raw({ deployments: [rest] }), {}, /helm install .*speaker.handover=true/],
    [
      "then node after node",
      raw({ deployments: [rest], daemonSets: [...metallb, agent] }),
      {},
      /label node a fairlead/,
    ],
    [
      "then MetalLB goes",
      raw({ deployments: [rest], daemonSets: [...metallb, agent] }),
      { "fairlead.io/handover": "active" },
      /delete daemonset speaker/,
    ],
    ["then the handover ends", raw({ deployments: [], daemonSets: [agent] }), {}, /speaker.handover=false/],
    [
      "then there is none",
      raw({ deployments: [], daemonSets: [workload("fairlead-agent", "fairlead:0.1.0", ["agent"])] }),
      {},
      undefined,
    ],
  ];
  for (const [name, workloads, labels, expected] of steps)
    test(name, () => {
      const { nodes } = snapshot([], labels);
      const installation = readInstallation(workloads);
      const step = nextStep({ installation, nodes, namespace: "metallb-system", bgp: false });
      if (expected === undefined) assert.equal(step, undefined);
      else assert.match(step?.commands.join("\n") ?? "", expected);
    });
});
