/**
 * In a handover: whose turn it is with a BGP peer. A router takes one session from a node, and may end the one it has when another calls:
 * so a session of ours begins when no other program of this node has one with its peer, and then at once - or, where there is BFD, when that is
 * up: the router finds the other's BFD gone a moment later, and would end a session that has begun by then.
 *
 *     admit ──► not yet looked, or somebody has it: look again soon ──► nobody: BFD begins ──► up, or it takes too long: admitted, for good
 */
import type { DesiredSession } from "../announce/bgp/desired.ts";
import { listConnections, type TcpConnection } from "../kernel/connections.ts";
import { formatAddress, sameAddress } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { prefixContains } from "../net/prefix.ts";
import { BGP_PORT, type SessionConfig } from "../protocol/bgp/config.ts";
import type { Clock } from "../time/clock.ts";
import { later, type Instant } from "../time/instant.ts";
import type { Watched } from "./bfd.ts";

export interface Turns {
  /** Those that may begin or go on. */
  admit(sessions: readonly DesiredSession[]): readonly DesiredSession[];
  /** Of the others: those whose BFD is to begin. */
  awaitingBfd(): readonly Watched[];
  /** Of the others. */
  problems(): readonly Problem[];
  stop(): void;
}

/** While somebody waits. What is lost between two sessions is lost for so long. */
const LOOK_MILLISECONDS = 50;
/** A router that does no BFD must not keep a session away. One that does comes up within two or three seconds. */
const BFD_MILLISECONDS = 5000;

interface Options {
  readonly clock: Clock;
  /** Somebody's turn may have come. */
  readonly onChange: () => void;
  readonly bfdIsUp: (name: string) => boolean;
  readonly look?: (ports: readonly number[]) => Promise<readonly TcpConnection[]>;
}

export function takeTurns(options: Options): Turns {
  return new WatchedTurns(options);
}

/** The connection that another program has with the peer. */
export function heldBy(
  { peer, port, sourceAddress }: SessionConfig,
  connections: readonly TcpConnection[],
): TcpConnection | undefined {
  return connections.find((each) => {
    if (each.peerPort !== port && each.localPort !== BGP_PORT) return false;
    // From another address of the node it is another session to the router.
    if (sourceAddress !== undefined && !sameAddress(each.local, sourceAddress)) return false;
    if (peer.type === "interface") return each.peerDevice === peer.device;
    if (peer.type === "prefix") return prefixContains(peer.prefix, each.peer);
    return sameAddress(each.peer, peer.address) && (peer.device ?? each.peerDevice) === each.peerDevice;
  });
}

class WatchedTurns implements Turns {
  readonly #options: Options;
  /** By name. */
  readonly #admitted = new Set<string>();
  #waiting: readonly DesiredSession[] = [];
  /** By name: what others have, and had last. */
  readonly #held = new Map<string, TcpConnection>();
  readonly #before = new Map<string, TcpConnection>();
  /** By name: since when nobody has it. */
  readonly #free = new Map<string, Instant>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: Options) {
    this.#options = options;
  }

  admit(sessions: readonly DesiredSession[]): readonly DesiredSession[] {
    const names = new Set(sessions.map(({ config }) => config.name));
    for (const known of [this.#admitted, this.#held, this.#before, this.#free])
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    const waiting = sessions.filter(({ config }) => !this.#admitted.has(config.name));
    this.#waiting = waiting;
    if (waiting.length === 0) return sessions;
    if (this.#cancel === undefined) void this.#look();
    return sessions.filter((each) => !waiting.includes(each));
  }

  awaitingBfd(): readonly Watched[] {
    return this.#waiting.flatMap((session) => {
      const { name } = session.config;
      if (this.#admitted.has(name) || !this.#free.has(name)) return [];
      const before = this.#before.get(name);
      return [{ ...session, ...(before === undefined ? {} : { formerLocal: before.local }) }];
    });
  }

  problems(): readonly Problem[] {
    return this.#waiting.flatMap(({ config: { name } }) => {
      const held = this.#held.get(name);
      if (held === undefined) return [];
      const message = `another program of this node has a session with ${formatAddress(held.peer)}: ours begins when that has ended (docs/migrate.md)`;
      return [{ subject: `BGPPeer ${name}`, message }];
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    const { clock, onChange, look = listConnections } = this.#options;
    this.#cancel = () => undefined;
    const ports = new Set([BGP_PORT, ...this.#waiting.map(({ config }) => config.port)]);
    // Nobody can be asked: better two that call than none.
    const connections = await look([...ports]).catch(() => []);
    if (this.#stopped) return;
    // Whoever is admitted has it by now, or will when the next pass asks.
    const others = this.#waiting.filter(({ config }) => !this.#admitted.has(config.name));
    const changes = others.filter((session) => this.#judge(session, heldBy(session.config, connections)));
    this.#cancel = clock.at(later(clock.now(), LOOK_MILLISECONDS), () => {
      this.#cancel = undefined;
      if (this.#waiting.some(({ config }) => !this.#admitted.has(config.name))) void this.#look();
    });
    if (changes.length > 0) onChange();
  }

  /** Whether it is another's, free or admitted now, and was not before. */
  #judge({ config: { name }, bfd }: DesiredSession, held: TcpConnection | undefined): boolean {
    if (held !== undefined) {
      const news = !this.#held.has(name);
      this.#held.set(name, held);
      this.#before.set(name, held);
      this.#free.delete(name);
      return news;
    }
    const { clock, bfdIsUp } = this.#options;
    const since = this.#free.get(name);
    this.#held.delete(name);
    this.#free.set(name, since ?? clock.now());
    const waits = bfd !== undefined && !bfdIsUp(name) && clock.now() < later(since ?? clock.now(), BFD_MILLISECONDS);
    if (!waits) this.#admitted.add(name);
    return !waits || since === undefined;
  }
}
