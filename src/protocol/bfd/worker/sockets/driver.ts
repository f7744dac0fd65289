/**
 * The sockets of BFD. Each session sends from an address and port of its own (RFC 5881 §4); one socket for a family and a port
 * receives for all, and drops by TTL what has come from too far (RFC 5881 §5, RFC 5883 §5).
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { openUdpSender, openUdpSocket, type UdpSender } from "../../../../kernel/udp-socket.ts";
import { SystemError } from "../../../../kernel/error.ts";
import type { Family } from "../../../../net/address.ts";
import { CONTROL_PORT, ECHO_PORT, MULTIHOP_PORT, SINGLE_HOP_TTL, SOURCE_PORTS } from "../../config.ts";
import { peerText, type Entry } from "../../entry.ts";
import type { Datagram } from "../../sessions.ts";

interface Listener {
  readonly socket: Socket;
  readonly ttlMin: number;
}

type Purpose = "control" | "multihop" | "echo";
const PORTS = { control: CONTROL_PORT, multihop: MULTIHOP_PORT, echo: ECHO_PORT } as const satisfies Record<
  Purpose,
  number
>;
/** Source ports tried before giving up: others may use some of them. */
const PORT_ATTEMPTS = 50;

export class Sockets {
  readonly #receive: (datagram: Datagram) => void;
  readonly #listeners = new Map<string, Listener>();
  readonly #senders = new Map<Entry, UdpSender>();
  /** Of single-hop sessions: whose echo is returned. */
  #echoPeers: ReadonlySet<string> = new Set();

  constructor(receive: (datagram: Datagram) => void) {
    this.#receive = receive;
  }

  /** `undefined`: sent. Else why not; a socket that could not be opened is tried again with the next packet. */
  send(entry: Entry, bytes: Uint8Array): string | undefined {
    try {
      const sender = this.#senders.get(entry) ?? this.#openSender(entry);
      const errno = sender.send(bytes);
      if (errno === 0) return undefined;
      const { message } = new SystemError({
        call: "sendto",
        errno,
        subject: entry.key,
        attempt: `send to ${entry.key}`,
      });
      return message;
    } catch (error) {
      if (error instanceof SystemError) return error.message;
      throw error;
    }
  }

  /** Opens what these sessions need to hear, closes the rest; says of each session what keeps it from hearing. */
  listen(entries: readonly Entry[]): readonly (readonly [Entry, string | undefined])[] {
    this.#echoPeers = new Set(entries.filter(echoes).map(({ config }) => peerText(config)));
    const needed = new Map<string, { family: Family; purpose: Purpose; ttlMin: number }>();
    for (const entry of entries)
      for (const purpose of purposesOf(entry)) {
        const { family } = entry.config.peer;
        const ttlMin = purpose === "multihop" ? entry.config.profile.minimumTtl : SINGLE_HOP_TTL;
        const before = needed.get(`${family} ${purpose}`)?.ttlMin ?? ttlMin;
        needed.set(`${family} ${purpose}`, { family, purpose, ttlMin: Math.min(before, ttlMin) });
      }
    for (const [key, { socket, ttlMin }] of this.#listeners) {
      if (needed.get(key)?.ttlMin === ttlMin) continue;
      socket.close();
      this.#listeners.delete(key);
    }
    const problems = new Map<string, string>();
    for (const [key, { family, purpose, ttlMin }] of needed) {
      if (this.#listeners.has(key)) continue;
      const problem = this.#openListener(key, family, purpose, ttlMin);
      if (problem !== undefined) problems.set(key, problem);
    }
    return entries.map((entry) => {
      const own = purposesOf(entry).map((purpose) => problems.get(`${entry.config.peer.family} ${purpose}`));
      return [entry, own.find((text) => text !== undefined)] as const;
    });
  }

  closeSender(entry: Entry): void {
    this.#senders.get(entry)?.close();
    this.#senders.delete(entry);
  }

  close(): void {
    for (const { socket } of this.#listeners.values()) socket.close();
    for (const sender of this.#senders.values()) sender.close();
    this.#listeners.clear();
    this.#senders.clear();
  }

  #openListener(key: string, family: Family, purpose: Purpose, ttlMin: number): string | undefined {
    try {
      const fd = openUdpSocket({
        family,
        port: PORTS[purpose],
        ttlMin,
        ...(purpose === "echo" ? { ttl: ECHO_TTL } : {}),
      });
      const socket = createSocket(family === "IPv4" ? "udp4" : "udp6");
      socket.on("message", (bytes, from) => {
        if (purpose === "echo") this.#echo(socket, bytes, from);
        else this.#receive({ bytes, from: from.address, multihop: purpose === "multihop" });
      });
      socket.bind({ fd });
      this.#listeners.set(key, { socket, ttlMin });
      return undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error.code === "EADDRINUSE" ? `${error.message}; does another BFD run on this node?` : error.message;
    }
  }

  /** FRR's form, for IPv6 mostly: addressed to us, returned as it came. One hop less, so that what returns is not returned again. */
  #echo(socket: Socket, bytes: Uint8Array, from: RemoteInfo): void {
    if (this.#echoPeers.has(from.address)) socket.send(bytes, from.port, from.address);
  }

  #openSender(entry: Entry): UdpSender {
    const { peer, local, device, multihop } = entry.config;
    const options = {
      family: peer.family,
      ttl: SINGLE_HOP_TTL,
      ...(local === undefined ? {} : { address: local }),
      ...(device === undefined ? {} : { device }),
    };
    const destination = {
      address: peer,
      port: multihop ? MULTIHOP_PORT : CONTROL_PORT,
      ...(device === undefined ? {} : { device }),
    };
    for (let attempt = 1; ; attempt += 1) {
      const port = entry.sourcePort !== 0 && attempt === 1 ? entry.sourcePort : randomPort();
      try {
        const sender = openUdpSender({ ...options, port }, destination);
        entry.sourcePort = port;
        this.#senders.set(entry, sender);
        return sender;
      } catch (error) {
        const taken = error instanceof SystemError && error.code === "EADDRINUSE";
        if (!taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }
}

const ECHO_TTL = SINGLE_HOP_TTL - 1;

function echoes({ config }: Entry): boolean {
  return !config.multihop && config.profile.echoReceiveIntervalMilliseconds !== undefined;
}

function purposesOf(entry: Entry): readonly Purpose[] {
  if (entry.config.multihop) return ["multihop"];
  return echoes(entry) ? ["control", "echo"] : ["control"];
}

function randomPort(): number {
  const { first, last } = SOURCE_PORTS;
  return first + Math.floor(Math.random() * (last - first + 1));
}
