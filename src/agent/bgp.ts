/**
 * BGP in the agent: after every pass the speaker is told what is desired by then; what the speaker knows is there for the API.
 *
 *     world, tables ─► desiredBgp (pure) ─► speaker: sessions, routes
 */
import { crc32 } from "node:zlib";
import { emptyBgpMemo, desiringBgp, type DesiredBgp, type DesiredSession } from "../announce/bgp/desired.ts";

import { stepLeaving, type Leaving } from "../announce/bgp/leaving.ts";
import { EXCLUDE_LABEL } from "../announce/coverage.ts";
import { parseAddress } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { startSpeaker } from "../protocol/bgp/driver.ts";
import { startMonitoring, type Monitoring } from "../protocol/bgp/monitoring/driver.ts";
import type { SessionConfig } from "../protocol/bgp/config.ts";
import type { Speaker } from "../protocol/bgp/speaker.ts";
import type { Log } from "../observe/log.ts";
import type { StopMode } from "../protocol/swim/driver.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import type { Sliced } from "../time/slices.ts";
import type { Snapshot } from "../source/source.ts";
import { Unforwarded } from "./unforwarded.ts";
import { watchPeers, type PeerWatch } from "./bfd.ts";
import type { AgentConfig } from "./config.ts";
import type { Datapath } from "./datapath.ts";
import type { NodeLink } from "./devices.ts";
import { withoutPeers } from "./handover.ts";
import { stateFilesOf } from "./state-files.ts";
import type { AgentState } from "./state.ts";
import { takeTurns, type Turns } from "./turns.ts";

export interface Bgp {
  /** Tells the speaker what the state asks for. Only when the tables of this moment are in the kernel. `ours`: sessions are, by now. */
  applying(state: AgentState, ours?: boolean): Sliced<void>;
  stop(mode: StopMode): Promise<void>;
}

export interface BgpState {
  readonly desired: DesiredBgp;
  readonly leaving: Leaving;
  readonly speaker: Speaker;
  readonly watch: PeerWatch;
  /** Why sessions have not begun: it is not their turn. */
  readonly waiting: readonly Problem[];
  /** The way to a BMP collector, where there is one. */
  readonly monitoring?: Monitoring;
}

/** `soon`: a pass is due. */
export function startBgp(
  {
    config: { nodeName, ignoreExcludeLabel, socket, interfacesExclude, bmp, handover },
    log,
    version,
    datapath,
  }: {
    readonly config: AgentConfig;
    readonly log: Log;
    readonly version: string;
    readonly datapath: Pick<Datapath, "found">;
  },
  links: readonly NodeLink[],
  soon: () => void,
): Bgp {
  const up = new Set<string>();
  const speaker = startSpeaker({
    onSession: (name) => logChange(speaker, name, up, log),
    identity: { bgpIdentifier: identifierOf(links, interfacesExclude, nodeName), hostname: nodeName },
    // Beside the socket: a machine that starts anew has lost its datapath, and with it the claim to be restarting only.
    stateFile: stateFilesOf(socket).bgp,
    // Nor has one that takes a session over: until then kube-proxy forwards.
    forwardingPreserved: datapath.found || handover,
  });
  // A session that has found its peer may be watched.
  speaker.onChange(soon);
  const watch = watchPeers(speaker, stateFilesOf(socket).bfd);
  const monitoring =
    bmp === undefined
      ? undefined
      : startMonitoring({ speaker, collector: bmp, sysName: nodeName, sysDescr: `Fairlead ${version}` });
  const bfdIsUp = (of: string): boolean =>
    watch.bfd?.view().sessions.some(({ name, state }) => name === of && state === "up") === true;
  const turns = handover ? takeTurns({ clock: systemClock, onChange: soon, bfdIsUp }) : undefined;
  return bgpOf(speaker, watch, { nodeName, ignoreExcludeLabel, clock: systemClock, soon, monitoring, turns });
}

/** What a session goes through on its way up is in its history; the log has what matters to traffic. */
function logChange(speaker: Speaker, name: string, up: Set<string>, log: Log): void {
  const session = speaker.view().find((view) => view.name === name);
  const isUp = session?.state === "established";
  if (isUp === up.has(name)) return;
  const fields = { peer: name, address: session?.peer, families: session?.families };
  if (isUp) {
    up.add(name);
    log("bgpSessionUp", fields);
  } else {
    up.delete(name);
    log("bgpSessionDown", { peer: name, address: session?.peer, reason: session?.lastReason });
  }
}

export interface BgpOptions {
  readonly nodeName: string;
  readonly ignoreExcludeLabel: boolean;
  readonly clock: Clock;
  readonly soon: () => void;
  readonly monitoring?: Monitoring | undefined;
  /** Where another program may have sessions of this node's. */
  readonly turns?: Turns | undefined;
}

export function bgpOf(speaker: Speaker, watch: PeerWatch, options: BgpOptions): Bgp {
  return new AgentBgp(speaker, watch, options);
}

class AgentBgp implements Bgp {
  readonly #speaker: Speaker;
  readonly #watch: PeerWatch;
  readonly #options: BgpOptions;
  readonly #memo = emptyBgpMemo();
  #leaving: Leaving | undefined;
  readonly #unforwarded = new Unforwarded();
  #configs: readonly SessionConfig[] = [];
  #told: DesiredBgp | undefined;
  #links: readonly NodeLink[] | undefined;
  #ours = true;
  #cancel = (): void => {};

  constructor(speaker: Speaker, watch: PeerWatch, options: BgpOptions) {
    this.#speaker = speaker;
    this.#watch = watch;
    this.#options = options;
  }

  *applying(state: AgentState, ours = true): Sliced<void> {
    const { world, tables } = state;
    if (world === undefined) return;
    const snapshot = ours ? world.snapshot : withoutPeers(world.snapshot);
    if (this.#ours && !ours) this.#speaker.release();
    this.#ours = ours;
    const leaving = this.#stepLeaving(snapshot, state.drainedSince !== undefined);
    const { nodeName, ignoreExcludeLabel, monitoring, turns } = this.#options;
    const me = {
      name: nodeName,
      ignoreExcludeLabel,
      draining: state.drainedSince !== undefined,
      leaving: leaving.state === "leaving",
      unforwarded: this.#unforwarded.of(snapshot.services, tables),
    };
    const desired = yield* desiringBgp(snapshot, me, this.#memo);
    const sessions = turns?.admit(desired.sessions) ?? desired.sessions;
    const waiting = turns?.problems() ?? [];
    const parts = { speaker: this.#speaker, watch: this.#watch, ...(monitoring === undefined ? {} : { monitoring }) };
    state.bgp = { desired, leaving, waiting, ...parts };
    this.#tell(desired, sessions, leaving);
    if (world.links !== this.#links) this.#speaker.addressesChanged();
    this.#links = world.links;
    this.#watch.apply([...sessions, ...(turns?.awaitingBfd() ?? [])], world.links);
    // Peers that kept routes of an earlier run drop what is not announced by then.
    if (snapshot.complete && state.membership().complete) this.#speaker.complete();
  }

  async stop(mode: StopMode): Promise<void> {
    this.#cancel();
    this.#options.turns?.stop();
    // Who leaves ends BGP first. Who comes back has the peers wait before they see BGP end, or they would take it for a failure.
    if (mode !== "leave") await this.#watch.stop(mode);
    await this.#speaker.stop(mode === "leave" ? "leave" : "restart");
    if (mode === "leave") await this.#watch.stop(mode);
    // Last: how the sessions ended is for the collector as well.
    await this.#options.monitoring?.stop();
  }

  #tell(desired: DesiredBgp, sessions: readonly DesiredSession[], leaving: Leaving): void {
    this.#speaker.drain(leaving.state === "leaving");
    // Of the same sessions more and more have their turn, never fewer.
    if (desired === this.#told && sessions.length === this.#configs.length) return;
    this.#told = desired;
    const configs = sessions.map(({ config }) => config);
    const same = configs.length === this.#configs.length && configs.every((each, i) => each === this.#configs[i]);
    if (!same) this.#configs = configs;
    this.#speaker.configure(this.#configs);
    this.#speaker.announce(new Map(sessions.map(({ config, routes }) => [config.name, routes])));
  }

  #stepLeaving(snapshot: Snapshot, drained: boolean): Leaving {
    const { nodeName, ignoreExcludeLabel, clock, soon } = this.#options;
    const labels = snapshot.nodes.get(nodeName)?.metadata.labels ?? {};
    const excluded = drained || (!ignoreExcludeLabel && Object.hasOwn(labels, EXCLUDE_LABEL));
    this.#leaving = stepLeaving(this.#leaving, excluded, clock.now());
    this.#cancel();
    if (this.#leaving.state === "leaving") this.#cancel = clock.at(this.#leaving.until, soon);
    return this.#leaving;
  }
}

/**
 * Where a session has no identifier of its own: the first IPv4 address of the node that is not of a
 * container bridge or the like, else a number made from its name as MetalLB makes it.
 */
export function identifierOf(links: readonly NodeLink[], exclude: RegExp, nodeName: string): number {
  const own = links
    .filter(({ name }) => !exclude.test(name))
    .flatMap(({ addresses }) => addresses)
    .map((text) => parseAddress(text.split("/", 1)[0] ?? ""))
    .find((address) => address?.family === "IPv4" && address.value >> 24n !== 127n);
  if (own !== undefined) return Number(own.value);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc32(nodeName));
  return bytes.readUInt32BE();
}
