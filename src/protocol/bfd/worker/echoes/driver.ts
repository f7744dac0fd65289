/**
 * The sockets of our own echo packets. They are from and to our own address, so no ordinary socket can send one to the peer, and the
 * kernel takes none back from the wire: packet sockets do both, one for a device and a family.
 *
 *     this node ── to the peer's MAC, IP from us to us, TTL 255 ──► peer's forwarding
 *               ◄── TTL 254 ─────────────────────────────────────
 */
import { formatAddress, type Address } from "../../../../net/address.ts";
import { SystemError } from "../../../../kernel/error.ts";
import { openLinkSocket, type LinkSocket } from "../../../../kernel/link-socket.ts";
import { openNeighborhood, type Neighborhood } from "../../../../kernel/neighbor.ts";
import { ECHO_PORT, RETURNED_TTL_MIN } from "../../config.ts";
import { encodeEcho, type EchoPacket } from "../../echo-packet.ts";
import type { Entry } from "../../entry.ts";

interface Path {
  readonly ifindex: number;
  readonly own: Address;
  readonly key: string;
}

interface Shared {
  readonly socket: LinkSocket;
  users: number;
}

export class Echoes {
  readonly #receive: (packet: Uint8Array) => void;
  readonly #paths = new Map<Entry, Path>();
  readonly #sockets = new Map<string, Shared>();
  #neighborhood: Neighborhood | undefined;

  constructor(receive: (packet: Uint8Array) => void) {
    this.#receive = receive;
  }

  /** `undefined`: packets can be sent. Else why not. */
  open(entry: Entry): string | undefined {
    try {
      this.#neighborhood ??= openNeighborhood();
      const path = this.#find(entry, this.#neighborhood);
      if (typeof path === "string") return path;
      const shared = this.#sockets.get(path.key) ?? { socket: this.#openSocket(path), users: 0 };
      shared.users += 1;
      this.#sockets.set(path.key, shared);
      this.#paths.set(entry, path);
      return undefined;
    } catch (error) {
      if (error instanceof SystemError) return `No echo is sent: ${error.message}`;
      throw error;
    }
  }

  /** One that cannot be sent is one that does not come back. The link-layer address is asked for each time: a router may have moved. */
  send(entry: Entry, packet: EchoPacket): void {
    const path = this.#paths.get(entry);
    if (path === undefined) return;
    const to = this.#neighborhood?.linkAddress(path.ifindex, entry.config.peer);
    if (to === undefined) return;
    this.#sockets.get(path.key)?.socket.send(encodeEcho(packet, path.own, entry.sourcePort), to);
  }

  close(entry: Entry): void {
    const path = this.#paths.get(entry);
    this.#paths.delete(entry);
    const shared = this.#sockets.get(path?.key ?? "");
    if (path === undefined || shared === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    shared.socket.close();
    this.#sockets.delete(path.key);
  }

  closeAll(): void {
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    this.#paths.clear();
    this.#neighborhood?.close();
  }

  #find({ config }: Entry, neighborhood: Neighborhood): Path | string {
    const { peer, local, device } = config;
    const way = neighborhood.wayTo(peer, device);
    if (way === undefined || !way.onLink)
      return `No echo is sent: ${formatAddress(peer)} is on no network of this node, so nothing shows that it is the peer who returns it`;
    const own = local ?? way.source;
    // RFC 5881 §4: the peer has to forward it, and nobody forwards to a link-local address.
    if (own === undefined || formatAddress(own).startsWith("fe80:"))
      return "No echo is sent: it has to be addressed to this node, and a link-local address is not forwarded; give the session a global source address";
    return { ifindex: way.ifindex, own, key: `${way.ifindex} ${own.family}` };
  }

  #openSocket({ ifindex, own }: Path): LinkSocket {
    return openLinkSocket({
      ifindex,
      family: own.family,
      port: ECHO_PORT,
      leastTtl: RETURNED_TTL_MIN,
      onPacket: this.#receive,
    });
  }
}
