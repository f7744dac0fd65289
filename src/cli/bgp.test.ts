import assert from "node:assert/strict";
import { test } from "node:test";
import { fairlead, serveDocuments } from "./agent.fixture.ts";
import { bgpReceived, bgpRoutes } from "./bgp.fixture.ts";
import { documents } from "./documents.fixture.ts";

const TABLES: readonly { readonly line: string; readonly table: string }[] = [
  {
    line: "bgp peers",
    table: `
PEER     ADDRESS                        AS   OUR AS   STATE           FOR   FAMILIES    HOLD   ANNOUNCED   RECEIVED   PROBLEMS
backup   fe80::1%eth1 port 1790   external     7776   active          42s   IPv4 IPv6      -           0          0   the peer refuses: Bad Peer AS
router   172.16.1.1                   7675     7776   established   2m59s   IPv4         90s           2          1   -
`,
  },
  {
    line: "bgp routes --peer router",
    table: `
PEER     PREFIX          LOCAL_PREF   MED   PREPEND   COMMUNITIES   SERVICES     TOLD
router   10.254.0.0/16          150    20         2   64512:1       a/a          yes
                                                      no-export     b/b
                                                                    c/c
                                                                    d/d
                                                                    e/e
                                                                    and 2 more
router   10.244.0.0/24            -     -         -   -             -            yes
`,
  },
  {
    line: "bgp routes --peer backup",
    table: `
PEER     PREFIX            LOCAL_PREF   MED   PREPEND   COMMUNITIES   SERVICES      TOLD
backup   10.254.254.1/32            -     -         -   -             default/web   no: session is down
`,
  },
  {
    line: "bgp received",
    table: `
PEER     PREFIX            NEXT HOP
router   10.254.254.1/32   172.16.2.21
`,
  },
  {
    line: "bgp capabilities",
    table: `
PEER     CAPABILITY           OURS   THEIRS
router   multiprotocol IPv4   yes    yes
router   four-octet AS 7776   yes    -
router   route refresh        -      yes
`,
  },
  {
    line: "bgp bfd",
    table: `
PEER     ADDRESS                   STATE                        THEIRS     FOR   FLAPS   INTERVAL   DETECTION   LONGEST PAUSE   ECHO                    DISCARDED          PROBLEM
router   172.16.1.1                up                           up       2m59s       1      100ms       300ms           131ms   50ms, 399 of 400 back   2 wrongKey         -
                                                                                                                                                        1 unknownSession
uplink   fe80::1%eth1 (multihop)   down: detectionTimeExpired   down       30s       0     1000ms           -               -   -                       -                  port 4784 is taken
`,
  },
  {
    line: "bgp log",
    table: `
TIME                       PEER     FROM          TO            REASON
2026-11-21 11:57:00.120Z   router   openConfirm   established   the peer agreed
2026-11-21 11:59:18Z       backup   openSent      active        the peer refuses: Bad Peer AS (3 times)
`,
  },
];

for (const { line, table } of TABLES) {
  test(`${line} is drawn as an aligned table`, async () => {
    await using agent = await serveDocuments(documents);
    const { code, stdout, stderr } = await fairlead(`${line} --socket ${agent.socket}`);
    assert.equal(`\n${stdout}`, table);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  });
}

test("in json the rows are the agent's, those of one peer where it is asked for", async () => {
  await using agent = await serveDocuments(documents);
  const all = await fairlead(`bgp routes -o json --socket ${agent.socket}`);
  assert.deepEqual(JSON.parse(all.stdout), bgpRoutes);
  const one = await fairlead(`bgp received --peer backup -o json --socket ${agent.socket}`);
  assert.deepEqual(JSON.parse(one.stdout), []);
  assert.equal(bgpReceived.length, 1);
});

test("a peer that called from a prefix is found by the prefix's name, and not by the beginning of another name", async () => {
  const [, router] = documents["/v1/bgp/peers"];
  assert.ok(router !== undefined);
  const peers = [
    { ...router, name: "racks/10.0.0.7" },
    { ...router, name: "racks2" },
  ];
  await using agent = await serveDocuments({ "/v1/bgp/peers": peers });
  const { stdout } = await fairlead(`bgp peers --peer racks -o json --socket ${agent.socket}`);
  assert.deepEqual(
    (JSON.parse(stdout) as { peer: string }[]).map(({ peer }) => peer),
    ["racks/10.0.0.7"],
  );
});

const EMPTY = [
  ["bgp peers", "/v1/bgp/peers", "No BGP session\n"],
  ["bgp routes --peer x", "/v1/bgp/routes", "No routes of peer x\n"],
  ["bgp received", "/v1/bgp/received", "No routes received\n"],
  ["bgp capabilities", "/v1/bgp/peers", "No capabilities: no session is up\n"],
  ["bgp bfd", "/v1/bgp/bfd", "No BFD session\n"],
  ["bgp log", "/v1/bgp/peers", "Nothing has happened yet\n"],
] as const;

for (const [line, path, says] of EMPTY) {
  test(`${line} says in a sentence that there is nothing`, async () => {
    await using agent = await serveDocuments({ [path]: [] });
    assert.equal((await fairlead(`${line} --socket ${agent.socket}`)).stdout, says);
  });
}
