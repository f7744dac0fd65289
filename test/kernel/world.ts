/**
 * A node as the datapath sees it: a network namespace with an uplink, a pod network behind another node, and the maps filled
 * by hand. `run` puts one frame through the XDP program and tells what became of it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { address, addressBytes } from "../../src/net/address.ts";
import {
  address_filter,
  announced,
  announced_key,
  backend,
  backend_state,
  device,
  endpoint,
  frontend,
  frontend_key,
  runtime,
  traffic,
  verdict as verdicts,
} from "../../src/datapath/abi.generated.ts";
import { decodeAnnounced, type AnnouncedRecord } from "../../src/datapath/records.ts";
import { ensureBpffs, isBpffs } from "../../src/kernel/bpffs.ts";
import { monotonicNs } from "../../src/kernel/clock.ts";
import { enterNamespace } from "../../src/kernel/namespace.ts";
import { loadObject, type LoadedObject } from "../../src/kernel/object.ts";
import { testRun } from "../../src/kernel/test-run.ts";
import { mac } from "./frame.ts";

export type Hook = "xdp" | "ingress" | "egress" | "pod";

export interface Outcome {
  readonly action: "aborted" | "drop" | "pass" | "tx" | "redirect" | "next";
  readonly verdict: string; // the one counter that grew; VERDICT_FOREIGN is not counted
  readonly frame: Uint8Array;
}

export interface FrontendSpec {
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly algorithm?: "maglev" | "random";
  readonly backends: readonly { readonly address: string; readonly port: number; readonly local?: boolean }[];
}

const XDP_ACTIONS: Readonly<Record<number, Outcome["action"]>> = { 1: "drop", 2: "pass", 3: "tx", 4: "redirect" };
/** TCX_NEXT, TC_ACT_SHOT, TC_ACT_REDIRECT. */
const TC_ACTIONS: Readonly<Record<number, Outcome["action"]>> = { [-1]: "next", 2: "drop", 7: "redirect" };
const OBJECTS = { xdp: "xdp", ingress: "netdev", egress: "netdev", pod: "pod" } as const satisfies Record<Hook, string>;
const MAGLEV_SIZE = 251;
/** Of the uplink. */
export const NODE_MAC = "02:00:00:00:02:01";
const NEXT_HOP_MAC = "02:00:00:00:02:02";

export interface World {
  readonly mac: string;
  readonly nextHopMac: string;
  readonly ifindex: number;
  /** Puts one frame through a program: XDP, or tc with everything that the maps hold by then. */
  run(frame: Uint8Array, hook?: Hook): Outcome;
  /** Puts the frontend in place and returns the ids of its backends, in order. */
  frontend(spec: FrontendSpec): number[];
  backendState(id: number, state: keyof typeof backend_state): void;
  giveBackend(id: number, address: string, port: number): void;
  /** As in maps that are new; else the ports towards a backend begin with the first. */
  forgetPorts(id: number): void;
  endpoint(address: string): void;
  announce(address: string, ifindex?: number): void;
  /** The rows of the map `announced`. */
  announced(): readonly AnnouncedRecord[];
  /** Lets the agent's stamp be valid for so many seconds more. */
  stamp(seconds: number): void;
  probeKey(key: readonly [bigint, bigint], port: number): void;
  /** Whose packets without a flow row are. */
  traffic(whose: keyof typeof traffic): void;
  /** Runs a command in the node's namespace. */
  exec(...command: readonly string[]): void;
  /** Rows that found no cell and lie in the LRU hash. */
  overflow(): number;
  /** The tags of all buckets, in shared memory. */
  readonly tags: BigUint64Array;
  reset(): void;
  close(): void;
}

export function openWorld(rodata: Readonly<Record<string, number>> = {}): World {
  const name = `fl-kt-${process.pid}`;
  const pins = `/run/fairlead/${name}`;
  const uplink = buildNamespace(name);
  const leave = enterNamespace(`/run/netns/${name}`);
  const remove = (): void => {
    leave();
    if (existsSync(pins) && isBpffs(pins)) execFileSync("umount", ["--lazy", pins]);
    rmSync(pins, { recursive: true, force: true });
    execFileSync("ip", ["netns", "del", name]);
  };
  const objects = loadPrograms(pins, rodata, remove);
  const object = objects.xdp;
  const maps = fillable(object);
  let nextBackend = 1;
  let nextSlot = 0;
  let nextMaglev = 0;
  let nextService = 1;

  const world: World = {
    mac: uplink.mac,
    nextHopMac: NEXT_HOP_MAC,
    ifindex: uplink.ifindex,
    run(input, hook = "xdp") {
      const before = maps.verdicts();
      const program = objects[OBJECTS[hook]].program(`fairlead_${hook}`);
      const ingressIfindex = hook === "pod" ? uplink.podIfindex : uplink.ifindex;
      const result = testRun(program, input, { ingressIfindex });
      const grown = [...maps.verdicts()]
        .filter(([key, count]) => count !== (before.get(key) ?? 0n))
        .map(([key]) => key);
      if (grown.length > 1) throw new Error(`one packet, ${grown.length} verdicts: ${grown.join(", ")}`);
      return {
        action: (hook === "xdp" ? XDP_ACTIONS : TC_ACTIONS)[result.retval] ?? "aborted",
        verdict: grown[0] ?? "VERDICT_FOREIGN",
        frame: result.data,
      };
    },
    frontend(spec) {
      const ids = spec.backends.map((b) => maps.backend(nextBackend++, b.address, b.port, b.local === true, 1));
      const slotBase = nextSlot;
      ids.forEach((id) => maps.slots.setUint32(nextSlot++ * 4, id, true));
      const maglevBase = nextMaglev;
      const size = spec.algorithm === "random" || ids.length === 0 ? 0 : MAGLEV_SIZE;
      for (let i = 0; i < size; i += 1) maps.maglev.setUint16(nextMaglev++ * 2, i % ids.length, true);
      const value = [nextService++, slotBase, ids.length, maglevBase, size, 0];
      maps.frontend(spec.address, 0, 0, [value[0] ?? 0, 0, 0, 0, 0, 1]);
      maps.frontend(spec.address, spec.port, spec.protocol === "tcp" ? 6 : 17, value);
      maps.filter(spec.address, address_filter.offset.bits);
      return ids;
    },
    backendState: (id, state) => maps.backends.setUint8(id * backend.size + backend.offset.state, backend_state[state]),
    giveBackend: (id, to, port) =>
      void maps.backend(
        id,
        to,
        port,
        false,
        maps.backends.getUint32(id * backend.size + backend.offset.generation, true) + 1,
      ),
    forgetPorts: (id) => maps.backends.setUint32(id * backend.size + backend.offset.snat_cursor, 0, true),
    endpoint: (of) => maps.endpoint(of, uplink.podIfindex),
    announce: (what, ifindex = uplink.ifindex) => maps.announce(what, ifindex),
    announced: () => maps.announced(),
    stamp: (seconds) => maps.stamp(seconds),
    probeKey(key, port) {
      maps.runtime.setBigUint64(runtime.offset.probe_key, key[0], true);
      maps.runtime.setBigUint64(runtime.offset.probe_key + 8, key[1], true);
      maps.runtime.setUint16(runtime.offset.probe_port, port);
    },
    traffic: (whose) => maps.runtime.setUint16(runtime.offset.traffic, traffic[whose], true),
    exec: (...command) => void execFileSync("nsenter", [`--net=/run/netns/${name}`, ...command]),
    tags: new BigUint64Array(object.map("flow_buckets").mmap()),
    overflow: () => [...object.map("flows").entries()].length,
    reset() {
      maps.clear();
      nextBackend = 1;
      nextSlot = nextMaglev = 0;
      nextService = 1;
      maps.device(uplink.ifindex, uplink.mac);
      for (const own of uplink.addresses) maps.filter(own, address_filter.offset.node_bits);
      maps.stamp(3600);
      maps.runtime.setUint16(runtime.offset.traffic, traffic.TRAFFIC_OURS, true);
    },
    close() {
      for (const loaded of Object.values(objects)) loaded.close();
      remove();
    },
  };
  world.reset();
  return world;
}

/** A cursor that has gone round: the next port is the first of the range, as in no map that is new. */
const FIRST_PORT = 1 << 14;

type Programs = Readonly<Record<"xdp" | "netdev" | "pod", LoadedObject>>;

function loadPrograms(pins: string, rodata: Readonly<Record<string, number>>, onFailure: () => void): Programs {
  const load = (file: string): LoadedObject =>
    loadObject({
      path: new URL(`../../bpf/build/${file}.bpf.o`, import.meta.url).pathname,
      pinRoot: pins,
      rodata,
      maxEntries: { flows: 4096 },
    });
  try {
    ensureBpffs(pins);
    return { xdp: load("xdp"), netdev: load("netdev"), pod: load("pod") };
  } catch (error) {
    onFailure();
    throw error;
  }
}

interface Uplink {
  readonly ifindex: number;
  readonly podIfindex: number;
  readonly mac: string;
  readonly addresses: readonly string[];
}

/** eth0 with both families, a static neighbor that leads to the pods of another node, one that does not answer, and a pod's veth. */
function buildNamespace(name: string): Uplink {
  const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
  const inside = (...args: string[]): string =>
    execFileSync("nsenter", [`--net=/run/netns/${name}`, ...args], { encoding: "utf8" });
  const addresses = ["192.168.10.201", "fd10::201"];
  ip("netns", "add", name);
  inside(
    "sh",
    "-ec",
    `
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
    ip link add eth0 address ${NODE_MAC} type veth peer name far0
    ip link add pod0 type veth peer name pod1
    for dev in lo eth0 far0 pod0 pod1; do ip link set $dev up; done
    ip address add 192.168.10.201/24 dev eth0
    ip address add fd10::201/64 dev eth0 nodad
    ip neighbor add 192.168.10.202 lladdr ${NEXT_HOP_MAC} dev eth0
    ip neighbor add fd10::202 lladdr ${NEXT_HOP_MAC} dev eth0
    ip route add 10.244.2.0/24 via 192.168.10.202
    ip route add fd20:2::/64 via fd10::202
    ip route add 10.244.3.0/24 via 192.168.10.203
    ip route add fd20:3::/64 via fd10::203`,
  );
  const ifindexOf = (dev: string): number =>
    (JSON.parse(inside("ip", "-j", "link", "show", "dev", dev)) as { ifindex: number }[])[0]?.ifindex ?? 0;
  return { ifindex: ifindexOf("eth0"), podIfindex: ifindexOf("pod0"), mac: NODE_MAC, addresses };
}

function fillable(object: LoadedObject) {
  const view = (map: string): DataView => new DataView(object.map(map).mmap());
  const backends = view("backends");
  const filterBits = view("address_filter");
  const stampView = view("runtime");
  const key16 = (of: string): Uint8Array => addressBytes(address(of));
  return {
    backends,
    slots: view("slots"),
    maglev: view("maglev"),
    runtime: stampView,
    verdicts(): Map<string, bigint> {
      const counts = new Map<string, bigint>();
      for (const [name, number] of Object.entries(verdicts))
        if (name !== "VERDICT_COUNT") counts.set(name, object.map("verdicts").perCpuSum(u32(number)));
      return counts;
    },
    backend(id: number, of: string, port: number, local: boolean, generation: number): number {
      const at = id * backend.size;
      new Uint8Array(backends.buffer, at, 16).set(key16(of));
      backends.setUint16(at + backend.offset.port, port);
      backends.setUint8(at + backend.offset.local, local ? 1 : 0);
      backends.setUint32(at + backend.offset.generation, generation, true);
      backends.setUint8(at + backend.offset.state, backend_state.BACKEND_ACTIVE);
      return id;
    },
    frontend(of: string, port: number, protocol: number, value: readonly number[]): void {
      const key = new Uint8Array(frontend_key.size);
      key.set(key16(of));
      new DataView(key.buffer).setUint16(frontend_key.offset.port, port);
      key[frontend_key.offset.protocol] = protocol;
      const bytes = new DataView(new ArrayBuffer(frontend.size));
      value.forEach((v, i) => bytes.setUint32(i * 4, v, true));
      object.map("frontends").update(key, new Uint8Array(bytes.buffer));
    },
    filter(of: string, offset: number): void {
      const words = new DataView(key16(of).buffer);
      const folded = [0, 4, 8, 12].reduce((x, at) => x ^ words.getUint32(at, true), 0);
      const hash = Math.imul(folded, 0x9e3779b1) >>> 16;
      const at = offset + (hash >> 6) * 8;
      filterBits.setBigUint64(at, filterBits.getBigUint64(at, true) | (1n << BigInt(hash & 63)), true);
    },
    endpoint(of: string, ifindex: number): void {
      const value = new DataView(new ArrayBuffer(endpoint.size));
      value.setUint32(endpoint.offset.ifindex, ifindex, true);
      object.map("endpoints").update(key16(of), new Uint8Array(value.buffer));
    },
    announce(what: string, ifindex: number): void {
      const key = new Uint8Array(announced_key.size);
      key.set(key16(what));
      new DataView(key.buffer).setUint32(announced_key.offset.ifindex, ifindex, true);
      object.map("announced").update(key, new Uint8Array(announced.size));
    },
    announced(): readonly AnnouncedRecord[] {
      return Array.from(object.map("announced").entries(), ([key, value]) => decodeAnnounced({ key, value }));
    },
    device(ifindex: number, text: string): void {
      const value = new Uint8Array(device.size);
      value.set(mac(text));
      object.map("devices").update(u32(ifindex), value);
    },
    stamp(seconds: number): void {
      stampView.setBigUint64(runtime.offset.valid_until_ns, monotonicNs() + BigInt(seconds) * 1_000_000_000n, true);
      stampView.setBigUint64(runtime.offset.answer_margin_ns, 2_000_000_000n, true);
    },
    clear(): void {
      for (const map of ["frontends", "flows", "fragments", "announced", "devices", "endpoints", "drops"])
        for (const [key] of object.map(map).entries()) object.map(map).delete(key);
      new Uint8Array(backends.buffer).fill(0, 0, backend.size * 256);
      for (let id = 0; id < 256; id += 1)
        backends.setUint32(id * backend.size + backend.offset.snat_cursor, FIRST_PORT, true);
      for (const map of ["flow_buckets", "flow_cells"]) new Uint8Array(object.map(map).mmap()).fill(0);
      new Uint8Array(filterBits.buffer).fill(0, 0, address_filter.size);
      new Uint8Array(stampView.buffer).fill(0, 0, runtime.size);
    },
  };
}

function u32(number: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number, true);
  return bytes;
}
