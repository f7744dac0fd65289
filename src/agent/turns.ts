/**
 * In a handover: whose turn it is with a BGP peer. A router takes one session from a node, and may end the one it has when another calls:
 * so a session of ours begins when no other program of this node has one with its peer, and then at once.
 *
 *     admit ──► not yet looked, or somebody has it: look again soon ──► nobody: admitted, for good
 */
import type { DesiredSession } from "../announce/bgp/desired.ts";
import { listConnections, type TcpConnection } from "../kernel/connections.ts";
import { formatAddress, sameAddress } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { prefixContains } from "../net/prefix.ts";
import { BGP_PORT, type SessionConfig } from "../protocol/bgp/config.ts";
import type { Clock } from "../time/clock.ts";
import { later } from "../time/instant.ts";

export interface Turns {
  /** Those that may begin or go on. */
  admit(sessions: readonly DesiredSession[]): readonly DesiredSession[];
  /** Of the others. */
  problems(): readonly Problem[];
  stop(): void;
}

/** While somebody waits. What is lost between two sessions is lost for so long. */
const LOOK_MILLISECONDS = 50;

interface Options {
  readonly clock: Clock;
  /** Somebody's turn may have come. */
  readonly onChange: () => void;
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
  /** By name; `undefined`: nobody has looked. */
  readonly #held = new Map<string, TcpConnection | undefined>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: Options) {
    this.#options = options;
  }

  admit(sessions: readonly DesiredSession[]): readonly DesiredSession[] {
    const names = new Set(sessions.map(({ config }) => config.name));
    for (const name of this.#admitted) if (!names.has(name)) this.#admitted.delete(name);
    const waiting = sessions.filter(({ config }) => !this.#admitted.has(config.name));
    this.#waiting = waiting;
    if (waiting.length === 0) return sessions;
    if (this.#cancel === undefined) void this.#look();
    return sessions.filter((each) => !waiting.includes(each));
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
    let changed = false;
    for (const { config } of this.#waiting) {
      const held = heldBy(config, connections);
      changed ||= held === undefined || this.#held.get(config.name) === undefined;
      this.#held.set(config.name, held);
      if (held === undefined) this.#admitted.add(config.name);
    }
    this.#cancel = clock.at(later(clock.now(), LOOK_MILLISECONDS), () => {
      this.#cancel = undefined;
      if (this.#waiting.some(({ config }) => !this.#admitted.has(config.name))) void this.#look();
    });
    if (changed) onChange();
  }
}
