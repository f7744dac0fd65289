import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../net/address.ts";
import { parseConnections } from "./connections.ts";

test("connections are read as ss prints them: both families, link-local ones with their device, IPv4 on IPv6 sockets", () => {
  const text = [
    "0      0          172.16.1.11:41234     172.16.1.1:179  ",
    "0      0     172.16.1.11%eth0:179       172.16.1.2:40000",
    "0      12   [2001:db8::11]:179   [2001:db8::1]:51000",
    "0      0    [fe80::11]%eth1:40001 [fe80::1]%eth1:179",
    "0      0    [::ffff:10.0.0.2]:179 [::ffff:10.0.0.1]:50000",
    "",
  ].join("\n");
  const rows = parseConnections(text).map(
    ({ local, localPort, peer, peerDevice = "", peerPort }) =>
      `${formatAddress(local)} ${localPort} ${formatAddress(peer)}%${peerDevice} ${peerPort}`,
  );
  assert.deepEqual(rows, [
    "172.16.1.11 41234 172.16.1.1% 179",
    "172.16.1.11 179 172.16.1.2% 40000",
    "2001:db8::11 179 2001:db8::1% 51000",
    "fe80::11 40001 fe80::1%eth1 179",
    "10.0.0.2 179 10.0.0.1% 50000",
  ]);
});

test("what is no connection is passed over", () => {
  assert.deepEqual(parseConnections("Recv-Q Send-Q Local Address:Port\n0 0 *:179 *:*\nnonsense\n"), []);
});
