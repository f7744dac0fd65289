/** `fairlead pools`: the address pools and how full they are. */
import type { Command } from "commander";
import type { PoolRow } from "../observe/status.ts";
import { listingCommand, rowsOf } from "./listing.ts";
import type { Column, Paint } from "./table.ts";
import type { World } from "./world.ts";
import { yesNo } from "./words.ts";

export function poolsCommand(world: World): Command {
  return listingCommand(world, {
    name: "pools",
    example: "fairlead pools\nfairlead pools -o yaml",
    path: "/v1/pools",
    columns,
    // Computed alike from the same objects.
    together: (answers) => rowsOf(answers[0]?.document ?? [], columns),
    whenEmpty: "No IPAddressPool: Services of type LoadBalancer get no address",
  });
}

const columns: readonly Column<PoolRow>[] = [
  { title: "POOL", cell: (row) => `${row.namespace}/${row.name}` },
  { title: "RANGES", cell: (row) => row.addresses.join("\n") },
  { title: "AUTO", cell: (row) => yesNo(row.autoAssign) },
  { title: "AVOID BUGGY", cell: (row) => yesNo(row.avoidBuggyIPs) },
  { title: "IPV4 TAKEN", align: "right", cell: (row, paint) => taken(row.assignedIPv4, row.availableIPv4, paint) },
  { title: "IPV6 TAKEN", align: "right", cell: (row, paint) => taken(row.assignedIPv6, row.availableIPv6, paint) },
];

/** `3 of 256`, red when nothing is left. A pool without addresses of the family shows nothing. */
function taken(assigned: string, available: string, paint: Paint): string {
  const total = BigInt(assigned) + BigInt(available);
  if (total === 0n) return "";
  const words = `${assigned} of ${total}`;
  return available === "0" ? paint("red", words) : words;
}
