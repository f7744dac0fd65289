import assert from "node:assert/strict";
import { after, test } from "node:test";
import { findWays, readWays } from "./routes.ts";
import { openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
after(() => sandbox[Symbol.dispose]());

test("the way to each address is its route and what is known of the next hop, or the kernel's refusal", async () => {
  sandbox.run(`ip link add eth0 type veth peer name far0; ip link set eth0 up; ip link set far0 up
    ip address add 192.168.10.1/24 dev eth0; ip address add fd00::1/64 dev eth0 nodad
    ip route add 10.244.1.0/24 via 192.168.10.2; ip route add 10.244.2.0/24 via inet6 fd00::2 dev eth0
    ip neigh add 192.168.10.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
    ip route add prohibit 203.0.113.9`);
  const addresses = ["203.0.113.1", "10.244.1.2", "10.244.2.2", "203.0.113.9", "fd00::3"];
  assert.deepEqual(await findWays(addresses), [
    { ok: false, refusal: "Network is unreachable" },
    { ok: true, way: { device: "eth0", via: "192.168.10.2", neighbor: "PERMANENT" } },
    { ok: true, way: { device: "eth0", via: "fd00::2", neighbor: undefined } },
    { ok: false, refusal: "Permission denied" },
    { ok: true, way: { device: "eth0", via: undefined, neighbor: undefined } },
  ]);
  assert.deepEqual(await findWays([]), []);
});

test("a next hop that does not answer is told, on its own device only", () => {
  const stdout = '[{"dst":"10.0.0.1","dev":"eth0"}]\n[{"dst":"10.1.0.1","gateway":"10.0.0.2","dev":"eth1"}]\n';
  const neighbors =
    '[{"dst":"10.0.0.1","dev":"eth0","state":["FAILED"]},{"dst":"10.0.0.2","dev":"eth0","state":["FAILED"]}]';
  const ways = readWays(["10.0.0.1", "10.1.0.1"], { stdout, stderr: "", neighbors });
  assert.deepEqual(
    ways.map((each) => each.ok && each.way.neighbor),
    ["FAILED", undefined],
  );
});

test("what iproute2 prints for nothing is no way", () => {
  for (const printed of ["", "[]", "[{}]", "{}"]) {
    const [found] = readWays(["10.0.0.1"], { stdout: printed, stderr: "", neighbors: printed });
    assert.deepEqual(found, { ok: false, refusal: "ip route get says nothing" }, printed);
  }
});
