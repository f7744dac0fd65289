/**
 * Fairlead on the node of a traffic path, through tc only: on a veth the kernel has built an skb before XDP runs, which no network card does, so
 * XDP there would be measured with the costs of both and the gains of neither.
 */
import { execFileSync } from "node:child_process";
import { MAGLEV_SEED, openDatapath } from "../src/agent/datapath.ts";
import { applyForwarding } from "../src/datapath/apply.ts";
import { filterHash, setFilterBit } from "../src/datapath/filter.ts";
import { planForwarding } from "../src/datapath/plan.ts";
import type { HashTable } from "../src/datapath/ports.ts";
import { deviceRows, endpointRows } from "../src/datapath/records.ts";
import { readTables, type Tables } from "../src/datapath/tables.ts";
import { attachTcx } from "../src/kernel/link.ts";
import { enterNamespace } from "../src/kernel/namespace.ts";
import { address } from "../src/net/address.ts";
import type { Row } from "../src/reconcile/rows.ts";
import type { Frontend } from "../src/service/frontends.ts";
import { MACS, POD_ADDRESS, type Path } from "./traffic-network.ts";
import { removeBpffs } from "./leftovers.ts";

export interface FairleadNode extends Disposable {
  program(frontends: ReadonlyMap<string, readonly Frontend[]>): void;
}

export function attachFairlead(path: Path): FairleadNode {
  const bpffs = `/run/fairlead/bpf-${path.node}`;
  const datapath = openDatapath({ bpffs, flowsMax: undefined });
  const { maps, programs, links } = datapath;
  const leave = enterNamespace(`/run/netns/${path.node}`);
  try {
    const uplink = device("eth0");
    const host = device("pod0");
    put(maps.devices, deviceRows([{ ...uplink, mac: macBytes(MACS.uplink) }]));
    put(
      maps.endpoints,
      endpointRows([
        {
          addresses: [address(POD_ADDRESS)],
          ifindex: host.ifindex,
          mac: macBytes(MACS.pod),
          nodeMac: macBytes(MACS.host),
        },
      ]),
    );
    for (const own of ["10.50.0.2", "10.51.0.1"])
      setFilterBit(maps.forwarding.filter, "node", filterHash(address(own)));
    attachTcx(uplink, "ingress", programs.ingress, `${links}/uplink-ingress`);
    attachTcx(uplink, "egress", programs.egress, `${links}/uplink-egress`);
    attachTcx(host, "ingress", programs.pod, `${links}/pod`);
  } finally {
    leave();
  }
  const tables: Tables = readTables(maps.forwarding);
  return {
    program(frontends) {
      const plan = planForwarding(tables, frontends, { seed: MAGLEV_SEED, now: performance.now() });
      applyForwarding(plan, maps.forwarding, MAGLEV_SEED);
    },
    [Symbol.dispose]() {
      datapath.close();
      removeBpffs(bpffs);
    },
  };
}

function device(name: string): { name: string; ifindex: number } {
  const [row] = JSON.parse(execFileSync("ip", ["-j", "link", "show", "dev", name], { encoding: "utf8" })) as {
    ifindex: number;
  }[];
  return { name, ifindex: row?.ifindex ?? 0 };
}

function put(table: HashTable, rows: readonly Row[]): void {
  for (const { key, value } of rows) table.put(key, value, 1);
}

function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}
