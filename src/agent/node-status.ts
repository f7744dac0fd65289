/**
 * What this node says about itself in objects: a ServiceL2Status for each Service that it announces, and an event when it
 * begins to, or finds no device to do it on. Only transitions are events; what was written before says what is one.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { formatAddress } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { Unwritten } from "../source/kubernetes/unreachable.ts";
import type { L2StatusWrite, NodeStatusWriter, Snapshot } from "../source/source.ts";
import { inSlices } from "../time/slices.ts";
import { ConfigurationReporter } from "./configuration.ts";
import type { PlacedAnnouncement } from "./desired.ts";
import { planningRouteStatus } from "./route-status.ts";
import { eventAbout, type StatusOperation } from "./status-operation.ts";
import { hazardKey, planHazardEvents, type Told } from "./hazards/events.ts";
import type { AgentState } from "./state.ts";

const TURN_WRITES = 64;
/** Which routes there are is decided from these. */
const OF_ROUTES = [
  "services",
  "endpointSlices",
  "nodes",
  "ipAddressPools",
  "bgpAdvertisements",
  "bgpPeers",
] as const satisfies readonly (keyof Snapshot)[];
const RETRY_MS = 5000;

export interface NodeStatusInput {
  readonly node: string;
  readonly placed: readonly PlacedAnnouncement[];
  readonly snapshot: Pick<Snapshot, "services" | "complete">;
  /** As they are written now. */
  readonly statuses: ReadonlyMap<string, L2StatusWrite>;
  /** What {@link unplacedOf} said last time. */
  readonly unplaced: ReadonlySet<string>;
}

/** Statuses before the events about them, removals last. Nothing when nothing changed. */
export function planNodeStatus(input: NodeStatusInput): readonly StatusOperation[] {
  const { node, placed, statuses, snapshot } = input;
  const desired = desiredStatuses(placed);
  const operations: StatusOperation[] = [];
  for (const [service, write] of desired) {
    const before = statuses.get(service);
    if (before === undefined || before.interfaces.join() !== write.interfaces.join())
      operations.push({ type: "l2", service, write });
    if (before !== undefined) continue;
    const message = `announcing from node "${node}" with protocol "layer2"`;
    const event = eventAbout(service, snapshot, { type: "Normal", reason: "nodeAssigned", message });
    operations.push({ type: "event", write: event, follows: { kind: "l2", service } });
  }
  operations.push(...failures(input));
  for (const service of statuses.keys()) {
    // A Service that cannot be read just now is still announced.
    const unknown = !snapshot.complete && !snapshot.services.has(service);
    if (!desired.has(service) && !unknown) operations.push({ type: "l2", service, write: undefined });
  }
  return operations;
}

/** Addresses that should be announced here and are not, as texts to compare. */
export function unplacedOf(placed: readonly PlacedAnnouncement[]): ReadonlySet<string> {
  return new Set(unplaced(placed).map(({ service, address }) => `${service} ${address}`));
}

function unplaced(placed: readonly PlacedAnnouncement[]): { service: string; address: string; all: boolean }[] {
  return placed
    .filter(({ devices }) => devices.length === 0)
    .flatMap(({ address, services, interfaces }) =>
      services.map((service) => ({ service, address: formatAddress(address), all: interfaces === "all" })),
    );
}

function failures({ node, placed, snapshot, unplaced: before }: NodeStatusInput): readonly StatusOperation[] {
  return unplaced(placed)
    .filter(({ service, address }) => !before.has(`${service} ${address}`))
    .map(({ service, address, all }) => {
      const message = all
        ? `no interface to announce LB IP "${address}" on exists in assigned node "${node}" with protocol "layer2"`
        : `the interfaces specified by LB IP "${address}" doesn't exist in assigned node "${node}" with protocol "layer2"`;
      return {
        type: "event",
        write: eventAbout(service, snapshot, { type: "Warning", reason: "announceFailed", message }),
      };
    });
}

/** By Service, in a fixed order. */
function desiredStatuses(placed: readonly PlacedAnnouncement[]): ReadonlyMap<string, L2StatusWrite> {
  const places = new Map<string, PlacedAnnouncement[]>();
  for (const announcement of placed) {
    if (announcement.devices.length === 0) continue;
    for (const service of announcement.services) places.set(service, [...(places.get(service) ?? []), announcement]);
  }
  return new Map(
    [...places].map(([service, list]): [string, L2StatusWrite] => {
      if (list.some(({ interfaces }) => interfaces === "all")) return [service, { interfaces: [] }];
      const names = list.flatMap(({ devices }) => devices.map(({ name }) => name));
      return [service, { interfaces: [...new Set(names)].toSorted() }];
    }),
  );
}

/** Writes after passes, one round at a time; what fails is a problem of the state (beside an outage that is one, it is not) and tried again, with the next pass or soon. */
export class NodeStatusReporter {
  readonly #writer: NodeStatusWriter;
  readonly #configuration: ConfigurationReporter;
  #unplaced: ReadonlySet<string> = new Set();
  /** What there was nothing to write for. */
  #quiet: { readonly services?: readonly unknown[]; readonly routes?: readonly unknown[] } = {};
  #hazards: Told = new Map();
  /** What could not be written, also where nobody has to be told. */
  #failures: readonly Problem[] = [];
  readonly #unwritten = new Unwritten();
  #running: Promise<void> | undefined;
  #again = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(writer: NodeStatusWriter) {
    this.#writer = writer;
    this.#configuration = new ConfigurationReporter(writer);
  }

  report(state: AgentState): void {
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#retry);
    this.#running = this.#round(state).finally(() => {
      this.#running = undefined;
      const again = this.#again;
      this.#again = false;
      if (again) this.report(state);
      else if (this.#failures.length > 0) this.#retry = setTimeout(() => this.report(state), RETRY_MS);
    });
  }

  /** Resolves when nothing is being written; `withdraw`: this node gives everything up. */
  async close(withdraw: boolean): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    clearTimeout(this.#retry);
    const services = withdraw ? [...(this.#writer.l2Statuses()?.keys() ?? [])] : [];
    for (const service of services) await this.#writer.writeL2Status(service, undefined);
    const routed = withdraw ? [...(this.#writer.bgpStatuses()?.keys() ?? [])] : [];
    for (const service of routed) await this.#writer.writeBgpStatus(service, undefined);
    await this.#writer.close();
  }

  async #round(state: AgentState): Promise<void> {
    const reports = [
      this.#reportServices(state),
      this.#reportRoutes(state),
      this.#reportConfiguration(state),
      this.#reportHazards(state),
    ];
    this.#failures = (await Promise.all(reports)).flat();
    const problems = state.world?.snapshot.problems ?? [];
    state.nodeStatusProblems = this.#unwritten.toSay(this.#failures, problems, performance.now());
  }

  async #reportConfiguration({ configurationProblems }: AgentState): Promise<readonly Problem[]> {
    try {
      await this.#configuration.report(configurationProblems, new Date());
      return [];
    } catch (error) {
      return [{ subject: "ConfigurationState", message: error instanceof Error ? error.message : String(error) }];
    }
  }

  async #reportHazards({ node, hazards, world }: AgentState): Promise<readonly Problem[]> {
    const problems: Problem[] = [];
    for (const event of planHazardEvents(node, world?.snapshot ?? { nodes: new Map() }, hazards, this.#hazards)) {
      const told = new Map(this.#hazards);
      if (event.there) told.set(hazardKey(event.hazard), event.hazard);
      else told.delete(hazardKey(event.hazard));
      try {
        await this.#writer.writeEvent(event.write);
        this.#hazards = told;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        problems.push({ subject: `Event ${event.write.reason} of Node ${node}`, message });
      }
    }
    return problems;
  }

  async #reportServices({ node, placed, world }: AgentState): Promise<readonly Problem[]> {
    const statuses = this.#writer.l2Statuses();
    // Nothing is known yet, so nothing is tried: what failed before still has.
    if (placed === undefined || world === undefined || statuses === undefined)
      return this.#failures.filter(({ subject }) => subject.startsWith("ServiceL2Status"));
    const { snapshot } = world;
    const from = [placed, statuses, snapshot.complete || snapshot.services];
    if (sameValues(from, this.#quiet.services)) return [];
    const operations = planNodeStatus({ node, placed, snapshot, statuses, unplaced: this.#unplaced });
    this.#unplaced = unplacedOf(placed);
    if (operations.length === 0) this.#quiet = { ...this.#quiet, services: from };
    return this.#perform(operations);
  }

  async #reportRoutes({ node, bgp, world }: AgentState): Promise<readonly Problem[]> {
    const statuses = this.#writer.bgpStatuses();
    const unread = OF_ROUTES.some((collection) => world?.snapshot.unread.has(collection));
    if (bgp === undefined || world === undefined || statuses === undefined || unread)
      return this.#failures.filter(({ subject }) => subject.startsWith("ServiceBGPStatus"));
    const { snapshot } = world;
    const { desired } = bgp;
    const from = [desired, statuses, snapshot.complete || snapshot.services];
    if (sameValues(from, this.#quiet.routes)) return [];
    const operations = await inSlices(planningRouteStatus({ node, desired, snapshot, statuses }));
    if (operations.length === 0) this.#quiet = { ...this.#quiet, routes: from };
    return this.#perform(operations);
  }

  async #perform(operations: readonly StatusOperation[]): Promise<readonly Problem[]> {
    const problems = new Map<string, Problem>();
    const events: Promise<void>[] = [];
    const attempt = async (subject: string, write: () => Promise<void>): Promise<void> => {
      try {
        await write();
      } catch (error) {
        problems.set(subject, { subject, message: error instanceof Error ? error.message : String(error) });
      }
    };
    for (const [index, operation] of operations.entries()) {
      // A folder is written in place: thousands of files must not keep everything else waiting.
      if (index % TURN_WRITES === TURN_WRITES - 1) await nextTurn();
      if (operation.type === "l2") {
        const { service, write } = operation;
        await attempt(statusOf("l2", service), () => this.#writer.writeL2Status(service, write));
        continue;
      }
      if (operation.type === "bgp") {
        const { service, write } = operation;
        await attempt(statusOf("bgp", service), () => this.#writer.writeBgpStatus(service, write));
        continue;
      }
      const { follows, write } = operation;
      if (follows !== undefined && problems.has(statusOf(follows.kind, follows.service))) continue;
      // A writer may collect events for a moment; nothing waits for that.
      events.push(attempt(`Event ${write.reason}`, () => this.#writer.writeEvent(write)));
    }
    await Promise.all(events);
    return [...problems.values()];
  }
}

function sameValues(now: readonly unknown[], before: readonly unknown[] | undefined): boolean {
  return before !== undefined && now.every((value, index) => value === before[index]);
}

function statusOf(kind: "l2" | "bgp", service: string): string {
  return `${kind === "l2" ? "ServiceL2Status" : "ServiceBGPStatus"} of ${service}`;
}
