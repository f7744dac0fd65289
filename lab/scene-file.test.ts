import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { formatAddress } from "../src/net/address.ts";
import { formatProblem } from "../src/net/problem.ts";
import { listScenes, parseScene, readScene } from "./scene-file.ts";

const NODE =
  "{ name: n1, role: node, agent: true, interfaces: [{ on: lan, addresses: [10.0.0.1/24] }], podNetwork: { kind: routed, cidrs: [10.244.0.0/30] } }";
const CLIENT = "{ name: c, role: client, interfaces: [{ on: lan, addresses: [10.0.0.9/24] }] }";
const scene = (rest: string, hosts = `[${NODE}, ${CLIENT}]`): string =>
  `name: demo\nsegments: [lan]\nhosts: ${hosts}\n${rest}`;

function problems(text: string): readonly string[] {
  const parsed = parseScene(text, "demo.yaml", "/");
  return parsed.ok ? [] : parsed.problems.map(formatProblem);
}

describe("a scene file with a mistake is refused with the path of the mistake", () => {
  const rows = [
    { name: "a misspelt field", text: scene("manifets: []"), problem: /demo\.yaml: Unrecognized key: "manifets"/ },
    { name: "no hosts", text: "name: demo\nsegments: [lan]\nhosts: []", problem: /hosts: / },
    {
      name: "a lab name with a dash",
      text: scene("").replace("demo", "de-mo"),
      problem: /name: expected up to 20 lower-case letters and digits/,
    },
    {
      name: "an address without a length",
      text: scene("").replace("10.0.0.9/24", "10.0.0.9"),
      problem: /hosts\[1\]\.interfaces\[0\]\.addresses\[0\]: expected an address with a prefix length/,
    },
    {
      name: "a length that IPv4 does not have",
      text: scene("").replace("10.0.0.9/24", "10.0.0.9/33"),
      problem: /addresses\[0\]: .*found "10\.0\.0\.9\/33"/,
    },
    {
      name: "an interface on nothing",
      text: scene("").replace("on: lan, addresses: [10.0.0.9", "on: lam, addresses: [10.0.0.9"),
      problem: /hosts\[1\]\.interfaces\[0\]\.on: no segment or link is called "lam" \(there are: lan\)/,
    },
    {
      name: "a routing daemon that nobody knows",
      text: scene("").replace(
        "interfaces: [{ on: lan, addresses: [10.0.0.9",
        "programs: [{ kind: quagga, config: x }], $&",
      ),
      problem: /hosts\[1\]\.programs\[0\]\.kind: /,
    },
    {
      name: "one routing daemon twice",
      text: scene("").replace(
        "interfaces: [{ on: lan, addresses: [10.0.0.9",
        "programs: [{ kind: frr, config: x }, { kind: frr, config: y }], $&",
      ),
      problem: /hosts\[1\]\.programs\[1\]\.kind: frr runs already, see hosts\[1\]\.programs\[0\]\.kind/,
    },
    {
      name: "a host as gateway that is not at the end of a link",
      text: scene("").replace(
        "interfaces: [{ on: lan, addresses: [10.0.0.9",
        "routes: [{ to: default, via: n1, device: eth0 }], $&",
      ),
      problem: /hosts\[1\]\.routes\[0\]\.via: "n1" is not at the other end of eth0 \(lan is not a link\)/,
    },
    {
      name: "a host as gateway without a device",
      text: scene("").replace("interfaces: [{ on: lan, addresses: [10.0.0.9", "routes: [{ to: default, via: n1 }], $&"),
      problem: /hosts\[1\]\.routes\[0\]\.device: is needed: "n1" is a host/,
    },
    {
      name: "two hosts of one name",
      text: scene("").replace("name: c,", "name: n1,"),
      problem: /hosts\[1\]\.name: "n1" is already the name of hosts\[0\]\.name/,
    },
    {
      name: "a pod named like a segment",
      text: scene("pods: [{ name: lan, node: n1 }]"),
      problem: /pods\[0\]\.name: "lan" is already the name of segments\[0\]/,
    },
    {
      name: "an address given twice",
      text: scene("").replace("10.0.0.9/24", "10.0.0.1/24"),
      problem: /10\.0\.0\.1 is already the address at hosts\[0\]/,
    },
    {
      name: "a pod on no node",
      text: scene("pods: [{ name: p, node: n2 }]"),
      problem: /pods\[0\]\.node: no node is called "n2" \(there are: n1\)/,
    },
    {
      name: "a pod on a client",
      text: scene("pods: [{ name: p, node: c }]"),
      problem: /pods\[0\]\.node: no node is called "c"/,
    },
    {
      name: "a pod name too long for its device",
      text: scene("pods: [{ name: metallb-cluster-1, node: n1 }]"),
      problem: /pods\[0\]\.name: expected at most 12 characters/,
    },
    {
      name: "more pods than addresses",
      text: scene("pods: [{ name: a, node: n1 }, { name: b, node: n1 }, { name: c1, node: n1 }]"),
      problem: /pods\[2\]\.addresses: no free address in 10\.244\.0\.0\/30/,
    },
    {
      name: "one port listened on twice",
      text: scene("pods: [{ name: p, node: n1, listen: [{ protocol: HTTP, port: 80 }, { protocol: TCP, port: 80 }] }]"),
      problem: /pods\[0\]\.listen\[1\]: TCP 80 is already taken by pods|listen\[1\]: TCP 80 is already taken/,
    },
    {
      name: "a port that does not exist",
      text: scene("pods: [{ name: p, node: n1, listen: [{ protocol: HTTP, port: 65536 }] }]"),
      problem: /pods\[0\]\.listen\[0\]\.port: /,
    },
    {
      name: "an agent on a client",
      text: scene("").replace("role: client,", "role: client, agent: true,"),
      problem: /hosts\[1\]\.agent: only a node runs an agent, c is a client/,
    },
    {
      name: "a link with one end",
      text: scene("links: [up]").replace("on: lan, addresses: [10.0.0.9", "on: up, addresses: [10.0.0.9"),
      problem: /links\[0\]: a link has two ends, "up" has 1 \(c\)/,
    },
    {
      name: "a route to nowhere",
      text: scene("").replace("role: client,", "role: client, routes: [{ to: 10.9.0.0/24 }],"),
      problem: /hosts\[1\]\.routes\[0\]: needs `via`, `device` or both/,
    },
    {
      name: "a route by a device that is not there",
      text: scene("").replace("role: client,", "role: client, routes: [{ to: 10.9.0.0/24, device: eth9 }],"),
      problem: /routes\[0\]\.device: c has no interface "eth9"/,
    },
    { name: "broken YAML", text: "name: [demo", problem: /demo\.yaml: / },
    { name: "not a mapping", text: "- demo", problem: /demo\.yaml: / },
  ];
  for (const { name, text, problem } of rows) {
    test(name, () => assert.match(problems(text).join("\n"), problem));
  }
});

test("all mistakes of a scene file are reported together", () => {
  const text = scene("pods: [{ name: p, node: n2 }, { name: q, node: n3 }]");
  assert.equal(problems(text).length, 2);
});

test("a scene fills in device names, pod addresses and what pods listen on", () => {
  const parsed = parseScene(
    scene("pods: [{ name: p, node: n1 }, { name: q, node: n1 }]\nmanifests: [objects]"),
    "demo.yaml",
    "/some/where",
  );
  assert.ok(parsed.ok);
  assert.deepEqual(
    parsed.scene.hosts.map((host) => host.interfaces.map((each) => each.name)),
    [["eth0"], ["eth0"]],
  );
  assert.deepEqual(
    parsed.scene.pods.map((pod) => pod.addresses.map(formatAddress)),
    [["10.244.0.2"], ["10.244.0.3"]],
  );
  assert.deepEqual(
    parsed.scene.pods[0]?.listen.map((each) => `${each.protocol} ${each.port}`),
    ["HTTP 8080", "TCP 9000", "UDP 5353"],
  );
  assert.deepEqual(parsed.scene.manifests, ["/some/where/objects"]);
});

test("every built-in scene reads without a problem and says what it is", async () => {
  const listed = await listScenes();
  const names = listed.map((each) => each.name);
  for (const expected of [
    "bgp",
    "bird",
    "bridged",
    "dualstack",
    "ibgp",
    "kubernetes",
    "kubernetesbgp",
    "l2",
    "podcidr",
    "unnumbered",
  ])
    assert.ok(names.includes(expected), expected);
  for (const { name, description } of listed) {
    assert.ok(description.length > 20, name);
    const read = await readScene(name);
    assert.ok(read.ok, name);
    assert.equal(read.scene.name, name);
    // Where there are kubelets, pods come from the API server.
    const isReal = read.scene.hosts.some(({ podNetwork }) => podNetwork?.kind === "kubelet");
    assert.ok(isReal || read.scene.pods.length >= 2, name);
  }
});

test("a scene that is neither built in nor a file is refused with the names there are", async () => {
  for (const [given, problem] of [
    ["l3", /there are: .*\bl2\b/],
    ["./none.yaml", /Cannot read the scene: ENOENT/],
  ] as const) {
    const read = await readScene(given);
    assert.ok(!read.ok);
    assert.match(read.problems.map(formatProblem).join("\n"), problem);
  }
});

test("a scene file works by its path as well", async () => {
  const read = await readScene(join(import.meta.dirname, "scenes/l2.yaml"));
  assert.ok(read.ok);
  assert.equal(read.scene.name, "l2");
});
