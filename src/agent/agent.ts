/**
 * The running agent: keeps what it knows up to date, runs a pass whenever something changed, and retries what failed.
 *
 *     manifests, state ─┐
 *     links             ├─► world ─► pass (pass.ts) ─► kernel
 *     endpoint files    │              ▲
 *     peers             ┘              └── retry with back-off, and a full pass every half minute
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { startGratuitous, type Gratuitous } from "../announce/gratuitous/driver.ts";
import { FLOW_TIMEOUTS, flowExpired } from "../datapath/flows.ts";
import { sweepFlows } from "../datapath/garbage.ts";
import { viewOf } from "../datapath/encode.ts";
import { storeRuntime } from "../datapath/records.ts";
import { readTables } from "../datapath/tables.ts";
import { monotonicNs } from "../kernel/clock.ts";
import { listLinks, watchLinks } from "../kernel/links.ts";
import { openPacketSocket } from "../kernel/packet-socket.ts";
import { openStampWriter } from "../kernel/stamp.ts";
import type { Log } from "../observe/log.ts";
import { membershipKey } from "../protocol/swim/config.ts";
import { startMembership, type Membership } from "../protocol/swim/driver.ts";
import { failed } from "../reconcile/retry.ts";
import { openFolderSource } from "../source/manifests/folder.ts";
import type { Source } from "../source/source.ts";
import { createAttacher } from "./attach.ts";
import type { AgentConfig } from "./config.ts";
import type { Datapath } from "./datapath.ts";
import { desiredPeers, emptyMemo, type World } from "./desired.ts";
import type { NodeLink } from "./devices.ts";
import { readEndpoints, watchEndpoints, type EndpointFile } from "./endpoints.ts";
import { ChangeLog } from "./change-log.ts";
import { readBack, runPass, withdrawAnnouncements, type PassParts } from "./pass.ts";
import type { AgentState } from "./state.ts";

/** ARP and NDP fall silent this long before peers may take over: longer than two clocks drift apart in a grace. */
const ANSWER_MARGIN_MS = 1000;
const FULL_PASS_MS = 30_000;
/** How often what found no room, or could not be attached, is tried again. */
const PROBLEM_PASS_MS = 2000;
const SWEEP_MS = 30_000;
/** Tables are compared with the kernel this often, in case somebody else wrote there. */
const READ_BACK_PASSES = 20;

export interface Agent {
  readonly state: AgentState;
  /** Ends everything but the datapath. `restart`: nothing moves for ten minutes; `leave`: others take over at once. */
  stop(mode: "restart" | "leave"): Promise<void>;
}

export interface AgentParts {
  readonly config: AgentConfig;
  readonly datapath: Datapath;
  readonly log: Log;
  readonly version: string;
  /** Called after every pass. */
  readonly onPass: (result: "done" | "failed") => void;
  /** Called with every gratuitous packet. */
  readonly onGratuitous: (frame: Uint8Array) => void;
  readonly onFailure: (error: Error) => void;
}

export async function startAgent(parts: AgentParts): Promise<Agent> {
  const { config, datapath, log } = parts;
  const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  const secret = config.membershipKeyFile === undefined ? "" : readFileSync(config.membershipKeyFile, "utf8");
  const key = membershipKey(secret, sha256);
  const answerMarginNs = BigInt(ANSWER_MARGIN_MS) * 1_000_000n;
  storeRuntime(datapath.maps.runtime, { answerMarginNs, probeKey: key, probePort: config.membershipPort });

  const gratuitous = startGratuitous({
    openSocket: (ifindex) => {
      const socket = openPacketSocket(ifindex);
      return {
        send: (frame) => {
          socket.send(frame);
          parts.onGratuitous(frame);
        },
        close: () => socket.close(),
      };
    },
    onProblem: (message, cause) => log("problem", { message, cause: cause instanceof Error ? cause.message : cause }),
  });
  let links: readonly NodeLink[] = await listLinks();
  const source = await openFolderSource({
    manifests: config.manifests,
    ...(config.state === undefined ? {} : { state: config.state }),
  });
  const stamp = openStampWriter(`${config.bpffs}/maps/runtime`);
  let membership: Membership | undefined;
  const state = initialState(parts, () => membership?.view());
  const passParts: PassParts = {
    state,
    me: { nodeName: config.nodeName, sha256, devices: { exclude: config.interfacesExclude, only: config.devices } },
    memo: emptyMemo(),
    attacher: createAttacher(datapath, log),
    announce: (places) => gratuitous.set(places),
  };
  membership = startMembership({
    node: config.nodeName,
    port: config.membershipPort,
    key,
    graceSeconds: config.graceSeconds,
    answerMarginMilliseconds: ANSWER_MARGIN_MS,
    stamp,
    onLapsed: () => {
      log("stampLapsed");
      withdrawAnnouncements(passParts);
    },
    onFailure: parts.onFailure,
  });
  const running = membership;
  const endpointsFolder = config.endpoints;
  let endpoints: readonly EndpointFile[] = [];
  const readFolder = (): void => {
    if (endpointsFolder === undefined) return;
    const folder = readEndpoints(endpointsFolder);
    endpoints = folder.endpoints;
    state.endpointProblems = folder.problems;
  };
  readFolder();

  const world = (): World => {
    const { alive, gone } = running.view();
    return { snapshot: source.snapshot(), links, endpoints, members: { alive, gone } };
  };
  const loop = startLoop({ parts, passParts, world, source, membership: running, gratuitous });
  const refreshLinks = (): void => {
    listLinks().then(
      (found) => {
        links = found;
        loop.soon();
      },
      (error: unknown) => log("problem", { message: "Cannot list the network interfaces", cause: String(error) }),
    );
  };
  const stops = [
    source.subscribe(() => loop.soon()),
    watchLinks(refreshLinks),
    endpointsFolder === undefined
      ? () => {}
      : watchEndpoints(endpointsFolder, () => {
          readFolder();
          loop.soon();
        }),
    running.onChange(() => loop.soon()),
    startSweeping(state, log),
  ];
  loop.soon();
  return {
    state,
    stop: async (mode) => {
      for (const stop of stops) stop();
      loop.stop();
      gratuitous.close();
      if (mode === "leave") withdrawAnnouncements({ state, announce: () => {} });
      await running.stop(mode);
      await source.close();
      stamp.close();
    },
  };
}

function initialState(
  { config, datapath, version }: AgentParts,
  view: () => ReturnType<Membership["view"]> | undefined,
): AgentState {
  const nobody = {
    alive: new Set<string>(),
    gone: new Set<string>(),
    complete: false,
    isolated: false,
    reunions: 0,
    peers: [],
  };
  return {
    node: config.nodeName,
    version,
    startedAt: new Date(),
    maps: datapath.maps,
    tables: readTables(datapath.maps.forwarding),
    world: undefined,
    forwarding: { frontends: new Map(), problems: [] },
    announcing: { elections: new Map(), announcements: [] },
    attachments: { devices: [], endpoints: [], addresses: [] },
    devices: [],
    convergence: { state: "pending" },
    passes: 0,
    lastPass: undefined,
    endpointProblems: [],
    attachProblems: [],
    announceProblems: [],
    flows: 0,
    membership: () => view() ?? nobody,
    nowNs: monotonicNs,
  };
}

interface LoopParts {
  readonly parts: AgentParts;
  readonly passParts: PassParts;
  readonly world: () => World;
  readonly source: Source;
  readonly membership: Membership;
  readonly gratuitous: Gratuitous;
}

interface Loop {
  /** A pass after everything that happens in this turn of the event loop. */
  soon(): void;
  stop(): void;
}

function startLoop({ parts, passParts, world, source, membership, gratuitous }: LoopParts): Loop {
  const { state } = passParts;
  const changes = new ChangeLog(parts.log);
  let scheduled = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let reunions = 0;

  const pass = (): void => {
    scheduled = false;
    if (stopped) return;
    clearTimeout(timer);
    if (state.convergence.state === "failed" && performance.now() < state.convergence.retryAt) {
      timer = setTimeout(soon, state.convergence.retryAt - performance.now());
      return;
    }
    membership.setPeers(desiredPeers(source.snapshot().nodes, state.node));
    timer = setTimeout(soon, attemptPass(parts, passParts, world));
    const view = membership.view();
    if (view.reunions !== reunions) gratuitous.again();
    reunions = view.reunions;
    changes.report(state);
  };
  const soon = (): void => {
    if (scheduled || stopped) return;
    scheduled = true;
    setImmediate(pass);
  };
  return {
    soon,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Milliseconds until the next pass when nothing happens before. */
function attemptPass(parts: AgentParts, passParts: PassParts, world: () => World): number {
  const { state } = passParts;
  const startedAt = performance.now();
  state.passes += 1;
  try {
    if (state.passes % READ_BACK_PASSES === 0 || state.convergence.state === "failed") readBack(state);
    const operations = runPass(passParts, world());
    const milliseconds = performance.now() - startedAt;
    if (state.convergence.state !== "done") parts.log("ready", { milliseconds, operations });
    state.convergence = { state: "done" };
    state.lastPass = { at: new Date(), milliseconds, operations };
    parts.log("reconciled", { milliseconds, operations });
    parts.onPass("done");
    const unsettled =
      state.attachProblems.length > 0 ||
      [...state.tables.services.values()].some(({ problems }) => problems.length > 0);
    return unsettled ? PROBLEM_PASS_MS : FULL_PASS_MS;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    state.convergence = failed(state.convergence, message, { now: startedAt, random: Math.random() });
    parts.log("reconcileFailed", { ...state.convergence, stack: error instanceof Error ? error.stack : undefined });
    parts.onPass("failed");
    return state.convergence.retryAt - startedAt;
  }
}

/** Clears out expired flows every {@link SWEEP_MS}, a little at a time, and counts the others. */
function startSweeping(state: AgentState, log: Log): () => void {
  let stopped = false;
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => log("problem", { message: "Cannot sweep the flow table", cause: String(error) }));
  }, SWEEP_MS);
  const sweep = async (): Promise<void> => {
    const nowSeconds = Number(state.nowNs() / 1_000_000_000n);
    const pause = async (): Promise<void> => {
      await nextTurn();
    };
    await sweepFlows(state.maps.flows, { nowSeconds, timeouts: FLOW_TIMEOUTS, pause });
    let live = 0;
    let seen = 0;
    for (const [key, value] of state.maps.allFlows()) {
      if (!flowExpired(viewOf(key), viewOf(value), nowSeconds, FLOW_TIMEOUTS)) live += 1;
      seen += 1;
      if (seen % 4096 === 0) await pause();
      if (stopped) return;
    }
    state.flows = live;
  };
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}
