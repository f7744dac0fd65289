import assert from "node:assert/strict";
import { after, test } from "node:test";
import { findWay, parseNeighbor, parseRoute } from "./routes.ts";
import { openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
after(() => sandbox[Symbol.dispose]());

test("the way to an address is its route and what is known of the next hop, or the kernel's refusal", async () => {
  sandbox.run(`ip link add eth0 type veth peer name far0; ip link set eth0 up; ip link set far0 up
    ip address add 192.168.10.1/24 dev eth0; ip address add fd00::1/64 dev eth0 nodad
    ip route add 10.244.1.0/24 via 192.168.10.2; ip route add 10.244.2.0/24 via inet6 fd00::2 dev eth0
    ip neigh add 192.168.10.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent`);
  assert.deepEqual(await findWay("10.244.1.2"), {
    ok: true,
    way: { device: "eth0", via: "192.168.10.2", neighbor: "PERMANENT" },
  });
  assert.deepEqual(await findWay("10.244.2.2"), {
    ok: true,
    way: { device: "eth0", via: "fd00::2", neighbor: undefined },
  });
  assert.deepEqual(await findWay("fd00::3"), {
    ok: true,
    way: { device: "eth0", via: undefined, neighbor: undefined },
  });
  assert.deepEqual(await findWay("203.0.113.1"), { ok: false, refusal: "Network is unreachable" });
});

test("what iproute2 prints for nothing is nothing", () => {
  for (const text of ["", "[]", "[{}]", "{}"]) {
    assert.equal(parseRoute(text), undefined, text);
    assert.equal(parseNeighbor(text), undefined, text);
  }
  assert.equal(parseNeighbor('[{"dst":"10.0.0.1","state":["FAILED"]}]'), "FAILED");
});
