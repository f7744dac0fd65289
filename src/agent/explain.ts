/** Gathers what this agent knows about one Service for src/observe/explain, and looks at the machine where that proves something. */
import { surveyElection } from "../announce/survey.ts";
import { frontendKeyText } from "../datapath/tables.ts";
import { formatAddress, parseAddress, type Family } from "../net/address.ts";
import { findWays } from "../kernel/routes.ts";
import { BadRequest, type Query } from "../observe/api.ts";
import { explain } from "../observe/explain/explain.ts";
import type { EndpointFacts, Facts, NodeFacts, PoolFacts, RouteFacts, TrialFacts } from "../observe/explain/facts.ts";
import type { ExplainDocument, FrontendRow } from "../observe/status.ts";
import { addressesInUse, countPools, poolCapacity } from "../pool/counts.ts";
import { NO_NAMESPACES, parsePools } from "../pool/pools.ts";
import { endpointState, isNodeGone } from "../service/backends.ts";
import { formatFrontend, type Backend, type Frontend } from "../service/frontends.ts";
import { slicesOf } from "../service/slices.ts";
import { announcersOf, type AnnouncerNames } from "./announcers.ts";
import { emptyMemo, thisNode, type Me, type World } from "./desired.ts";
import { linkRefusal } from "./devices.ts";
import { bgpFacts } from "./explain-bgp.ts";
import { hazardsTo } from "./hazards/find.ts";
import { announcedRows, frontendRows, stampSeconds } from "./map-rows.ts";
import { Slices } from "../time/slices.ts";
import type { AgentState } from "./state.ts";
import { tryConnections, type Trying } from "./trials.ts";

/** As many as somebody wants to read. */
const ROUTES_MAX = 16;

const KEY = /^[^/]+\/[^/]+$/;

/** What is asked of the machine. */
export interface Looking {
  /** How it would send to an address. */
  readonly ways: typeof findWays;
  readonly connections: Trying;
}

export async function explainDocument(
  state: AgentState,
  me: Me,
  query: Query,
  looking: Looking = { ways: findWays, connections: tryConnections },
): Promise<ExplainDocument> {
  const { world } = state;
  if (world === undefined) throw new Error("Cannot explain anything yet: this agent has not read its objects");
  const service = serviceKey(query, world);
  const frontends = state.forwarding.frontends.get(service) ?? [];
  const [routes, trials, silent] = await Promise.all([
    routeFacts(frontends.flatMap(selectable), world, looking.ways),
    trialFacts(frontends, looking.connections),
    silentNodes(service, world, state),
  ]);
  const announcers = await announcersOf(addressesOf(service, world), state, me);
  const programmed = await rowsOf(frontends, state);
  return explain(gatherFacts(service, world, state, me, { routes, trials, silent, announcers, programmed }));
}

/** `service=NAMESPACE/NAME`, or `address=…`: the Service that has it. */
function serviceKey(query: Query, { snapshot }: World): string {
  const service = query.get("service");
  if (service !== undefined && KEY.test(service)) return service;
  const wanted = parseAddress(query.get("address") ?? "");
  if (wanted === undefined)
    throw new BadRequest("say which Service to explain: ?service=NAMESPACE/NAME, or ?address= one of its addresses");
  const text = formatAddress(wanted);
  for (const [key, { status }] of snapshot.services)
    if (status.loadBalancer.ingress.some(({ ip }) => canonical(ip ?? "") === text)) return key;
  throw new BadRequest(`no Service has the address ${text}`);
}

/** Best effort: where the nodes' own words cannot be read, what objects say has to do. */
async function silentNodes(service: string, { snapshot }: World, state: AgentState): Promise<ReadonlySet<string>> {
  try {
    return new Set(await state.silentAbout(service, [...snapshot.nodes.keys()]));
  } catch {
    return new Set();
  }
}

/** What was asked for elsewhere. */
interface Asked {
  readonly routes: readonly RouteFacts[];
  readonly trials: readonly TrialFacts[];
  readonly silent: ReadonlySet<string>;
  readonly announcers: AnnouncerNames;
  /** What the map of frontends holds for the Service. */
  readonly programmed: readonly FrontendRow[];
}

function addressesOf(service: string, { snapshot }: World): readonly string[] {
  return (snapshot.services.get(service)?.status.loadBalancer.ingress ?? []).map(({ ip }) => canonical(ip ?? ""));
}

function gatherFacts(service: string, world: World, state: AgentState, me: Me, asked: Asked): Facts {
  const { routes, trials, silent } = asked;
  const { snapshot, members } = world;
  const { complete, isolated } = state.membership();
  const object = snapshot.services.get(service);
  const [, name] = service.split("/");
  const { ignoreExcludeLabel, nodeName: node } = me;
  const addresses = addressesOf(service, world);
  const announcers = addresses.flatMap((text) => {
    const announcer = asked.announcers.get(text);
    return announcer === undefined ? [] : [[text, announcer] as const];
  });
  return {
    service,
    node,
    object,
    namesakes: [...snapshot.services.keys()].filter((key) => key !== service && key.split("/")[1] === name),
    problems: [...snapshot.problems, ...state.forwarding.problems],
    pools: poolFacts(world),
    survey: surveyElection(service, snapshot, { ...members, ignoreExcludeLabel }, me.sha256),
    announcers: new Map(announcers),
    settled: complete,
    isolated,
    endpoints: endpointFacts(service, world, me),
    bgp: bgpFacts(service, world, state, me, silent),
    here: {
      ...nodeFacts(service, new Set(addresses), world, state, me),
      frontends: frontendFacts(state.forwarding.frontends.get(service) ?? [], asked.programmed),
      routes,
      trials,
    },
  };
}

function poolFacts({ snapshot }: World): readonly PoolFacts[] {
  const pools = parsePools(snapshot.ipAddressPools, NO_NAMESPACES);
  const counts = countPools(pools, addressesInUse(snapshot.services.values()));
  return pools.pools.map((pool) => {
    const { key, name, autoAssign } = pool;
    const capacity = (family: Family): bigint => poolCapacity(pool, family);
    const { availableIPv4 = 0n, availableIPv6 = 0n } = counts.get(key) ?? {};
    return {
      key,
      name,
      autoAssign,
      capacityIPv4: capacity("IPv4"),
      capacityIPv6: capacity("IPv6"),
      availableIPv4,
      availableIPv6,
    };
  });
}

function endpointFacts(service: string, world: World, me: Me): readonly EndpointFacts[] {
  const node = thisNode(world, me, emptyMemo());
  return slicesOf(world.snapshot.endpointSlices, service).flatMap(({ endpoints }) =>
    endpoints.map(({ addresses, nodeName, conditions, targetRef }) => ({
      address: addresses[0] ?? "without an address",
      pod: targetRef?.name,
      node: nodeName,
      state: endpointState(conditions),
      nodeGone: nodeName !== undefined && isNodeGone(nodeName, node),
    })),
  );
}

function nodeFacts(
  service: string,
  addresses: ReadonlySet<string>,
  world: World,
  state: AgentState,
  me: Me,
): Omit<NodeFacts, "routes" | "trials" | "frontends"> {
  const choice = { ...me.devices, endpointDevices: new Set(world.endpoints.map(({ device }) => device)) };
  return {
    stampSeconds: stampSeconds(state),
    announcements: (state.placed ?? [])
      .map(({ address, interfaces, devices }) => ({
        address: formatAddress(address),
        interfaces,
        devices: devices.map(({ name }) => name),
      }))
      .filter(({ address }) => addresses.has(address)),
    links: world.links
      .filter(({ name }) => name !== "lo")
      .map((link) => ({ name: link.name, refusal: linkRefusal(link, choice) })),
    announced: announcedRows(state).filter(({ address }) => addresses.has(address)),
    hazards: hazardsTo(addresses, state.hazards),
    tableProblems: (state.tables.services.get(service)?.problems ?? []).map(({ message }) => message),
  };
}

/** Of thousands in the map, in slices. */
async function rowsOf(frontends: readonly Frontend[], state: AgentState): Promise<readonly FrontendRow[]> {
  const wanted = new Set(frontends.map(frontendKeyText));
  const slices = new Slices();
  const rows: FrontendRow[] = [];
  for (const row of wanted.size === 0 ? [] : frontendRows(state, (record) => wanted.has(frontendKeyText(record)))) {
    if (row !== undefined) rows.push(row);
    // oxlint-disable-next-line no-await-in-loop
    if (slices.due) await slices.pause();
  }
  return rows;
}

function frontendFacts(wanted: readonly Frontend[], rows: readonly FrontendRow[]): NodeFacts["frontends"] {
  return wanted.map((frontend) => {
    const { address, port, protocol } = frontend;
    const text = formatAddress(address);
    const row = rows.find((each) => each.address === text && each.port === port && each.protocol === protocol);
    return {
      frontend: formatFrontend(frontend),
      wanted: selectable(frontend).map(backendText).toSorted(),
      programmed: row?.backends.map((each) => `${each.address} port ${each.port}`).toSorted(),
    };
  });
}

/** The backends that new connections go to, as the datapath chooses them. */
function selectable({ backends }: Frontend): readonly Backend[] {
  const active = backends.filter(({ state }) => state === "active");
  return active.length > 0 ? active : backends.filter(({ state }) => state === "terminating");
}

function backendText({ address, port }: Backend): string {
  return `${formatAddress(address)} port ${port}`;
}

/** The ways to the first few backends, each pod once. */
async function routeFacts(
  backends: readonly Backend[],
  { endpoints }: World,
  lookUp: typeof findWays,
): Promise<readonly RouteFacts[]> {
  const ours = new Set(endpoints.flatMap(({ addresses }) => addresses.map(formatAddress)));
  const texts = [...new Set(backends.map(({ address }) => formatAddress(address)))].slice(0, ROUTES_MAX);
  const routed = texts.filter((text) => !ours.has(text));
  const ways = await lookUp(routed);
  return texts.map((backend): RouteFacts => {
    const found = ways[routed.indexOf(backend)];
    if (found === undefined) return { backend, way: "straight into its namespace", refusal: undefined };
    if (!found.ok) return { backend, way: "none", refusal: found.refusal };
    const { device, via, neighbor } = found.way;
    const way = `over ${device}${via === undefined ? "" : ` by ${via}`}`;
    return { backend, way, refusal: neighbor === "FAILED" ? `${via ?? "it"} does not answer on ${device}` : undefined };
  });
}

/** Each TCP backend once, however many frontends lead to it. */
async function trialFacts(frontends: readonly Frontend[], connect: Trying): Promise<readonly TrialFacts[]> {
  const backends = frontends.filter(({ protocol }) => protocol === "TCP").flatMap(selectable);
  const targets = new Map(backends.map((each) => [backendText(each), each]));
  return Promise.all(
    [...targets].slice(0, ROUTES_MAX).map(async ([backend, { address, port }]) => {
      const outcome = await connect(formatAddress(address), port);
      return { backend, outcome };
    }),
  );
}

function canonical(text: string): string {
  const parsed = parseAddress(text);
  return parsed === undefined ? text : formatAddress(parsed);
}
