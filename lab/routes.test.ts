import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRoutes } from "./routes.ts";

test("routes of daemons are read with all their next hops, of one family and the other, and others are left out", () => {
  const json = JSON.stringify([
    { dst: "10.244.1.0/24", gateway: "172.16.1.11", dev: "eth0", flags: [] },
    {
      dst: "10.254.254.1",
      nhid: 20,
      protocol: "bgp",
      metric: 20,
      nexthops: [
        { gateway: "172.16.1.11", dev: "eth0", weight: 1, flags: [] },
        { gateway: "172.16.2.21", dev: "eth1", weight: 3, flags: [] },
      ],
    },
    { dst: "203.0.113.0", protocol: "bgp", via: { family: "inet6", host: "fe80::1" }, dev: "node1if" },
    { dst: "203.0.113.4/30", protocol: "bird", gateway: "10.0.0.1", dev: "eth0" },
    { dst: "172.16.1.0/24", protocol: "kernel", dev: "eth0" },
  ]);
  assert.deepEqual(parseRoutes(json, 32), [
    {
      prefix: "10.254.254.1/32",
      nextHops: [
        { gateway: "172.16.1.11", device: "eth0", weight: 1 },
        { gateway: "172.16.2.21", device: "eth1", weight: 3 },
      ],
    },
    { prefix: "203.0.113.0/32", nextHops: [{ gateway: "fe80::1", device: "node1if", weight: 1 }] },
    { prefix: "203.0.113.4/30", nextHops: [{ gateway: "10.0.0.1", device: "eth0", weight: 1 }] },
  ]);
});

test("IPv6 lists equal paths as routes of their own; they are one route all the same", () => {
  const row = { dst: "2001:db8:113::", protocol: "bird", dev: "eth0" };
  const routes = parseRoutes(
    JSON.stringify([
      { ...row, gateway: "fd91::11" },
      { ...row, gateway: "fd91::12" },
    ]),
    128,
  );
  assert.deepEqual(
    routes.map(({ prefix, nextHops }) => [prefix, nextHops.map(({ gateway }) => gateway)]),
    [["2001:db8:113::/128", ["fd91::11", "fd91::12"]]],
  );
});
