import assert from "node:assert/strict";
import { test } from "node:test";
import { drawScene } from "./draw.ts";
import { parseScene } from "./scene-file.ts";

test("a drawing shows each network with its hosts, pods below their node, and a host on two networks twice", () => {
  const parsed = parseScene(
    `name: demo
segments: [lan]
links: [up]
hosts:
  - { name: c, role: client, interfaces: [{ on: up, addresses: [10.1.0.1/30] }] }
  - { name: router, role: router, interfaces: [{ on: up, addresses: [10.1.0.2/30] }, { on: lan, addresses: [10.0.0.1/24] }] }
  - { name: n1, role: node, agent: true, interfaces: [{ on: lan, addresses: [10.0.0.2/24, "fd00::2/64"] }], podNetwork: { kind: routed, cidrs: [10.244.0.0/24] } }
pods: [{ name: a, node: n1 }, { name: bb, node: n1 }]
`,
    "demo.yaml",
    "/",
  );
  assert.ok(parsed.ok);
  assert.equal(
    `\n${drawScene(parsed.scene).join("\n")}\n`,
    `
lan (segment)
├── router  eth1  10.0.0.1/24              router
└── n1      eth0  10.0.0.2/24  fd00::2/64  node, agent, pods routed
    ├── a   10.244.0.2
    └── bb  10.244.0.3

up (link)
├── c       eth0  10.1.0.1/30  client
└── router  eth0  10.1.0.2/30  router
`,
  );
});
