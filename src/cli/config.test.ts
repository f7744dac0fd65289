import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parse } from "yaml";
import { fairlead } from "./agent.fixture.ts";

function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), "fl-config-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const POOL = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: demo, namespace: metallb-system}
spec: {addresses: [10.0.0.0/24]}
`;
const ADVERTISEMENT = `apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: all, namespace: metallb-system}
spec: {aggregationLength: 20}
`;
const PEER = `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: router, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 0, peerAddress: 10.1.1.1, holdTime: 1s}
`;

test("config check: manifests in order are counted, exit 0", async () => {
  const examples = join(import.meta.dirname, "../../examples");
  const { code, stdout, stderr } = await fairlead(`config check ${examples}/l2 ${examples}/bgp`);
  assert.deepEqual([code, stderr], [0, ""]);
  // The pool has the whole network of its segment.
  assert.match(
    stdout,
    /demo-pool +spec\.addresses +warning +fc00:f853:ccd:e799:: is the subnet-router anycast address/,
  );
  assert.match(stdout, /\n6 objects: no problems, 1 warning\n$/);
  const { stdout: bgp } = await fairlead(`config check ${examples}/bgp`);
  assert.match(bgp, /^\d objects: no problems, no warnings\n$/);
});

test("config check: every problem with file, document, object, path and message; exit 1", async (t) => {
  const path = folder(t, { "a.yaml": `${POOL}---\n${ADVERTISEMENT}`, "b.yaml": `${PEER}---\nkind: [\n` });
  const { code, stdout } = await fairlead(`config check ${path}`);
  assert.equal(code, 1);
  const lines = stdout.split("\n").map((line) => line.replaceAll(`${path}/`, "").trim().split(/ {2,}/));
  assert.deepEqual(lines[0], ["FILE", "DOCUMENT", "OBJECT", "PATH", "SEVERITY", "MESSAGE"]);
  assert.deepEqual(
    lines.slice(1, 5).map((cells) => cells.slice(0, 5)),
    [
      ["a.yaml", "2", "BGPAdvertisement metallb-system/all", "spec.aggregationLength", "error"],
      ["b.yaml", "1", "BGPPeer metallb-system/router", "spec.peerASN", "error"],
      ["b.yaml", "1", "BGPPeer metallb-system/router", "spec.holdTime", "error"],
      ["b.yaml", "2", "-", "-", "error"],
    ],
  );
  assert.match(stdout, /invalid aggregation length 20: prefix 24 in this pool/);
  assert.match(stdout, /\n3 objects: 4 problems, no warnings\n$/);
});

test("config check -o json: the rows as they are", async (t) => {
  const path = folder(t, { "a.yaml": POOL.replace("10.0.0.0/24", "10.0.0.0/33") });
  const { code, stdout } = await fairlead(`config check -o json ${path}`);
  assert.equal(code, 1);
  const [error, warning, ...more] = JSON.parse(stdout) as readonly object[];
  const place = { file: join(path, "a.yaml"), document: 1, object: "IPAddressPool metallb-system/demo" };
  const message = '"10.0.0.0/33" is neither a CIDR nor a range start-end';
  assert.deepEqual(error, { severity: "error", ...place, path: "spec.addresses[0]", message });
  assert.match(JSON.stringify(warning), /"warning".*nobody announces them/);
  assert.deepEqual(more, []);
});

test("config check: what is allowed but hardly meant is a warning, exit 0", async (t) => {
  const l2 =
    "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: all}\nspec: {ipAddressPools: [dmo]}\n";
  const old = PEER.replace("v1beta2", "v1beta1").replace("peerASN: 0", "peerASN: 1").replace(", holdTime: 1s", "");
  const path = folder(t, { "a.yaml": `${POOL}---\n${l2}---\n${old}` });
  const { code, stdout } = await fairlead(`config check -o yaml ${path}`);
  assert.equal(code, 0);
  const rows = parse(stdout) as readonly { readonly severity: string; readonly message: string }[];
  assert.deepEqual(
    rows.map(({ severity, message }) => `${severity}: ${message}`),
    [
      "warning: no L2Advertisement and no BGPAdvertisement covers it: its addresses are assigned, but nobody announces them",
      'warning: there is no IPAddressPool "dmo"',
      "warning: v1beta1 is deprecated, please use v1beta2",
    ],
  );
});

test("config check: what a Service asks for and is not done is a warning", async (t) => {
  const asking =
    "kind: Service\napiVersion: v1\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}], loadBalancerSourceRanges: [10.0.0.0/8]}\n";
  const { code, stdout } = await fairlead(`config check ${folder(t, { "a.yaml": asking })}`);
  assert.equal(code, 0);
  assert.match(stdout, /Service default\/web +spec\.loadBalancerSourceRanges +warning +IPv4 is not balanced/);
});

test("config check: a kind that is not read is a warning", async (t) => {
  const other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n";
  const { code, stdout } = await fairlead(`config check ${folder(t, { "a.yaml": other })}`);
  assert.equal(code, 0);
  assert.match(stdout, /warning +kind Deployment of apps\/v1 is not read by Fairlead and ignored/);
});

test("config check: a Secret that is not there is a warning: it may be kept elsewhere", async (t) => {
  const peer = PEER.replace("peerASN: 0", "peerASN: 1").replace("holdTime: 1s", "passwordSecret: {name: key}");
  const { code, stdout } = await fairlead(`config check ${folder(t, { "a.yaml": peer })}`);
  assert.equal(code, 0);
  assert.match(stdout, /warning +secret ref not found for peer config metallb-system\/router/);
});

test("config check: while something cannot be read, nothing is said of what may be in it", async (t) => {
  const { code, stdout } = await fairlead(`config check ${folder(t, { "a.yaml": `${POOL}---\nkind: [\n` })}`);
  assert.equal(code, 1);
  assert.match(stdout, /\n1 object: 1 problem, no warnings\n$/);
});

test("config check: a field that the kind does not have is a warning: a mistyped selector would mean everything", async (t) => {
  const text = `apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: a, labels: {any: thing}}
spec: {nodeselectors: [{matchLabels: {a: b}}], preferredNodeSelectors: [{weight: 1, preference: {matchLabel: {a: b}}}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: metallb.io/v1beta1
  kind: IPAddressPool
  metadata: {name: p}
  spec: {addresses: [10.0.0.0/24], serviceAllocation: {priority: -1, name: x}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80}], trafficDistribution: PreferClose}
`;
  const { code, stdout } = await fairlead(`config check -o json ${folder(t, { "a.yaml": text })}`);
  assert.equal(code, 0);
  const rows = JSON.parse(stdout) as readonly { document: number; object?: string; path: string; message: string }[];
  assert.deepEqual(
    rows.map(({ document, object, path, message }) => [document, object ?? "", `${path}: ${message}`]),
    [
      [
        1,
        "L2Advertisement default/a",
        "spec.nodeselectors: is no field here and has no effect: nodeSelectors is probably meant",
      ],
      [
        1,
        "L2Advertisement default/a",
        "spec.preferredNodeSelectors[0].preference.matchLabel: is no field here and has no effect: matchLabels is probably meant",
      ],
      [
        2,
        "",
        "items[0].spec.serviceAllocation.name: is no field here and has no effect: there are priority, namespaces, namespaceSelectors, serviceSelectors",
      ],
      [
        2,
        "IPAddressPool default/p",
        "spec.serviceAllocation.priority: -1 counts as 0, which comes last; the pool to be tried first has 1",
      ],
    ],
  );
});

test("config check: no shipped manifest of ours has a field that its kind does not have", async () => {
  const { stdout } = await fairlead(`config check ${join(import.meta.dirname, "../../examples")}/bgp`);
  assert.doesNotMatch(stdout, /is no field/);
});

test("config check: a Service that can have no address is an error, a pool that is not there a warning", async (t) => {
  const service = (name: string, annotations: string): string =>
    `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {${annotations}}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n`;
  const broken = service("broken", 'metallb.io/loadBalancerIPs: "1.2.3.4,"');
  const astray = service("astray", "metallb.universe.tf/address-pool: dmo");
  const { code, stdout } = await fairlead(`config check ${folder(t, { "a.yaml": POOL + broken + astray })}`);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /Service default\/broken +- +error +it gets no address: invalid requested loadbalancer IPs: "" is/,
  );
  assert.match(stdout, /Service default\/astray +- +warning +it asks for the IPAddressPool "dmo", which is not here/);
  const alone = await fairlead(`config check ${folder(t, { "a.yaml": astray })}`);
  assert.deepEqual([alone.code, alone.stdout], [0, "1 object: no problems, no warnings\n"]);
});

const TWO = `${PEER.replace("peerASN: 0", "peerASN: 1").replace("holdTime: 1s", "nodeSelectors: [{matchLabels: {rack: a}}]")}---
${PEER.replace("router", "other").replace("peerASN: 0", "peerASN: 1").replace("holdTime: 1s", "nodeSelectors: [{matchLabels: {rack: b}}]")}`;
const node = (name: string, rack: string): string =>
  `---\napiVersion: v1\nkind: Node\nmetadata: {name: ${name}, labels: {rack: ${rack}}}\n`;

test("config check: Node objects make rules about nodes exact", async (t) => {
  const without = await fairlead(`config check ${folder(t, { "a.yaml": TWO })}`);
  assert.equal(without.code, 1);
  assert.match(without.stdout, /duplicate definition of peer/);
  const nodes = await fairlead(`config check ${folder(t, { "a.yaml": TWO + node("n1", "a") + node("n2", "b") })}`);
  assert.deepEqual([nodes.code, nodes.stdout], [0, "4 objects: no problems, no warnings\n"]);
});

test("config check -n: configuration elsewhere is refused with the webhook's words", async (t) => {
  const kinds = [
    ["IPAddressPool", "{addresses: [10.0.0.0/24]}"],
    ["L2Advertisement", "{}"],
    ["BGPAdvertisement", "{}"],
    ["BFDProfile", "{}"],
    ["Community", "{communities: []}"],
  ] as const;
  const text = kinds.map(
    ([kind, spec]) =>
      `apiVersion: metallb.io/v1beta1\nkind: ${kind}\nmetadata: {name: x, namespace: other}\nspec: ${spec}\n`,
  );
  const peer = PEER.replace("metallb-system", "other")
    .replace("peerASN: 0", "peerASN: 1")
    .replace(", holdTime: 1s", "");
  const path = folder(t, { "a.yaml": [...text, peer].join("---\n") });
  const { code, stdout } = await fairlead(`config check -n metallb-system ${path}`);
  assert.equal(code, 1);
  assert.equal(stdout.match(/resource must be created in metallb-system namespace/g)?.length, 6);
  assert.equal((await fairlead(`config check -n other ${path}`)).code, 0);
});

test("config check: an object in two files is refused", async (t) => {
  const path = folder(t, { "a.yaml": `${POOL}---\n${ADVERTISEMENT.replace("20", "32")}`, "b.yaml": POOL });
  const { code, stdout } = await fairlead(`config check ${path}`);
  assert.equal(code, 1);
  assert.match(stdout, /b\.yaml +1 +IPAddressPool metallb-system\/demo .*the object is in .*a\.yaml document 1 too/);
});

test("config check: a folder without manifests is a warning, none at all a usage error", async (t) => {
  const path = folder(t, { "README.txt": "" });
  const empty = await fairlead(`config check ${path}`);
  assert.equal(empty.code, 0);
  assert.match(empty.stdout, /warning +holds no manifest/);
  const none = await fairlead(`config check ${path}/nowhere`);
  assert.deepEqual([none.code, none.stdout], [2, ""]);
  assert.match(none.stderr, /There is no file or folder ".*nowhere"/);
  assert.equal((await fairlead("config check")).code, 2);
});

const OLD = `apiVersion: v1
kind: ConfigMap
metadata: {namespace: lb, name: config}
data:
  config: |
    peers:
    - {my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.1, hold-time: 90s}
    address-pools:
    - {name: l2, protocol: layer2, addresses: [192.168.1.0/24]}
`;

test("config convert: custom resources on stdout that config check accepts", async (t) => {
  const path = folder(t, { "old.yaml": OLD });
  const { code, stdout, stderr } = await fairlead(`config convert ${path}/old.yaml`);
  assert.deepEqual([code, stderr], [0, ""]);
  const check = await fairlead(`config check -n lb ${folder(t, { "new.yaml": stdout })}`);
  assert.deepEqual([check.code, check.stdout], [0, "3 objects: no problems, no warnings\n"]);
});

test("config convert: what was lost is on stderr, the rest on stdout; exit 1", async (t) => {
  const path = folder(t, { "old.yaml": OLD.replace("hold-time: 90s", "hold-tim: 90s") });
  const { code, stdout, stderr } = await fairlead(`config convert ${path}/old.yaml`);
  assert.equal(code, 1);
  assert.match(stdout, /kind: BGPPeer/);
  assert.match(stderr, /^peers\[0\]\.hold-tim: is no field here and left out: there are my-asn, /);
});

test("config convert: a file that is not there is a usage error", async () => {
  const { code, stderr } = await fairlead("config convert /nowhere.yaml");
  assert.equal(code, 2);
  assert.match(stderr, /Cannot read "\/nowhere.yaml": there is no such file/);
});

test("config convert: a file with nothing to convert is named", async (t) => {
  const path = folder(t, { "new.yaml": POOL });
  const { code, stdout, stderr } = await fairlead(`config convert ${path}/new.yaml`);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /new\.yaml: holds no configuration: neither a ConfigMap with the key "config", nor/);
});
