import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { l2AdvertisementSchema } from "../../announce/objects.ts";
import { ipAddressPoolSchema } from "../../pool/objects.ts";
import { endpointSliceSchema, nodeSchema, serviceSchema } from "../../service/objects.ts";
import { bgpPeerSchema } from "../../announce/bgp/objects.ts";
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
    unread: new Set(),
    reserved: none,
  };
}

function withPeer(more = {}): Snapshot {
  const metadata = { name: "router", namespace: "metallb-system" };
  const peer = bgpPeerSchema.parse({ metadata, spec: { myASN: 1, peerASN: 2, peerAddress: "10.0.0.1", ...more } });
  return { ...snapshot([]), bgpPeers: new Map([["metallb-system/router", peer]]) };
}

/** Of frr-k8s: with sessions with these, and whatever else it asks for. */
function frrConfiguration(
  name: string,
  addresses: readonly string[] = [],
  neighbor = {},
  router = {},
  raw = {},
): unknown {
  const neighbors = addresses.map((address) => ({ address, asn: 2, ...neighbor }));
  const nodeSelector = { matchLabels: { "kubernetes.io/hostname": name.replace("metallb-", "") } };
  return {
    metadata: { name, namespace: "n" },
    spec: { bgp: { routers: [{ asn: 1, neighbors, ...router }] }, nodeSelector, raw },
  };
}

function inMode(mode: string): RawWorkloads {
  return raw({ daemonSets: [workload("speaker", "m/speaker:v1", [], { METALLB_BGP_TYPE: mode })] });
}

/** Mode frr-k8s, as MetalLB's own manifests have it, with what speakers and these others want of it. */
function withFrrK8s(others: readonly unknown[], affinity: unknown = {}): RawWorkloads {
  const placed = ({ metadata, spec }: ReturnType<typeof workload>, app: string) => {
    const template = { spec: { ...spec.template.spec, affinity } };
    return { metadata, spec: { ...spec, template, selector: { matchLabels: { app, component: "x" } } } };
  };
  const image = "quay.io/metallb/frr-k8s:v0.0.25";
  return raw({
    deployments: [resting, workload("frr-k8s-statuscleaner", image, [])],
    daemonSets: [
      placed(workload("speaker", "m/speaker:v1", [], { METALLB_BGP_TYPE: "frr-k8s" }), "metallb"),
      placed(workload("frr-k8s-daemon", image, []), "frr-k8s"),
      workload("agent", "fairlead:1", ["agent", "--handover"]),
    ],
    frrConfigurations: [frrConfiguration("metallb-a"), ...others],
    validatingWebhooks: ["metallb-webhook-configuration", "frr-k8s-validating-webhook-configuration"],
  });
}

const resting = {
  ...workload("controller", "m/controller:v1", []),
  spec: { ...workload("c", "m/controller:v1", []).spec, replicas: 0 },
};

function rows(objects: Snapshot, workloads = raw()): readonly string[] {
  const facts = { installation: readInstallation(workloads), snapshot: objects, interfacesExclude: LIST.join("|") };
  const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  return findingsOf({ ...facts, sha256 }).map(({ verdict, object, what }: Row) => `${verdict} ${object}: ${what}`);
}

test("what kube-proxy does for a Service and our datapath does not is told", () => {
  const asking = (name: string, ip: string, spec: object): ReturnType<typeof service> => {
    const [key, object] = service(name, ip);
    return [key, serviceSchema.parse({ ...object, spec: { ...object.spec, ...spec } })];
  };
  const found = rows(
    snapshot([
      asking("ranges", "192.0.2.1", { loadBalancerSourceRanges: ["10.0.0.0/8"] }),
      asking("sticky", "192.0.2.2", { sessionAffinity: "ClientIP" }),
      asking("signals", "192.0.2.3", { ports: [{ port: 132, protocol: "SCTP" }] }),
      service("plain", "192.0.2.4"),
    ]),
  ).filter((row) => row.includes(": spec."));
  assert.deepEqual(
    found.map((row) => row.split(":").slice(0, 2).join(":")),
    [
      "differs Service default/ranges: spec.loadBalancerSourceRanges",
      "act Service default/sticky: spec.sessionAffinity",
      "differs Service default/signals: spec.ports[0].protocol",
    ],
  );
});

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
      raw({ configMaps: [{ metadata: { name: "bgpextras" }, data: { extras: "route-map x" } }] }),
      "act ConfigMap bgpextras: configures FRR directly; nobody reads it any more",
    ],
    [
      "frr-k8s that others use too",
      snapshot([]),
      raw({ frrConfigurations: [frrConfiguration("metallb-a"), frrConfiguration("mine", ["192.0.2.9"])] }),
      "differs FRRConfiguration n/mine: is not MetalLB's: frr-k8s goes on with it, and Fairlead does not touch it",
    ],
    [
      "a session of others with the same router",
      withPeer(),
      raw({ frrConfigurations: [frrConfiguration("mine", ["10.0.0.1"])] }),
      "act FRRConfiguration n/mine: has a session with 10.0.0.1, as BGPPeers have: a router takes one of a node, and this one stays frr-k8s's",
    ],
    [
      "an unnumbered session of others with the same router",
      withPeer({ peerAddress: "", interface: "eth1" }),
      raw({ frrConfigurations: [frrConfiguration("mine", [""], { interface: "eth1" })] }),
      "act FRRConfiguration n/mine: has a session with eth1, as BGPPeers have: a router takes one of a node, and this one stays frr-k8s's",
    ],
    [
      "a session of others with the same router, but from another address",
      withPeer({ sourceAddress: "10.0.0.7" }),
      raw({ frrConfigurations: [frrConfiguration("mine", ["10.0.0.1"])] }),
      "differs FRRConfiguration n/mine: is not MetalLB's: frr-k8s goes on with it, and Fairlead does not touch it",
    ],
    [
      "what others let frr-k8s do that we do not",
      snapshot([]),
      raw({
        frrConfigurations: [
          frrConfiguration(
            "mine",
            ["192.0.2.9"],
            { toReceive: { allowed: { mode: "all" } } },
            { prefixes: ["198.51.100.0/24"], imports: [{ vrf: "red" }] },
            { rawConfig: "route-map x" },
          ),
        ],
      }),
      "differs FRRConfiguration n/mine: is not MetalLB's: frr-k8s goes on with it, and Fairlead does not touch it; it takes routes from 192.0.2.9 (Fairlead takes none), and announces 198.51.100.0/24 (Fairlead: addresses of pools, and pod CIDRs by fairlead.io/advertise), and imports routes from other VRFs (Fairlead does not), and has statements of FRR's own (nothing in Fairlead reads them)",
    ],
    [
      "chosen routes that others take in",
      snapshot([]),
      raw({
        frrConfigurations: [
          frrConfiguration("metallb-mine-too", ["192.0.2.9"], {
            toReceive: { allowed: { prefixes: [{ prefix: "0.0.0.0/0" }] } },
          }),
          { ...(frrConfiguration("metallb-x") as object), spec: {} },
        ],
      }),
      "differs FRRConfiguration n/metallb-x: is not MetalLB's: frr-k8s goes on with it, and Fairlead does not touch it",
    ],
    [
      "a field that frr-k8s ignores",
      withPeer({ sourceAddress: "10.0.0.7" }),
      inMode("frr-k8s"),
      "act BGPPeer metallb-system/router: sourceAddress 10.0.0.7 is followed; MetalLB's mode frr-k8s ignores it",
    ],
    [
      "FRR in the speakers' pods",
      withPeer(),
      inMode("frr"),
      "differs 1 BGPPeer: sessions of mode frr end on each node and begin anew, by the agent itself: a router that does graceful restart keeps the routes in between where the BGPPeer has enableGracefulRestart, else it sends to the other nodes",
    ],
    [
      "frr-k8s that goes with the speakers",
      withPeer(),
      withFrrK8s([]),
      "differs 1 BGPPeer: sessions of mode frr-k8s end on each node and begin anew, by the agent itself: a router that does graceful restart keeps the routes in between where the BGPPeer has enableGracefulRestart, else it sends to the other nodes",
    ],
    [
      "frr-k8s that stays",
      withPeer(),
      withFrrK8s([frrConfiguration("mine")]),
      "differs 1 BGPPeer: sessions of mode frr-k8s end on each node and begin anew, by the agent itself: frr-k8s, which stays, ends them when the speaker's FRRConfiguration is deleted, and the router sends to the other nodes in between",
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

  test("of a BGPPeer that frr-k8s follows as it is, there is nothing to act on", () => {
    const all = rows(withPeer(), withFrrK8s([]));
    assert.deepEqual(
      all.filter((row) => row.startsWith("act")),
      [],
    );
  });
});

const agents = workload("fairlead-agent", "fairlead:0.1.0", ["agent", "--handover"]);
const besides = raw({ deployments: [resting], daemonSets: [...raw().daemonSets, agents] });

/** Labels of nodes a and b. */
function next(
  workloads: RawWorkloads,
  labels: readonly Readonly<Record<string, string>>[],
  bgp = false,
  layer2 = true,
) {
  const installation = readInstallation(workloads);
  const nodes = new Map(
    labels.map((each, i) => {
      const name = ["a", "b"][i] ?? "";
      return [name, nodeSchema.parse({ metadata: { name, labels: each } })];
    }),
  );
  const { bgpPeers } = bgp ? withPeer() : snapshot([]);
  return nextStep({ installation, nodes, namespace: "metallb-system", bgpPeers, layer2 });
}

describe("the next step", () => {
  const active = { "fairlead.io/handover": "active" };
  const steps: readonly (readonly [string, RawWorkloads, Readonly<Record<string, string>>, RegExp | undefined])[] = [
    ["first MetalLB's controller rests", raw(), {}, /scale deployment controller --replicas=0/],
    ["then Fairlead is installed", raw({ deployments: [resting] }), {}, /helm install .*speaker.handover=true/],
    ["then node after node", besides, {}, /^kubectl label --overwrite node a fairlead.io\/handover=active$/],
    ["then MetalLB goes", besides, active, /delete daemonset speaker/],
    ["then the handover ends", raw({ deployments: [], daemonSets: [agents] }), {}, /speaker.handover=false/],
    [
      "then there is none",
      raw({ deployments: [], daemonSets: [workload("fairlead-agent", "fairlead:0.1.0", ["agent"])] }),
      {},
      undefined,
    ],
  ];
  for (const [name, workloads, labels, expected] of steps)
    test(name, () => {
      const step = next(workloads, [labels, labels]);
      if (expected === undefined) assert.equal(step, undefined);
      else assert.match(step?.commands.join("\n") ?? "", expected);
    });

  test("of what Helm has installed, Helm's own memory goes and brings back; of manifests there is none", () => {
    const { metadata, ...rest } = workload("controller", "m/controller:v1", []);
    const helm = raw({
      deployments: [{ ...rest, metadata: { ...metadata, annotations: { "meta.helm.sh/release-name": "lb" } } }],
    });
    assert.equal(
      next(helm, [{}])?.undo[1],
      "helm get manifest lb --namespace metallb-system | kubectl -n metallb-system apply -f -",
    );
    assert.match(next(raw(), [{}])?.undo[1] ?? "", /^# kubectl apply/);
    assert.ok(!next(besides, [active])?.commands.some((each) => each.includes("owner=helm")));
  });

  test("back from the last, no label goes before speakers have met: one that thinks it is alone takes every address", () => {
    const undo = next(besides, [active])?.undo ?? [];
    const [again = "", wait = "", look = "", labels = ""] = undo;
    assert.equal(undo.length, 4);
    assert.match(again, /^# install MetalLB again/);
    assert.match(wait, /^# wait until each of its speakers has met all/);
    assert.match(look, /^kubectl -n metallb-system logs -l app=metallb,component=speaker .*NodeJoin/);
    assert.match(labels, /^# take the labels/);
    const speaker = workload("speaker", "m/speaker:v1", []);
    const metadata = { ...speaker.metadata, annotations: { "meta.helm.sh/release-name": "lb" } };
    const byHelm = raw({ deployments: [resting], daemonSets: [agents, { ...speaker, metadata }] });
    assert.match(
      next(byHelm, [active])?.undo[2] ?? "",
      / -l app.kubernetes.io\/instance=lb,app.kubernetes.io\/component=speaker /,
    );
  });
});

describe("the next step with BGP", () => {
  const key = "fairlead.io/speaker";
  const placed = (terms: readonly unknown[], image = "m/speaker:v1") => {
    const { metadata, spec } = workload("speaker", image, []);
    const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } };
    const pod = { ...spec.template.spec, affinity: { nodeAffinity } };
    return raw({
      deployments: [resting],
      daemonSets: [agents, { metadata, spec: { ...spec, template: { spec: pod } } }],
    });
  };
  const apart = placed([{ matchExpressions: [{ key, operator: "DoesNotExist" }] }]);
  const gone = { [key]: "gone" };
  const sessions = { ...gone, "fairlead.io/handover": "bgp" };
  const done = { ...gone, "fairlead.io/handover": "active" };
  const cases: readonly (readonly [string, RawWorkloads, Parameters<typeof next>[1], boolean, RegExp])[] = [
    [
      "alone: speakers make place first",
      besides,
      [{}, {}],
      false,
      /patch daemonset speaker .*"OnDelete".*DoesNotExist/,
    ],
    [
      "alone: then sessions, packets stay",
      apart,
      [{}, {}],
      false,
      /^kubectl label --overwrite node a fairlead.io\/handover=bgp fairlead.io\/speaker=gone\n/,
    ],
    ["alone: of every node", apart, [sessions, {}], false, / node b fairlead.io\/handover=bgp/],
    [
      "alone: then packets",
      apart,
      [sessions, sessions],
      false,
      /^kubectl label --overwrite node a fairlead.io\/handover=active$/,
    ],
    ["alone: then MetalLB goes", apart, [done, done], false, /delete daemonset speaker/],
    [
      "beside layer 2: nodes first",
      apart,
      [{}, {}],
      true,
      /^kubectl label --overwrite node a fairlead.io\/handover=active$/,
    ],
    [
      "beside layer 2: then speakers make place",
      besides,
      [{ "fairlead.io/handover": "active" }],
      true,
      /patch daemonset/,
    ],
    [
      "beside layer 2: then sessions",
      apart,
      [{ "fairlead.io/handover": "active" }],
      true,
      /^kubectl label --overwrite node a fairlead.io\/speaker=gone\n/,
    ],
    ["beside layer 2: then MetalLB goes", apart, [done, done], true, /delete daemonset speaker/],
  ];
  for (const [name, workloads, labels, layer2, expected] of cases)
    test(name, () => {
      assert.match(next(workloads, labels, true, layer2)?.commands.join("\n") ?? "", expected);
    });

  test("alone: back from the last, speakers need not have met: each announces every address", () => {
    const undo = next(apart, [done, done], true, false)?.undo ?? [];
    assert.equal(undo.length, 2);
    assert.ok(
      next(apart, [done, done], true)?.undo.some((each) => each.includes("NodeJoin")),
      "with layer 2 they must",
    );
  });

  test("every alternative of the speakers' own affinity is kept, and comes back", () => {
    const terms = [{ matchExpressions: [{ key: "a", operator: "Exists" }] }, { matchFields: [{ key: "b" }] }];
    const step = next(placed(terms), [{}], true, false);
    const patched = JSON.parse(/-p '(.*)'$/.exec(step?.commands[0] ?? "")?.[1] ?? "") as {
      spec: { template: { spec: { affinity: { nodeAffinity: Record<string, { nodeSelectorTerms: unknown }> } } } };
    };
    const ours = { key, operator: "DoesNotExist" };
    assert.deepEqual(Object.values(patched.spec.template.spec.affinity.nodeAffinity)[0]?.nodeSelectorTerms, [
      { matchExpressions: [{ key: "a", operator: "Exists" }, ours] },
      { matchFields: [{ key: "b" }], matchExpressions: [ours] },
    ]);
    assert.ok((step?.undo.join() ?? "").includes(JSON.stringify(terms)));
    assert.match(next(besides, [{}], true, false)?.undo[0] ?? "", /"affinity":null/);
    assert.deepEqual(step?.onEveryNode, ["sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"]);
  });

  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "DoesNotExist" }] }],
      },
    },
  };
  const mine = frrConfiguration("mine", ["192.0.2.9"]);
  const frrCases: readonly (readonly [string, RawWorkloads, Readonly<Record<string, string>>, readonly RegExp[]])[] = [
    [
      "frr-k8s for MetalLB alone makes place with the speakers",
      withFrrK8s([]),
      {},
      [/patch daemonset speaker /, /patch daemonset frr-k8s-daemon /],
    ],
    ["frr-k8s for others stays", withFrrK8s([mine]), {}, [/patch daemonset speaker /]],
    [
      "frr-k8s for MetalLB alone ends with the speaker's pod",
      withFrrK8s([], affinity),
      {},
      [/^kubectl label .* fairlead.io\/handover=bgp fairlead.io\/speaker=gone$/, /^kubectl fairlead bgp peers/],
    ],
    [
      "frr-k8s for others is told when nobody writes it again",
      withFrrK8s([mine], affinity),
      {},
      [
        /^kubectl label /,
        /^kubectl -n metallb-system wait pod --for=delete --selector=app=metallb,component=x --field-selector=spec.nodeName=a /,
        /^kubectl -n n delete frrconfiguration metallb-a$/,
        /^kubectl fairlead bgp peers/,
      ],
    ],
    [
      "no session is exchanged where frr-k8s would keep it for others",
      withFrrK8s([frrConfiguration("mine", ["10.0.0.1"])], affinity),
      {},
      [/^# kubectl -n n delete frrconfiguration mine/],
    ],
    [
      "frr-k8s goes at the end, with what judges its objects",
      withFrrK8s([], affinity),
      done,
      [
        /delete daemonset speaker$/,
        /delete deployment controller$/,
        /^kubectl -n n delete frrconfiguration metallb-a$/,
        /^kubectl delete validatingwebhookconfiguration frr-k8s-validating-webhook-configuration$/,
        /delete daemonset frr-k8s-daemon$/,
        /delete deployment frr-k8s-statuscleaner$/,
      ],
    ],
    [
      "frr-k8s that others use is left at the end",
      withFrrK8s([mine], affinity),
      done,
      [
        /delete daemonset speaker$/,
        /delete deployment controller$/,
        /^kubectl -n n delete frrconfiguration metallb-a$/,
      ],
    ],
  ];
  for (const [name, workloads, labels, expected] of frrCases)
    test(name, () => {
      const commands = next(workloads, [labels], true, false)?.commands ?? [];
      assert.equal(commands.length, expected.length, commands.join("\n"));
      for (const [index, each] of expected.entries()) assert.match(commands[index] ?? "", each);
    });

  test("which frr-k8s stays, and for whom, is said", () => {
    const { notes = [] } = next(withFrrK8s([mine], affinity), [done], true, false) ?? {};
    assert.deepEqual(notes, ["DaemonSet frr-k8s-daemon stays: FRRConfiguration n/mine of others need it."]);
  });
});
