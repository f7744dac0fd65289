import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress } from "../net/address.ts";
import { EXCLUDED_INTERFACES } from "./config.ts";
import { nodeAddresses, selectDevices, type DeviceChoice, type NodeLink } from "./devices.ts";

const eth0: NodeLink = {
  name: "eth0",
  ifindex: 2,
  mac: "02:00:00:00:00:01",
  up: true,
  noarp: false,
  addresses: ["192.168.10.201/24"],
};
const choice: DeviceChoice = {
  exclude: new RegExp(EXCLUDED_INTERFACES),
  only: undefined,
  endpointDevices: new Set(["fl1"]),
};

describe("selectDevices", () => {
  const rows: readonly { name: string; link: Partial<NodeLink>; choice?: Partial<DeviceChoice>; chosen: boolean }[] = [
    { name: "an ordinary device", link: {}, chosen: true },
    { name: "a device that is down", link: { up: false }, chosen: false },
    { name: "a port of a bridge", link: { master: "br0" }, chosen: false },
    { name: "a device without ARP", link: { noarp: true }, chosen: false },
    { name: "a device without an Ethernet address", link: { mac: "" }, chosen: false },
    { name: "a device with the address of nobody", link: { mac: "00:00:00:00:00:00" }, chosen: false },
    { name: "an excluded name", link: { name: "veth3" }, chosen: false },
    { name: "the host end of a pod", link: { name: "fl1" }, chosen: false },
    {
      name: "a device that was named, although excluded",
      link: { name: "veth3" },
      choice: { only: ["veth3"] },
      chosen: true,
    },
    { name: "a device that was not named", link: {}, choice: { only: ["eth1"] }, chosen: false },
    { name: "a device that was named but is down", link: { up: false }, choice: { only: ["eth0"] }, chosen: false },
    { name: "the host end of a pod, although named", link: { name: "fl1" }, choice: { only: ["fl1"] }, chosen: false },
  ];
  for (const row of rows) {
    test(`${row.chosen ? "takes" : "leaves"} ${row.name}`, () => {
      const devices = selectDevices([{ ...eth0, ...row.link }], { ...choice, ...row.choice });
      assert.deepEqual(
        devices.map(({ ifindex }) => ifindex),
        row.chosen ? [2] : [],
      );
    });
  }
});

test("nodeAddresses: each address once, without prefix lengths, without loopback", () => {
  const lo: NodeLink = { ...eth0, name: "lo", addresses: ["127.0.0.1/8", "::1/128", "10.9.9.9/32", "nonsense"] };
  const texts = nodeAddresses([lo, eth0, { ...eth0, name: "eth1", addresses: ["fe80::1/64", "192.168.10.201"] }]).map(
    formatAddress,
  );
  assert.deepEqual(texts, ["10.9.9.9", "192.168.10.201", "fe80::1"]);
});
