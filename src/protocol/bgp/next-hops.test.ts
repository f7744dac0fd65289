import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, formatAddress } from "../../net/address.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import type { NextHop } from "./multiprotocol.ts";
import { nextHopsOf, type LocalInterface } from "./next-hops.ts";

function device(name: string, ...addresses: readonly string[]): LocalInterface {
  return {
    name,
    addresses: addresses.map((text) => {
      const [ip = "", length] = text.split("/");
      return { address: address(ip), prefixLength: Number(length) };
    }),
  };
}

const dual = device("eth0", "10.0.0.11/24", "fd00::11/64", "fe80::11/64");
const fourOnly = device("eth0", "10.0.0.11/24", "fe80::11/64");
const sixOnly = device("eth0", "fd00::11/64", "fe80::11/64");
const bare = device("up0", "fe80::11/64");
const other = device("eth1", "10.9.0.11/24", "fd09::11/64", "fe80::99/64");

function text(nextHop: NextHop | undefined): string {
  if (nextHop === undefined) return "none";
  const { address: first, linkLocal } = nextHop;
  return linkLocal === undefined ? formatAddress(first) : `${formatAddress(first)} + ${formatAddress(linkLocal)}`;
}

const CASES: readonly {
  readonly name: string;
  readonly on: LocalInterface;
  readonly local: string;
  readonly remote: string;
  readonly extended?: boolean;
  readonly bare?: boolean;
  readonly IPv4: string;
  readonly IPv6: string;
}[] = [
  {
    name: "IPv4, dual stack",
    on: dual,
    local: "10.0.0.11",
    remote: "10.0.0.1",
    IPv4: "10.0.0.11",
    IPv6: "fd00::11 + fe80::11",
  },
  {
    name: "IPv4, the peer beyond the link",
    on: dual,
    local: "10.0.0.11",
    remote: "192.0.2.1",
    IPv4: "10.0.0.11",
    IPv6: "fd00::11",
  },
  {
    name: "IPv4, no global IPv6: never a mapped or a link-local one",
    on: fourOnly,
    local: "10.0.0.11",
    remote: "10.0.0.1",
    IPv4: "10.0.0.11",
    IPv6: "none",
  },
  {
    name: "IPv6, dual stack",
    on: dual,
    local: "fd00::11",
    remote: "fd00::1",
    IPv4: "10.0.0.11",
    IPv6: "fd00::11 + fe80::11",
  },
  { name: "IPv6 alone", on: sixOnly, local: "fd00::11", remote: "fd00::1", IPv4: "none", IPv6: "fd00::11 + fe80::11" },
  {
    name: "IPv6 alone, RFC 8950 agreed",
    on: sixOnly,
    local: "fd00::11",
    remote: "fd00::1",
    extended: true,
    IPv4: "fd00::11 + fe80::11",
    IPv6: "fd00::11 + fe80::11",
  },
  {
    name: "unnumbered",
    on: bare,
    local: "fe80::11",
    remote: "fe80::1",
    extended: true,
    IPv4: "fe80::11 + fe80::11",
    IPv6: "fe80::11 + fe80::11",
  },
  {
    name: "unnumbered, bare link-local agreed",
    on: bare,
    local: "fe80::11",
    remote: "fe80::1",
    extended: true,
    bare: true,
    IPv4: "fe80::11",
    IPv6: "fe80::11",
  },
  {
    name: "unnumbered, no RFC 8950",
    on: bare,
    local: "fe80::11",
    remote: "fe80::1",
    IPv4: "none",
    IPv6: "fe80::11 + fe80::11",
  },
];

describe("next hops over", () => {
  for (const { name, on, local, remote, extended = false, bare: linkLocalNextHop = false, ...expected } of CASES)
    test(name, () => {
      const context = { ...INITIAL_CONTEXT, extendedNextHop: extended };
      const ends = { local: address(local), remote: address(remote) };
      const found = nextHopsOf(ends, [other, on], { context, linkLocalNextHop });
      assert.deepEqual({ IPv4: text(found.IPv4), IPv6: text(found.IPv6) }, expected);
    });

  test("an address that has just gone are those of the connection alone", () => {
    const ends = { local: address("10.0.0.77"), remote: address("10.0.0.1") };
    const found = nextHopsOf(ends, [dual], { context: INITIAL_CONTEXT, linkLocalNextHop: false });
    assert.deepEqual([text(found.IPv4), text(found.IPv6)], ["10.0.0.77", "none"]);
  });
});
