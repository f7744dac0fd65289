import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress } from "../../net/address.ts";
import type { SessionConfig } from "../../protocol/bgp/config.ts";
import { configure, goodPeer, type Spec } from "./configuration.fixture.ts";
import { sessionOf } from "./sessions.ts";

function session(fields: Spec, annotations: Readonly<Record<string, string>> = {}): SessionConfig {
  const peer = { ...goodPeer(fields), metadata: { annotations } };
  const row = { peers: { peer }, bfd: { fast: {} }, secrets: {} };
  const found = configure(row).peers.get("peer");
  assert.ok(found !== undefined);
  return sessionOf(found);
}

test("a BGPPeer with nothing but the least becomes a session with the defaults of the speaker", () => {
  const { peer, ...rest } = session({});
  assert.ok(peer.type === "address");
  assert.equal(formatAddress(peer.address), "10.0.0.1");
  assert.deepEqual(rest, {
    name: "peer",
    localAsn: 64512,
    peerAsn: 64513,
    port: 179,
    initiation: "dial",
    holdTimeSeconds: 90,
    connectTimeSeconds: 30,
    families: ["IPv4"],
  });
});

describe("a field of a BGPPeer reaches its session", () => {
  const rows: readonly (readonly [
    fields: Spec,
    annotations: Readonly<Record<string, string>>,
    wanted: Partial<SessionConfig>,
  ])[] = [
    [{ localASN: 64999 }, {}, { localAsn: 64999 }],
    [{ peerASN: 0, dynamicASN: "external" }, {}, { peerAsn: "external" }],
    [{ peerPort: 1790 }, {}, { port: 1790 }],
    [{ holdTime: "0s", keepaliveTime: "0s" }, {}, { holdTimeSeconds: 0, keepaliveTimeSeconds: 0 }],
    [{ keepaliveTime: "10s" }, {}, { holdTimeSeconds: 30, keepaliveTimeSeconds: 10 }],
    [{ connectTime: "5s" }, {}, { connectTimeSeconds: 5 }],
    [{ password: "s3cret" }, {}, { password: "s3cret" }],
    [{ vrf: "red" }, {}, { bindDevice: "red" }],
    [{ dualStackAddressFamily: true }, {}, { families: ["IPv4", "IPv6"] }],
    [{ peerAddress: "2001:db8::1" }, {}, { families: ["IPv6"] }],
    [
      { peerAddress: "", interface: "up0" },
      {},
      { families: ["IPv4", "IPv6"], peer: { type: "interface", device: "up0" } },
    ],
    [{ enableGracefulRestart: true }, {}, { gracefulRestart: { restartTimeSeconds: 120, notifications: false } }],
    [
      { enableGracefulRestart: true },
      { "fairlead.io/restart-time": "30s", "fairlead.io/long-lived-restart-time": "1h" },
      { gracefulRestart: { restartTimeSeconds: 30, notifications: false, longLivedSeconds: 3600 } },
    ],
    [{}, { "fairlead.io/passive": "true" }, { initiation: "accept" }],
    [{ peerAddress: "" }, { "fairlead.io/peer-prefix": "10.0.0.0/24" }, { initiation: "accept", families: ["IPv4"] }],
    [{}, { "fairlead.io/ttl-security-hops": "1" }, { ttlSecurityHops: 1 }],
    [{}, { "fairlead.io/role": "customer" }, { role: "customer", roleRequired: false }],
    [{}, { "fairlead.io/received-prefixes-max": "100" }, { receivedPrefixesMax: 100 }],
    [{ bfdProfile: "fast" }, { "fairlead.io/bfd-strict": "true" }, { bfdStrict: true }],
  ];
  for (const [fields, annotations, wanted] of rows) {
    test(`${JSON.stringify(fields)} ${JSON.stringify(annotations)}`, () => {
      const found = session(fields, annotations);
      for (const [key, value] of Object.entries(wanted)) assert.deepEqual(found[key as keyof SessionConfig], value);
    });
  }
  test("source address and router ID", () => {
    const { sourceAddress, routerId } = session({ sourceAddress: "10.0.0.7", routerID: "1.2.3.4" });
    assert.ok(sourceAddress !== undefined && routerId !== undefined);
    assert.deepEqual([sourceAddress, routerId].map(formatAddress), ["10.0.0.7", "1.2.3.4"]);
  });
  test("strict BFD without a profile would wait for ever: it is not asked for", () => {
    assert.equal(session({}, { "fairlead.io/bfd-strict": "true" }).bfdStrict, undefined);
  });
});
