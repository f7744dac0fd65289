import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { BGP_PORT, CONNECT_TIME_SECONDS, HOLD_TIME_SECONDS, needsReset, type SessionConfig } from "./config.ts";

const session: SessionConfig = {
  name: "tor",
  localAsn: 64512,
  peerAsn: 64513,
  peer: { type: "address", address: address("192.0.2.1") },
  port: BGP_PORT,
  initiation: "dial",
  holdTimeSeconds: HOLD_TIME_SECONDS,
  connectTimeSeconds: CONNECT_TIME_SECONDS,
  families: ["IPv4"],
};

describe("a changed configuration", () => {
  const resetting: readonly (Partial<SessionConfig> & { readonly name: string })[] = [
    { name: "localAsn", localAsn: 1 },
    { name: "peerAsn", peerAsn: "external" },
    { name: "peer", peer: { type: "address", address: address("192.0.2.2") } },
    { name: "port", port: 1179 },
    { name: "sourceAddress", sourceAddress: address("192.0.2.9") },
    { name: "bindDevice", bindDevice: "vrf-red" },
    { name: "holdTimeSeconds", holdTimeSeconds: 0 },
    { name: "routerId", routerId: address("192.0.2.9") },
    { name: "password", password: "secret" },
    { name: "ttl", ttl: 4 },
    { name: "ttlSecurityHops", ttlSecurityHops: 1 },
    { name: "families", families: ["IPv4", "IPv6"] },
    { name: "gracefulRestart", gracefulRestart: { restartTimeSeconds: 120, notifications: false } },
    { name: "role", role: "customer" },
  ];
  for (const { name, ...change } of resetting)
    test(`ends the session for ${name}`, () => assert.equal(needsReset(session, { ...session, ...change }), name));

  const quiet: readonly (Partial<SessionConfig> & { readonly label: string })[] = [
    { label: "who dials", initiation: "both" },
    { label: "another password", password: "second" },
    { label: "the pause between attempts", connectTimeSeconds: 5 },
    { label: "the keepalive time", keepaliveTimeSeconds: 1 },
    { label: "the prefix limit", receivedPrefixesMax: 10 },
    { label: "strict roles", roleRequired: true },
    { label: "strict BFD", bfdStrict: true },
    { label: "the same written in another order", peer: { address: address("192.0.2.1"), type: "address" } },
  ];
  for (const { label, ...change } of quiet)
    test(`leaves the session alone for ${label}`, () =>
      assert.equal(
        needsReset(change.password === undefined ? session : { ...session, password: "first" }, {
          ...session,
          ...change,
        }),
        undefined,
      ));

  test("ends the session for a password that is taken away", () =>
    assert.equal(needsReset({ ...session, password: "first" }, session), "password"));
});
