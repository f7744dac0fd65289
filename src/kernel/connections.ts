/** TCP connections of this namespace that are established, through iproute2's ss: whoever made them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { parseAddress, type Address } from "../net/address.ts";

export interface TcpConnection {
  readonly local: Address;
  readonly localPort: number;
  readonly peer: Address;
  /** Of a link-local peer. */
  readonly peerDevice?: string;
  readonly peerPort: number;
}

/** Those with one of the ports on either side; the kernel looks through its table, and tells only these. */
export async function listConnections(ports: readonly number[]): Promise<readonly TcpConnection[]> {
  const filter = ports.flatMap((port) => [`dport = :${port}`, `sport = :${port}`]).join(" or ");
  const { stdout } = await promisify(execFile)("ss", ["-Hnt", "state", "established", `( ${filter} )`]);
  return parseConnections(stdout);
}

/** The output of `ss -Hnt state established`: Recv-Q Send-Q Local Peer. */
export function parseConnections(text: string): readonly TcpConnection[] {
  return text.split("\n").flatMap((line) => {
    const [, , local = "", peer = ""] = line.trim().split(/\s+/);
    const near = parseEnd(local);
    const far = parseEnd(peer);
    if (near === undefined || far === undefined) return [];
    const device = far.device === undefined ? {} : { peerDevice: far.device };
    return [{ local: near.address, localPort: near.port, peer: far.address, ...device, peerPort: far.port }];
  });
}

/** `10.0.0.1:179`, `[2001:db8::1]:179`, `[fe80::1]%eth0:179`; IPv4 on an IPv6 socket is `[::ffff:10.0.0.1]:179`. */
function parseEnd(
  text: string,
): { readonly address: Address; readonly device?: string; readonly port: number } | undefined {
  const {
    host = "",
    device,
    port,
  } = /^\[?(?:::ffff:(?=\d+\.))?(?<host>[^\]%]+)\]?(?:%(?<device>[^:]+))?:(?<port>\d+)$/.exec(text)?.groups ?? {};
  const address = parseAddress(host);
  if (address === undefined) return undefined;
  return { address, port: Number(port), ...(device === undefined ? {} : { device }) };
}
