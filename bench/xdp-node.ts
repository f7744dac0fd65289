/**
 * A node for BPF_PROG_TEST_RUN: a network namespace with an uplink and a next hop that is always resolved, and the datapath's maps filled
 * by the product's own planner. The benchmark programs (bench/bpf/xdp_bench.bpf.c) share these maps.
 */
import { execFileSync } from "node:child_process";
import { attachXdp, detachPinned } from "../src/kernel/link.ts";
import { enterNamespace } from "../src/kernel/namespace.ts";
import { loadObject, type LoadedObject } from "../src/kernel/object.ts";
import { ensureBpffs } from "../src/kernel/bpffs.ts";
import { MAGLEV_SEED } from "../src/agent/datapath.ts";
import { openMaps } from "../src/agent/maps.ts";
import { applyForwarding } from "../src/datapath/apply.ts";
import { filterHash, setFilterBit } from "../src/datapath/filter.ts";
import { planForwarding } from "../src/datapath/plan.ts";
import { readTables } from "../src/datapath/tables.ts";
import { address } from "../src/net/address.ts";
import type { Frontend } from "../src/service/frontends.ts";
import { removeBpffs } from "./leftovers.ts";

export interface XdpNode extends Disposable {
  readonly ifindex: number;
  readonly maps: LoadedObject;
  /** The benchmark's programs on the node's maps, with these constants. */
  load(constants: Readonly<Record<string, number>>): LoadedObject;
}

const OBJECT = new URL("../bpf/build/xdp_bench.bpf.o", import.meta.url).pathname;
const ADDRESS = "192.168.10.201";

const BUILD = `
  sysctl -qw net.ipv4.ip_forward=1
  ip link add eth0 address 02:00:00:00:02:01 type veth peer name far0
  ip link set lo up; ip link set eth0 up; ip link set far0 up
  ip address add ${ADDRESS}/24 dev eth0
  ip neighbor add 192.168.10.202 lladdr 02:00:00:00:02:02 dev eth0
  ip route add 10.0.0.0/8 via 192.168.10.202`;

export function openXdpNode(frontends: ReadonlyMap<string, readonly Frontend[]>): XdpNode {
  const name = `fl-bench-${process.pid}`;
  const pins = `/run/fairlead/bpf-${name}`;
  execFileSync("ip", ["netns", "add", name]);
  const leave = enterNamespace(`/run/netns/${name}`);
  const remove = (): void => {
    leave();
    removeBpffs(pins);
    execFileSync("ip", ["netns", "del", name]);
  };
  ensureBpffs(pins);
  try {
    execFileSync("sh", ["-ec", BUILD]);
    const [row] = JSON.parse(execFileSync("ip", ["-j", "link", "show", "dev", "eth0"], { encoding: "utf8" })) as {
      ifindex: number;
    }[];
    const ifindex = row?.ifindex ?? 0;
    const maps = loadObject({ path: OBJECT, programs: ["bench_trivial"] });
    program(maps, frontends);
    maps.map("devices").update(new Uint8Array(Uint32Array.of(ifindex).buffer), Uint8Array.of(2, 0, 0, 0, 2, 1, 0, 0));
    // A packet can only be said to come by a device whose XDP queues are open.
    attachXdp({ name: "eth0", ifindex }, maps.program("bench_trivial"), `${pins}/eth0`);
    return {
      ifindex,
      maps,
      load: (constants) =>
        loadObject({ path: OBJECT, shareWith: maps, rodata: { maglev_seed: MAGLEV_SEED, ...constants } }),
      [Symbol.dispose]() {
        detachPinned(`${pins}/eth0`);
        maps.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function program(object: LoadedObject, frontends: ReadonlyMap<string, readonly Frontend[]>): void {
  const { forwarding } = openMaps((name) => object.map(name));
  const plan = planForwarding(readTables(forwarding), frontends, { seed: MAGLEV_SEED, now: performance.now() });
  applyForwarding(plan, forwarding, MAGLEV_SEED);
  setFilterBit(forwarding.filter, "node", filterHash(address(ADDRESS)));
}
