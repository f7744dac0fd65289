/** MetalLB's rows about ServiceBGPStatus, as decisions of one node. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { goodPeer } from "../announce/bgp/configuration.fixture.ts";
import { announcedBy, bgpInput, type AnnounceRow } from "../announce/bgp/desired.fixture.ts";
import { planRouteStatus } from "./route-status.ts";

const BASE: AnnounceRow = {
  peers: { a: goodPeer({}, 1), b: goodPeer({}, 2) },
  ads: { ad: {} },
  pools: { pool: { addresses: ["192.0.2.0/28"] } },
  services: { web: { ips: ["192.0.2.1"] } },
};
const ASSIGNED = 'event nodeAssigned default/web: announcing from node "iris1" with protocol "bgp"';

/** What is done, a line each. `written`: peers by Service. */
function planned(row: AnnounceRow, written: Readonly<Record<string, readonly string[]>> = {}, complete = true) {
  const { services } = bgpInput(row);
  const statuses = new Map(Object.entries(written).map(([service, peers]) => [service, { peers }]));
  const input = { node: "iris1", desired: announcedBy(row), snapshot: { services, complete }, statuses };
  return planRouteStatus(input).map((operation) => {
    if (operation.type !== "event")
      return `${operation.type} ${operation.service}: ${JSON.stringify(operation.write ?? "removed")}`;
    const { reason, message, regarding } = operation.write;
    return `event ${reason} ${regarding.namespace}/${regarding.name}: ${message}`;
  });
}

describe("the ServiceBGPStatus of a node", () => {
  const rows: readonly (readonly [name: string, plan: readonly string[], expected: readonly string[]])[] = [
    ["names all peers, with an event", planned(BASE), ['bgp default/web: {"peers":["a","b"]}', ASSIGNED]],
    ["is not written twice", planned(BASE, { "default/web": ["a", "b"] }), []],
    [
      "ignores an unknown peer of an advertisement",
      planned({ ...BASE, ads: { ad: { peers: ["b", "nobody"] } } }),
      ['bgp default/web: {"peers":["b"]}', ASSIGNED],
    ],
    [
      "loses a removed peer without an event",
      planned({ ...BASE, peers: { a: goodPeer() } }, { "default/web": ["a", "b"] }),
      ['bgp default/web: {"peers":["a"]}'],
    ],
    [
      "is put back after somebody edited it",
      planned(BASE, { "default/web": ["c"] }),
      ['bgp default/web: {"peers":["a","b"]}'],
    ],
    [
      "goes when the node is not selected any more",
      planned({ ...BASE, ads: { ad: { nodeSelectors: [{ matchLabels: { rack: "9" } }] } } }, { "default/web": ["a"] }),
      ['bgp default/web: "removed"'],
    ],
    [
      "goes with its Service",
      planned({ ...BASE, services: {} }, { "default/web": ["a"] }),
      ['bgp default/web: "removed"'],
    ],
    ["stays while its Service cannot be read", planned({ ...BASE, services: {} }, { "default/web": ["a"] }, false), []],
    [
      "goes when no peer is left",
      planned({ ...BASE, peers: {} }, { "default/web": ["a"] }),
      ['bgp default/web: "removed"'],
    ],
  ];
  for (const [name, plan, expected] of rows) test(name, () => assert.deepEqual(plan, expected));
});
