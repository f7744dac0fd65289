/**
 * The running agent: its parts, put together.
 *
 *     manifests, state ─┐
 *     links             ├─► world ─► pass (pass.ts) ─► kernel
 *     endpoint files    │              ▲
 *     peers             ┘              └── again after a failure, and every half minute (loop.ts)
 */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { startGratuitous, type Gratuitous } from "../announce/gratuitous/driver.ts";
import { storeRuntime, storeSampling } from "../datapath/records.ts";
import { QUARANTINE_MS } from "../datapath/regions.ts";
import { openPacketSocket } from "../kernel/packet-socket.ts";
import { openStampWriter } from "../kernel/stamp.ts";
import type { Log } from "../observe/log.ts";
import type { Access } from "../observe/remote-api.ts";
import type { DrainDocument } from "../observe/status.ts";
import { NO_NAMESPACES, parsingPools } from "../pool/pools.ts";
import { membershipKey } from "../protocol/swim/config.ts";
import { startMembership, type Membership, type StopMode } from "../protocol/swim/driver.ts";
import { openAccess } from "../source/kubernetes/access.ts";
import { openNodeStatus } from "../source/kubernetes/node-status.ts";
import { openNodeState } from "../source/manifests/node-state.ts";
import { openOrigin, type Opened } from "../source/open.ts";
import type { NodeStatusWriter, Snapshot, Source } from "../source/source.ts";
import type { Sliced } from "../time/slices.ts";
import { createAttacher } from "./attach.ts";
import { startBgp, type Bgp } from "./bgp.ts";
import { ChangeLog } from "./change-log.ts";
import type { AgentConfig } from "./config.ts";
import { ConfigurationJudge } from "./configuration.ts";
import type { Datapath } from "./datapath.ts";
import { desiredPeers, emptyMemo, type Me } from "./desired.ts";
import { startHazardWatch } from "./hazards/watch.ts";
import { hasSessions } from "./handover.ts";
import { openInputs, type Inputs } from "./inputs.ts";
import { startLoop } from "./loop.ts";
import { NodeStatusReporter } from "./node-status.ts";
import { passing, readBack, withdrawAnnouncements, type Passed, type PassParts } from "./pass.ts";
import { changeDrain, recallDrain } from "./drain.ts";
import { initialState, type AgentState } from "./state.ts";
import { SourceNews } from "./source-news.ts";
import { startSweeping } from "./sweep.ts";

/** ARP and NDP fall silent this long before peers may take over: longer than two clocks drift apart in a grace. */
const ANSWER_MARGIN_MS = 1000;
/** Every so often the tables are compared with the kernel, in case somebody else wrote there. */
const READ_BACK_MS = 600_000;

export interface Agent {
  readonly state: AgentState;
  readonly me: Me;
  /** Whom the API server lets ask this agent; `undefined` without one. */
  readonly access: Access | undefined;
  readonly kubernetes: Opened["kubernetes"];
  /** Drains this node or ends that, as the body of a request says. */
  drain(body: unknown): DrainDocument;
  /** Ends everything but the datapath; the mode says how long peers shall believe that an agent will be back. */
  stop(mode: StopMode): Promise<void>;
}

export interface AgentParts {
  readonly config: AgentConfig;
  readonly datapath: Datapath;
  readonly log: Log;
  readonly version: string;
  readonly onPass: (result: "done" | "failed") => void;
  /** Called with every gratuitous packet that was sent. */
  readonly onGratuitous: (frame: Uint8Array) => void;
  /** The agent cannot go on. */
  readonly onFailure: (error: Error) => void;
}

const sha256 = (text: string): Uint8Array => hash("sha256", text, "buffer");

/** Rejects when something cannot be opened; what was opened before is closed again then. */
export async function startAgent(parts: AgentParts): Promise<Agent> {
  const { config, datapath, log } = parts;
  const { nodeName } = config;
  let mode: StopMode = "failed";
  // Closed in reverse: first what calls others, last what is called.
  await using opened = new AsyncDisposableStack();
  const stamp = openStampWriter(`${config.bpffs}/maps/runtime`);
  opened.defer(() => stamp.close());
  const { source, kubernetes } = await openOrigin(config.origin, { component: "fairlead-agent", instance: nodeName });
  opened.defer(() => source.close());
  const news = new SourceNews(source);
  const nodeStatus = openNodeStatusWriter(config, kubernetes);
  const reporter = nodeStatus === undefined ? undefined : new NodeStatusReporter(nodeStatus);
  opened.defer(() => reporter?.close(mode === "leave"));
  const gratuitous = openGratuitous(parts);
  opened.defer(() => gratuitous.close());
  const state = stateAtStart(parts, nodeStatus);
  const passParts: PassParts = {
    state,
    me: meOf(config),
    memo: emptyMemo(),
    attacher: createAttacher(datapath, log),
    news: () => news.take(),
    inform: () => membership.inform(),
    announce: (places) => gratuitous.set(places),
  };
  const inputs = await openInputs(config.endpoints, log, () => {
    loop.soon();
    hazards.soon();
  });
  opened.defer(() => inputs.stop());
  const membership = openMembership(parts, stamp, () => withdrawAnnouncements(passParts));
  opened.defer(() => membership.stop(mode));
  opened.defer(() => (mode === "leave" ? withdrawAnnouncements(passParts) : undefined));
  state.membership = () => membership.view();
  const bgp = startBgp(parts, inputs.links(), () => loop.soon());
  opened.defer(() => bgp.stop(mode));
  const report = reporting(state, log, reporter);
  const pass = preparePass(passParts, { source, inputs, membership, gratuitous, bgp, report });
  const loop = startLoop({ state, log, pass, onPass: parts.onPass });
  opened.defer(() => loop.stop());
  opened.defer(news.subscribe(() => loop.soon()));
  void source.ready.then(() => (state.objectsRead = true));
  opened.defer(membership.onChange(() => loop.soon()));
  const hazards = startHazardWatch({ state, log, everySeconds: config.checkSeconds, onChange: () => loop.soon() });
  opened.defer(() => hazards.stop());
  opened.defer(startSweeping(state, log));
  loop.soon();
  const running = opened.move();
  return {
    state,
    me: passParts.me,
    access: kubernetes === undefined ? undefined : openAccess({ ...kubernetes, node: nodeName }),
    kubernetes,
    drain: (body) => changeDrain({ state, socket: config.socket, log, soon: () => loop.soon() }, body),
    stop: async (how) => {
      mode = how;
      await running.disposeAsync();
    },
  };
}

/** What changed with a pass, to logs and objects. */
function reporting(state: AgentState, log: Log, reporter: NodeStatusReporter | undefined): () => void {
  const changes = new ChangeLog(log);
  return () => {
    changes.report(state);
    reporter?.report(state);
  };
}

function stateAtStart(
  { config: { nodeName, socket }, datapath: { maps }, version }: AgentParts,
  nodeStatus: NodeStatusWriter | undefined,
): AgentState {
  const state = { ...initialState({ node: nodeName, version, maps }), drainedSince: recallDrain(socket) };
  if (nodeStatus === undefined) return state;
  return { ...state, silentAbout: (service, nodes) => nodeStatus.silentAbout(service, nodes) };
}

function meOf({ nodeName, interfacesExclude, devices, ignoreExcludeLabel, handover }: AgentConfig): Me {
  return { nodeName, sha256, devices: { exclude: interfacesExclude, only: devices }, ignoreExcludeLabel, handover };
}

/** Where this node says what it does: in the API, or in a folder if one was named. */
function openNodeStatusWriter(
  { nodeName, nodeState, pod }: AgentConfig,
  kubernetes: Opened["kubernetes"],
): NodeStatusWriter | undefined {
  if (kubernetes !== undefined)
    return openNodeStatus({ ...kubernetes, node: nodeName, ...(pod === undefined ? {} : { pod }) });
  return nodeState === undefined ? undefined : openNodeState(nodeState, nodeName);
}

interface PassInputs {
  readonly source: Source;
  readonly inputs: Inputs;
  readonly membership: Membership;
  readonly gratuitous: Gratuitous;
  readonly bgp: Bgp;
  /** What changed, to logs and objects. */
  readonly report: () => void;
}

/** One pass over what all inputs say now. */
function preparePass(
  parts: PassParts,
  { source, inputs, membership, gratuitous, bgp, report }: PassInputs,
): () => Sliced<Passed> {
  const { state, me } = parts;
  const judge = new ConfigurationJudge();
  let reunions = 0;
  let nodes: Snapshot["nodes"] | undefined;
  let readBackAt = performance.now() + READ_BACK_MS;
  return function* () {
    if (state.convergence.state === "failed" || (performance.now() > readBackAt && haveRested(state))) {
      yield* readBack(state);
      readBackAt = performance.now() + READ_BACK_MS;
    }
    const snapshot = source.snapshot();
    // Read in slices now, so that whoever asks for them later finds them read: a pool may list a hundred thousand entries.
    yield* parsingPools(snapshot.ipAddressPools, NO_NAMESPACES);
    const peers = snapshot.nodes === nodes ? undefined : desiredPeers(snapshot, me.nodeName);
    if (peers !== undefined) {
      membership.setPeers(peers);
      nodes = snapshot.nodes;
    }
    const view = membership.view();
    state.endpointProblems = inputs.problems();
    const { alive, away, gone } = view;
    const passed = yield* passing(parts, {
      snapshot,
      links: inputs.links(),
      endpoints: inputs.endpoints(),
      members: { alive, away, gone },
    });
    if (view.reunions !== reunions) gratuitous.again();
    reunions = view.reunions;
    yield* bgp.applying(state, hasSessions(snapshot, me));
    state.configurationProblems = judge.judge(snapshot, state.bgp?.desired.problems ?? []);
    report();
    return passed;
  };
}

/** Rows freed lately are told from free ones only in memory: reading back would forget the difference. */
function haveRested({ lastPass }: AgentState): boolean {
  return lastPass === undefined || lastPass.operations === 0 || Date.now() - lastPass.at.getTime() > QUARANTINE_MS;
}

function openGratuitous({ log, onGratuitous }: AgentParts): Gratuitous {
  return startGratuitous({
    openSocket: (ifindex) => {
      const socket = openPacketSocket(ifindex);
      const send = (frame: Uint8Array): void => {
        socket.send(frame);
        onGratuitous(frame);
      };
      return { send, close: () => socket.close() };
    },
    onProblem: (message, cause) => log("problem", { message, cause: cause instanceof Error ? cause.message : cause }),
  });
}

/** `withdraw` is called when the stamp had run out, before it is renewed. */
function openMembership(
  { config, datapath, log, onFailure }: AgentParts,
  stamp: { read(): bigint; write(validUntilNs: bigint): void },
  withdraw: () => void,
): Membership {
  const { membershipKeyFile, membershipPort, graceSeconds, nodeName } = config;
  const key = membershipKey(membershipKeyFile === undefined ? "" : readFileSync(membershipKeyFile, "utf8"), sha256);
  const answerMarginNs = BigInt(ANSWER_MARGIN_MS) * 1_000_000n;
  storeRuntime(datapath.maps.runtime, { answerMarginNs, probeKey: key, probePort: membershipPort });
  // Whoever watched an earlier agent's monitor when it was killed watches no more.
  storeSampling(datapath.maps.runtime, { flows: 0, drops: 0 });
  return startMembership({
    node: nodeName,
    port: membershipPort,
    key,
    graceSeconds,
    answerMarginMilliseconds: ANSWER_MARGIN_MS,
    stamp,
    onLapsed: () => {
      log("stampLapsed");
      withdraw();
    },
    onFailure,
  });
}
