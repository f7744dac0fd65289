/**
 * Where peers call us: a listening socket for each family, opened while a session wants it. Port 179 may be somebody else's on
 * this node, so nobody listens who does not have to, and a port that is taken is a problem, not the end.
 */
import { createServer, type Server, type Socket } from "node:net";
import { openTcpSocket, setMd5Key } from "../../../kernel/tcp-socket.ts";
import { address, type Family } from "../../../net/address.ts";
import { formatPrefix, type Prefix } from "../../../net/prefix.ts";
import type { Listened } from "./listened.ts";

export interface Listener {
  /** Opens, closes and changes keys as needed. Returns what did not work. */
  set(wanted: readonly Listened[]): readonly string[];
  close(): void;
}

export interface ListenerOptions {
  readonly port: number;
  /** Default: all. */
  readonly addresses?: Readonly<Partial<Record<Family, string>>>;
  readonly onConnection: (socket: Socket) => void;
}

const WILDCARD = { IPv4: "0.0.0.0", IPv6: "::" } as const satisfies Record<Family, string>;
/** Connections that wait to be accepted: a few peers each. */
const BACKLOG = 64;
/** GTSM wants it of what the peer hears, and it does no harm where nobody asks. */
const TTL = 255;

interface Open {
  readonly server: Server;
  readonly fd: number;
  readonly keys: Map<string, { readonly prefix: Prefix; readonly password: string }>;
}

export function createListener(options: ListenerOptions): Listener {
  const open = new Map<Family, Open>();
  const shut = (family: Family): void => {
    open.get(family)?.server.close();
    open.delete(family);
  };
  return {
    set: (wanted) => {
      const problems: string[] = [];
      for (const family of open.keys()) if (!wanted.some((one) => one.family === family)) shut(family);
      for (const { family, keys } of wanted) {
        try {
          const found = open.get(family) ?? listen(family, options);
          open.set(family, found);
          changeKeys(found, keys);
        } catch (error) {
          problems.push(error instanceof Error ? error.message : String(error));
        }
      }
      return problems;
    },
    close: () => {
      for (const family of [...open.keys()]) shut(family);
    },
  };
}

function listen(family: Family, { port, addresses, onConnection }: ListenerOptions): Open {
  const host = addresses?.[family] ?? WILDCARD[family];
  const fd = openTcpSocket({ family, source: { address: address(host), port }, reuseAddress: true, ttl: TTL });
  const server = createServer({ pauseOnConnect: true }, onConnection);
  // One accept that fails is one peer that tries again.
  server.on("error", () => {});
  server.listen({ fd, backlog: BACKLOG });
  return { server, fd, keys: new Map() };
}

/** New and changed ones first: a key must be there before its peer's SYN. */
function changeKeys({ fd, keys }: Open, wanted: Listened["keys"]): void {
  const next = new Map(wanted.map((key) => [formatPrefix(key.prefix), key]));
  for (const [name, key] of next) {
    if (keys.get(name)?.password === key.password) continue;
    setMd5Key(fd, key.prefix, key.password);
    keys.set(name, key);
  }
  for (const [name, { prefix }] of keys) {
    if (next.has(name)) continue;
    setMd5Key(fd, prefix, undefined);
    keys.delete(name);
  }
}
