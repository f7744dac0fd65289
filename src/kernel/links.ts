/**
 * The network interfaces of this namespace through iproute2, read whole each time (`ip -j -d address`); link-watch.ts says when to read
 * again. Rare and not urgent, so a process is fine here.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Link {
  readonly name: string;
  readonly ifindex: number;
  /** `aa:bb:cc:dd:ee:ff`; empty for devices without one. */
  readonly mac: string;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly noarp: boolean;
  readonly mtu: number;
  /** Name of the bridge or bond it is a port of. */
  readonly master: string | undefined;
  /** `veth`, `bridge`, `vxlan`, …; `undefined` for hardware. */
  readonly kind: string | undefined;
  /** `address/prefix length`. */
  readonly addresses: readonly string[];
}

export async function listLinks(): Promise<readonly Link[]> {
  const { stdout } = await promisify(execFile)("ip", ["-j", "-d", "address", "show"], { maxBuffer: 64 << 20 });
  return parseLinks(stdout);
}

/** The output of `ip -j -d address show`. Throws on anything that is not. */
export function parseLinks(json: string): readonly Link[] {
  const rows: unknown = JSON.parse(json);
  if (!Array.isArray(rows)) throw new TypeError("Cannot read the links: `ip -j address` did not print an array");
  return rows.filter(isRow).map(parseLink);
}

/** What we read of a row of `ip -j -d address show`. */
interface Row {
  readonly ifname: string;
  readonly ifindex: number;
  readonly flags: readonly string[];
  readonly address?: string;
  readonly mtu?: number;
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** `ip` prints an empty object for a link that went away while it listed. */
function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && "ifname" in value && "ifindex" in value && "flags" in value;
}

function parseLink(row: Row): Link {
  return {
    name: row.ifname,
    ifindex: row.ifindex,
    mac: row.address ?? "",
    up: row.flags.includes("UP"),
    loopback: row.flags.includes("LOOPBACK"),
    noarp: row.flags.includes("NOARP"),
    mtu: row.mtu ?? 0,
    master: row.master,
    kind: row.linkinfo?.info_kind,
    addresses: (row.addr_info ?? []).flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [`${local}/${prefixlen ?? 0}`],
    ),
  };
}
