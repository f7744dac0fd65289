import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { test } from "node:test";
import type { ApiDocuments } from "../observe/status.ts";
import { documents, troubledStatus } from "./documents.fixture.ts";
import { fairlead, serveDocuments } from "./agent.fixture.ts";

const TABLES: readonly { readonly line: string; readonly table: string }[] = [
  {
    line: "status",
    table: `
Node         worker1
Agent        0.1.0, up 3m12s, ready
Peers        2
Stamp        valid for 59s
Services     2 with 3 frontends and 6 backends
Announced    1 addresses here
Endpoints    2 pods attached
Reconciled   12 times, 5s ago, took 3.3 ms, 4 rows written

Devices
  DEVICE   MAC                 XDP      TC    ADDRESSES
  eth0     02:00:00:00:00:02   native   yes   192.168.10.202
                                              fc00:f853:ccd:e799::f202
  eth1     02:00:00:00:00:03   none     yes   -

Packets
  VERDICT          PACKETS
  foreign             1204
  forwarded            310
  drop_truncated         2
`,
  },
  {
    line: "services",
    table: `
SERVICE       ADDRESSES                PORTS           POLICY    ALGORITHM   BACKENDS                                 ANNOUNCER           PROBLEM
default/web   192.168.10.0             80/TCP → 8080   Cluster   maglev      6 (2 here), 1 not ready, 2 terminating   worker2             -
              fc00:f853:ccd:e799::f0   53/UDP
shop/cart     -                        443/TCP         Local     random      none                                     nobody: noAddress   Failed to allocate IP: no available IPs
                                                                                                                                          no pool has a free address
shop/till     10.254.254.1             443/TCP         Cluster   maglev      1 (1 here)                               here, BGP: router   -
`,
  },
  {
    line: "nodes",
    table: `
NODE      ADDRESS          STATE               STAMP   LAST ANSWER
worker1   192.168.10.202   self                  59s             -
worker2   192.168.10.203   abandoned              0s         101ms
worker3   fd00::1          gone                    -          1h2m
worker4   -                alive                   -             -
worker5   192.168.10.205   alive, agent away     41s             -
`,
  },
  {
    line: "pools",
    table: `
POOL                  RANGES                     AUTO   AVOID BUGGY   IPV4 TAKEN                           IPV6 TAKEN
metallb-system/demo   192.168.10.0/24            yes    no              3 of 256                             16 of 16
                      fc00:f853:ccd:e799::/124
metallb-system/huge   2001:db8::/32              no     yes                    -   1 of 79228162514264337593543950336
`,
  },
  {
    line: "bpf lb list",
    table: `
SERVICE       ID   FRONTEND                     MAGLEV   FLAGS       BACKENDS
default/web    7   192.168.10.0:80/TCP             251   localOnly   1: 10.244.1.2:8080 (here)
                                                                     2: [fd00:10:244:2::2]:8080 (terminating)
default/web    7   192.168.10.0 (other ports)        -   address     -
`,
  },
  {
    line: "bpf ct list",
    table: `
PROTOCOL   SOURCE                 DESTINATION       TO SOURCE   TO DESTINATION    DEVICE   SERVICE       BACKEND   FLAGS              IDLE   PACKETS   BYTES
TCP        192.168.10.250:40000   192.168.10.0:80   same        10.244.1.2:8080   fl1      default/web         1   peer,established   1m5s        12    3456
`,
  },
  {
    line: "bpf backends list",
    table: `
ID   BACKEND           PROTOCOL   STATE      HERE   GENERATION
 1   10.244.1.2:8080   TCP        active     yes             3
 2   [fd00::2]:53      -          notReady   no              -
`,
  },
  {
    line: "bpf announced list",
    table: `
ADDRESS        DEVICE   REQUESTS   ANSWERS
192.168.10.0   eth0           18        17
`,
  },
  {
    line: "bpf drops list",
    table: `
REASON                  SERVICE       PACKETS
rejected_unknown_port   default/web         4
drop_truncated          -                   2
`,
  },
];
const TROUBLED = `
Node         worker1
Agent        0.1.0, up 3m12s, not ready: its objects are not in the kernel yet
Peers        2, all silent: isolated
Stamp        run out: ARP and NDP are not answered
Services     2 with 3 frontends and 6 backends
Announced    1 addresses here
Endpoints    2 pods attached
Reconciled   not yet
BMP          [fd00::9]:5000, not connected: connect ECONNREFUSED

Services nobody answers for
  shop/cart: no address: no pool has a free address
  shop/web: noEndpoints
  and 10 more; \`fairlead services\` lists all

Hazards of this node
  ReversePathFilter eth1: clients beyond its own network are dropped
    → sysctl net.ipv4.conf.eth1.rp_filter=2
  GenericXDP (advice) eth0: it is slower
    → A newer driver.

Problems
  IPAddressPool metallb-system/demo: spec.addresses[1]: range 10.0.0.9-10.0.0.1 ends before it starts
  manifests/broken.yaml: document 2 is not YAML
`;

for (const { line, table } of TABLES) {
  test(`${line} is drawn as an aligned table`, async () => {
    await using agent = await serveDocuments(documents);
    const { code, stdout, stderr } = await fairlead(`${line} --socket ${agent.socket}`);
    assert.equal(`\n${stdout}`, table);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  });
}

test("a troubled agent is shown with its problems, and status exits with 1 in every format", async () => {
  await using agent = await serveDocuments({ "/v1/status": troubledStatus });
  const drawn = await fairlead(`status --socket ${agent.socket}`);
  assert.equal(`\n${drawn.stdout}`, TROUBLED);
  assert.equal(drawn.code, 1);
  assert.equal((await fairlead(`status -o json --socket ${agent.socket}`)).code, 1);
});

const EMPTY: readonly { readonly line: string; readonly path: keyof ApiDocuments; readonly says: RegExp }[] = [
  { line: "services", path: "/v1/services", says: /^No Service/ },
  { line: "nodes", path: "/v1/nodes", says: /^No nodes/ },
  { line: "pools", path: "/v1/pools", says: /get no address/ },
  { line: "bpf lb list", path: "/v1/bpf/lb", says: /^No frontends/ },
  { line: "bpf ct list", path: "/v1/bpf/ct", says: /^No connections/ },
  { line: "bpf backends list", path: "/v1/bpf/backends", says: /^No backends/ },
  { line: "bpf announced list", path: "/v1/bpf/announced", says: /answers for no address/ },
  { line: "bpf drops list", path: "/v1/bpf/drops", says: /^Nothing was dropped/ },
];

for (const { line, path, says } of EMPTY) {
  test(`${line} says in a sentence that there is nothing, and [] in json`, async () => {
    await using agent = await serveDocuments({ [path]: [] });
    const drawn = await fairlead(`${line} --socket ${agent.socket}`);
    assert.match(drawn.stdout, says);
    assert.equal(drawn.stdout.split("\n").length, 2);
    assert.equal((await fairlead(`${line} -o json --socket ${agent.socket}`)).stdout, "[]\n");
  });
}

test("colours appear on a terminal, do not move a column, and respect NO_COLOR", async () => {
  await using agent = await serveDocuments(documents);
  const plain = await fairlead(`nodes --socket ${agent.socket}`);
  const coloured = await fairlead(`nodes --socket ${agent.socket}`, { isTTY: true });
  const declined = await fairlead(`nodes --socket ${agent.socket}`, { isTTY: true, env: { NO_COLOR: "1" } });
  const notDeclined = await fairlead(`nodes --socket ${agent.socket}`, { isTTY: true, env: { NO_COLOR: "" } });
  assert.notEqual(coloured.stdout, plain.stdout);
  assert.equal(stripVTControlCharacters(coloured.stdout), plain.stdout);
  assert.equal(declined.stdout, plain.stdout);
  assert.equal(notDeclined.stdout, coloured.stdout);
});

test("json has no colours on a terminal", async () => {
  await using agent = await serveDocuments(documents);
  const { stdout } = await fairlead(`nodes -o json --socket ${agent.socket}`, { isTTY: true });
  assert.deepEqual(JSON.parse(stdout), documents["/v1/nodes"]);
});

test("version names this program and the agent", async () => {
  await using agent = await serveDocuments(documents);
  const { code, stdout } = await fairlead(`version --socket ${agent.socket}`);
  assert.equal(code, 0);
  assert.match(stdout, /^fairlead \d+\.\d+\.\d+ \(Node\.js v\d+.*\)\nagent {4}0\.1\.0 on worker1\n$/);
});

test("version needs no agent, unless it is told which", async () => {
  const without = await fairlead("version -o json");
  assert.equal(without.code, 0);
  assert.match(without.stdout, /"unreachable": "Cannot find an agent/);
  const told = await fairlead("version --socket /nonexistent/agent.sock");
  assert.deepEqual({ code: told.code, stdout: told.stdout }, { code: 3, stdout: "" });
});
