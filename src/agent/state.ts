/** What the running agent knows, in one place: written by the passes, read by the API and the metrics. */
import { readTables, type Tables } from "../datapath/tables.ts";
import { monotonicNs } from "../kernel/clock.ts";
import type { MembershipView } from "../protocol/swim/view.ts";
import type { Convergence } from "../reconcile/retry.ts";
import type { DeviceStatus } from "../observe/status.ts";
import type { Announcing, Attachments, Forwarding, PlacedAnnouncement, World } from "./desired.ts";
import type { Announced } from "./announced.ts";
import type { BgpState } from "./bgp.ts";
import type { DatapathMaps } from "./maps.ts";
import type { Hazard } from "./hazards/facts.ts";
import type { Problem } from "../net/problem.ts";

export interface AgentState {
  readonly node: string;
  readonly version: string;
  readonly startedAt: Date;
  readonly maps: DatapathMaps;
  /** Read back from the kernel; replaced after a failure. */
  tables: Tables;
  /** Every kind of object was read once. */
  objectsRead: boolean;
  /** `undefined` until the first pass. */
  world: World | undefined;
  forwarding: Forwarding;
  announcing: Announcing;
  /** What this node announces, and where; `undefined` until it knows who else is there. */
  placed: readonly PlacedAnnouncement[] | undefined;
  /** What the announced rows in the kernel were made of, and until when they need not be compared with it; `undefined`: compare them. */
  announced: Announced | undefined;
  attachments: Attachments;
  /** Devices that carry the programs. */
  devices: readonly DeviceStatus[];
  convergence: Convergence;
  passes: number;
  lastPass: { readonly at: Date; readonly milliseconds: number; readonly operations: number } | undefined;
  /** How often all announcements were taken back because the stamp had run out. */
  withdrawals: number;
  /** All passes together, in planning and writing the forwarding tables. */
  programmingMilliseconds: number;
  /** By where they come from; those of the tables lie in the tables. */
  endpointProblems: readonly Problem[];
  attachProblems: readonly Problem[];
  announceProblems: readonly Problem[];
  nodeStatusProblems: readonly Problem[];
  /** Why `kubectl fairlead` cannot ask this agent. */
  remoteApiProblems: readonly Problem[];
  /** `undefined` until the first pass. */
  bgp: BgpState | undefined;
  /** When an operator drained this node; `undefined`: it is not drained. */
  drainedSince: Date | undefined;
  /** Of these nodes, those that say of themselves what they announce, and nothing of the Service; see source.ts. */
  silentAbout: (service: string, nodes: readonly string[]) => Promise<readonly string[]>;
  /** Of pools, advertisements and peers; `undefined` until they were read. */
  configurationProblems: readonly Problem[] | undefined;
  /** Of this node's settings and segments, as last looked for. */
  hazards: readonly Hazard[];
  /** Rows of the flow table at the last sweep. */
  flows: number;
  membership: () => MembershipView;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
}

/** Before the first pass. Reads the tables back from the kernel. */
export function initialState({ node, version, maps }: Pick<AgentState, "node" | "version" | "maps">): AgentState {
  const nobody: MembershipView = {
    alive: new Set(),
    away: new Map(),
    gone: new Set(),
    complete: false,
    mayTake: false,
    isolated: false,
    reunions: 0,
    peers: [],
  };
  return {
    node,
    version,
    startedAt: new Date(),
    maps,
    tables: readTables(maps.forwarding),
    objectsRead: false,
    world: undefined,
    forwarding: { frontends: new Map(), problems: [] },
    announcing: { elections: new Map(), addresses: new Map(), announcements: [] },
    placed: undefined,
    announced: undefined,
    attachments: { devices: [], endpoints: [], addresses: [] },
    devices: [],
    convergence: { state: "pending" },
    passes: 0,
    lastPass: undefined,
    withdrawals: 0,
    programmingMilliseconds: 0,
    endpointProblems: [],
    attachProblems: [],
    announceProblems: [],
    nodeStatusProblems: [],
    remoteApiProblems: [],
    bgp: undefined,
    drainedSince: undefined,
    silentAbout: async () => [],
    configurationProblems: undefined,
    hazards: [],
    flows: 0,
    membership: () => nobody,
    nowNs: monotonicNs,
  };
}

/** Everything that is wrong, each thing once. */
export function allProblems(state: AgentState): readonly Problem[] {
  const { convergence } = state;
  const all: Problem[] = [
    ...(convergence.state === "failed" ? [{ subject: "Datapath tables", message: convergence.message }] : []),
    ...(state.world?.snapshot.problems ?? []),
    ...state.endpointProblems,
    ...state.attachProblems,
    ...state.forwarding.problems,
    ...[...state.tables.troubled].flatMap((name) => state.tables.services.get(name)?.problems ?? []),
    ...state.announceProblems,
    ...(state.bgp?.waiting ?? []),
    ...state.nodeStatusProblems,
    ...state.remoteApiProblems,
    ...(state.configurationProblems ?? []),
    ...state
      .membership()
      .peers.flatMap(({ name, problem }) =>
        problem === undefined ? [] : [{ subject: `Node ${name}`, message: problem }],
      ),
  ];
  return [...new Map(all.map((problem) => [JSON.stringify(problem), problem])).values()];
}
