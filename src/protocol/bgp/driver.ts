/**
 * The BGP speaker of a node: sessions by name, the sockets that peers call, and the way out.
 *
 *     configure ──► peerings (peering/driver.ts), one a peer ──► wires (wire/driver.ts)
 *     announce  ──►    ▲
 *                      └── listener (listener/driver.ts): who calls is found by address, then by prefix
 */
import type { Socket } from "node:net";
import { parseAddress, sameAddress, type Address } from "../../net/address.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import { later } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import type { SessionConfig } from "./config.ts";
import { BGP_PORT } from "./config.ts";
import { startDiscovery, type Discovery } from "./discovery/driver.ts";
import { childConfig, dynamicConfig, forgotten, isChild, parentName, parentOf } from "./dynamic.ts";
import { createListener, type Listener } from "./listener/driver.ts";
import { listenedFor } from "./listener/listened.ts";
import { RestartMemory } from "./memory/driver.ts";
import { ceaseNotification } from "./notification.ts";
import { Peering } from "./peering/driver.ts";
import type { Routes } from "./route.ts";
import type { Identity, Inheritance } from "./session.ts";
import type { Speaker } from "./speaker.ts";
import type { Observed } from "./traffic.ts";
import { viewOf } from "./view.ts";

export interface SpeakerOptions {
  readonly identity: Identity;
  /** Where peers call, for sessions that want it. Default 179 on all addresses. */
  readonly listenPort?: number;
  readonly listenAddresses?: Readonly<Partial<Record<Address["family"], string>>>;
  /** Remembers over a restart which peers keep routes of ours. */
  readonly stateFile?: string;
  /** What an earlier run announced is still forwarded: its datapath has survived. Default: true. */
  readonly forwardingPreserved?: boolean;
  /** How long routes stay as routes of last resort before they are withdrawn, on `leave`. Default 5 s. */
  readonly drainMilliseconds?: number;
  /** A session's state, its reason or its history changed. */
  readonly onSession?: (name: string) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

const DRAIN_MILLISECONDS = 5000;
/** What was withdrawn is on its way to the peer by then, or the peer does not read. */
const FLUSH_MILLISECONDS = 5000;
/** The sockets have let go by then. */
const CLOSE_MILLISECONDS = 1500;

export function startSpeaker(options: SpeakerOptions): Speaker {
  return new SpeakerDriver(options);
}

class SpeakerDriver implements Speaker {
  readonly #options: SpeakerOptions;
  readonly #clock: Clock;
  readonly #peerings = new Map<string, Peering>();
  readonly #listener: Listener;
  /** By the session's name. */
  readonly #discoveries = new Map<string, Discovery>();
  readonly #listeners = new Set<() => void>();
  readonly #onlookers = new Set<(observed: Observed) => void>();
  readonly #memory: RestartMemory;
  #configs: readonly SessionConfig[] = [];
  #routes: ReadonlyMap<string, Routes> = new Map();
  #listenProblems: readonly string[] = [];
  #complete = false;
  #draining = false;
  #stopping = false;
  #notified: NodeJS.Immediate | undefined;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#memory = new RestartMemory(options.stateFile);
    this.#listener = createListener({
      port: options.listenPort ?? BGP_PORT,
      ...(options.listenAddresses === undefined ? {} : { addresses: options.listenAddresses }),
      onConnection: (socket) => this.#accept(socket),
    });
  }

  configure(sessions: readonly SessionConfig[]): void {
    if (sessions === this.#configs) return;
    this.#configs = sessions;
    // Keys before calls, and listening before calling: a peer may answer with a call of its own.
    this.#listenProblems = this.#listener.set(listenedFor(sessions));
    const byName = new Map(sessions.map((config) => [config.name, config]));
    for (const [name, peering] of this.#peerings) {
      const own = byName.get(name);
      // What has become a configuration for callers is no session of its own any more.
      const config = own?.peer.type === "prefix" ? undefined : (own ?? dynamicConfig(peering.session.config, byName));
      if (config === undefined) this.#remove(name, peering);
      else {
        peering.handle({ type: "configure", config });
        this.#discover(config, peering);
      }
    }
    for (const config of sessions)
      if (config.peer.type !== "prefix" && !this.#peerings.has(config.name)) this.#add(config);
    this.#notify();
  }

  announce(routes: ReadonlyMap<string, Routes>): void {
    this.#routes = routes;
    for (const [name, peering] of this.#peerings) peering.telling.announce(this.#routesOf(name));
  }

  addressesChanged(): void {
    for (const peering of this.#peerings.values()) peering.telling.flush();
  }

  complete(): void {
    if (this.#complete) return;
    this.#complete = true;
    for (const peering of this.#peerings.values()) peering.telling.flush();
  }

  bfd(name: string, state: "up" | "down" | "adminDown"): void {
    this.#peerings.get(name)?.handle({ type: "bfd", state });
  }

  reset(name: string, reason: string): boolean {
    const peering = this.#peerings.get(name);
    peering?.handle({ type: "reset", reason, notification: ceaseNotification("administrativeReset", reason) });
    return peering !== undefined;
  }

  drain(draining: boolean): void {
    if (draining === this.#draining) return;
    this.#draining = draining;
    for (const peering of this.#peerings.values()) peering.telling.drain(draining);
    this.#notify();
  }

  release(): void {
    this.#configs = [];
    for (const [name, peering] of this.#peerings) {
      const keeps = peering.up?.negotiated.gracefulRestart === true;
      this.#remove(name, peering, keeps ? "another program has it next" : undefined);
    }
    this.#notify();
  }

  view(): ReturnType<Speaker["view"]> {
    const now = this.#clock.now();
    const wallClock = Date.now();
    return viewOf({ peerings: this.#peerings, problems: (name) => this.#problemsOf(name), now, wallClock });
  }

  /** Of what a session needs beside itself. */
  #problemsOf(name: string): readonly string[] {
    const config = this.#peerings.get(name)?.session.config;
    const discovery = this.#discoveries.get(name)?.problem;
    return [
      ...(config === undefined || config.initiation === "dial" ? [] : this.#listenProblems),
      ...(discovery === undefined ? [] : [discovery]),
      ...(this.#memory.problem === undefined ? [] : [this.#memory.problem]),
    ];
  }

  received(): ReturnType<Speaker["received"]> {
    return [...this.#peerings].flatMap(([peer, { up }]) => up?.received.rows().map((row) => ({ peer, ...row })) ?? []);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  observe(onlooker: (observed: Observed) => void): () => void {
    this.#onlookers.add(onlooker);
    return () => this.#onlookers.delete(onlooker);
  }

  told(name: string): Iterable<readonly Uint8Array[]> {
    return this.#peerings.get(name)?.telling.told() ?? [];
  }

  async stop(mode: "leave" | "restart"): Promise<void> {
    this.#listener.close();
    for (const discovery of this.#discoveries.values()) discovery.close();
    const established = [...this.#peerings.values()].filter((peering) => peering.established);
    // Without graceful restart a restart costs the routes as well: then rather well.
    const leaving = established.filter(
      (peering) => mode === "leave" || peering.up?.negotiated.gracefulRestart !== true,
    );
    this.#stopping = true;
    if (mode === "leave") this.#memory.forget();
    if (leaving.length > 0) await this.#withdraw(leaving);
    const notification = ceaseNotification("administrativeShutdown", "the node leaves");
    for (const peering of this.#peerings.values()) {
      const silent = mode === "restart" && !leaving.includes(peering);
      const reason = "this speaker stops";
      peering.handle({ type: "stop", reason, ...(silent ? {} : { notification }) });
    }
    this.#listeners.clear();
    clearImmediate(this.#notified);
    await this.#sleep(CLOSE_MILLISECONDS, () => [...this.#peerings.values()].every(({ quiet }) => quiet));
  }

  async #withdraw(leaving: readonly Peering[]): Promise<void> {
    for (const peering of leaving) peering.telling.drain(true);
    await this.#sleep(this.#options.drainMilliseconds ?? DRAIN_MILLISECONDS, () => false);
    for (const peering of leaving) peering.telling.announce(NO_ROUTES);
    await this.#sleep(FLUSH_MILLISECONDS, () => leaving.every(({ wire }) => (wire?.backlog ?? 0) === 0));
  }

  async #sleep(milliseconds: number, isOver: () => boolean): Promise<void> {
    const end = later(this.#clock.now(), milliseconds);
    while (this.#clock.now() < end && !isOver()) {
      const pause = Math.min(20, end - this.#clock.now());
      // One after the other is the purpose.
      // oxlint-disable-next-line no-await-in-loop
      await new Promise<void>((resolve) => void this.#clock.at(later(this.#clock.now(), pause), resolve));
    }
  }

  #add(config: SessionConfig): Peering {
    const { identity, random = Math.random, onSession } = this.#options;
    const peering = new Peering({
      config,
      identity,
      clock: this.#clock,
      random,
      inheritance: this.#inheritance(config),
      isComplete: () => this.#complete,
      onObserved: (observed) => {
        for (const onlooker of this.#onlookers) onlooker(observed);
      },
      onChange: () => {
        onSession?.(config.name);
        if (!this.#stopping && peering.up?.negotiated.gracefulRestart === true) this.#memory.remember(config.name);
        this.#notify();
      },
    });
    this.#peerings.set(config.name, peering);
    peering.telling.drain(this.#draining);
    peering.telling.announce(this.#routesOf(config.name));
    peering.handle({ type: "start" });
    this.#discover(config, peering);
    return peering;
  }

  #inheritance({ name, gracefulRestart }: SessionConfig): Inheritance {
    const { forwardingPreserved: forwarding = true } = this.#options;
    if (gracefulRestart === undefined || !this.#memory.restarting.has(name)) return { forwarding };
    return { forwarding, restartingUntil: later(this.#clock.now(), gracefulRestart.restartTimeSeconds * 1000) };
  }

  /** Looks for an unnumbered peer where it is now, and nowhere else. */
  #discover({ name, peer }: SessionConfig, peering: Peering): void {
    const device = peer.type === "interface" ? peer.device : undefined;
    const found = this.#discoveries.get(name);
    if (found?.device === device) return;
    found?.close();
    this.#discoveries.delete(name);
    if (device === undefined) return;
    const onRouter = (router: Address): void => peering.handle({ type: "target", target: { address: router, device } });
    this.#discoveries.set(name, startDiscovery(device, onRouter));
  }

  /** `quietly`: the peer is told nothing, and this is why. */
  #remove(name: string, peering: Peering, quietly?: string): void {
    this.#discoveries.get(name)?.close();
    this.#discoveries.delete(name);
    peering.handle({
      type: "stop",
      reason: quietly ?? "it is no longer configured",
      ...(quietly === undefined ? { notification: ceaseNotification("peerDeconfigured") } : {}),
    });
    this.#peerings.delete(name);
  }

  #routesOf(name: string): Routes {
    return this.#routes.get(name) ?? this.#routes.get(parentName(name)) ?? NO_ROUTES;
  }

  #accept(socket: Socket): void {
    const [text = "", device] = (socket.remoteAddress ?? "").split("%");
    const from = parseAddress(text);
    const peering = from === undefined ? undefined : this.#peeringOf(from, device);
    // Whoever is not configured learns nothing, not even that BGP is spoken here.
    if (peering === undefined) socket.destroy();
    else peering.accept(socket);
  }

  #peeringOf(from: Address, device: string | undefined): Peering | undefined {
    const known = [...this.#peerings.values()].find(
      ({ session: { target } }) =>
        target !== undefined &&
        sameAddress(target.address, from) &&
        (target.device === undefined || target.device === device),
    );
    if (known !== undefined) return known;
    const parent = parentOf(this.#configs, from);
    return parent === undefined ? undefined : this.#welcome(parent, from);
  }

  #welcome(parent: NonNullable<ReturnType<typeof parentOf>>, from: Address): Peering | undefined {
    const { sessionsMax } = parent.peer;
    const siblings = [...this.#peerings].filter(([name]) => isChild(name, parent));
    const gone = forgotten(
      siblings.map(([name, { session }]) => [name, session] as const),
      sessionsMax,
      this.#clock.now(),
    );
    for (const name of gone) {
      this.#peerings.get(name)?.handle({ type: "stop", reason: "it has been away" });
      this.#peerings.delete(name);
    }
    return siblings.length - gone.length < sessionsMax ? this.#add(childConfig(parent, from)) : undefined;
  }

  #notify(): void {
    this.#notified ??= setImmediate(() => {
      this.#notified = undefined;
      for (const listener of this.#listeners) listener();
    });
  }
}

const NO_ROUTES: Routes = new Map();
