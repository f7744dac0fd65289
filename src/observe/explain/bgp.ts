/** The steps of BGP: advertisement → nodes that announce → their sessions → the routes told. Nothing where no object is about BGP. */
import type { BgpReason } from "../../announce/bgp/verdict.ts";
import type { ExplainStep } from "../status.ts";
import type { BgpFacts, BgpNodeFacts, Facts } from "./facts.ts";
import { counted, elsewhere, failed, listed, skipped, warning, well, type Finding } from "./steps.ts";

export function explainBgp({ bgp, node }: Facts): readonly ExplainStep[] {
  if (bgp === undefined) return [];
  const findings: readonly (readonly [string, Finding])[] = [
    ["advertisement", explainAdvertisement(bgp)],
    ["nodes", explainNodes(bgp)],
    ["peers", explainPeers(bgp, node)],
    ["routes", explainRoutes(bgp, node)],
  ];
  return findings.map(([step, finding]) => ({ step, protocol: "bgp", ...finding }));
}

/** The node that is asked announces the Service by BGP. */
export function routedHere({ bgp, node }: Facts): boolean {
  return bgp !== undefined && announcing(bgp).some(({ name }) => name === node);
}

function announcing({ nodes }: BgpFacts): readonly BgpNodeFacts[] {
  return nodes.filter(({ reason, gone, silent }) => reason === undefined && !gone && !silent);
}

const REASONS: Readonly<Record<BgpReason, string>> = {
  otherClass: "its loadBalancerClass is another load balancer's",
  noAddress: "the Service has no address",
  invalidIP: "an entry of its status is no IP address",
  ipNotAllowed: "its addresses do not lie in one pool",
  notOwner: "no BGPAdvertisement covers its pool and the node",
  noMatchingAdvertisement: "none of the node's BGPAdvertisements selects the Service",
  conflictingAdvertisements: "two BGPAdvertisements want different localPrefs for one route",
  nodeNetworkUnavailable: "has the condition NetworkUnavailable",
  nodeLabeledExcludeBalancers: "has the label node.kubernetes.io/exclude-from-external-load-balancers",
  nodeDraining: "is drained; `fairlead node undrain` there brings its routes back",
  noLocalEndpoints: "has no ready endpoint, which policy Local asks for",
  noEndpoints: "no endpoint is ready",
  notForwarded: "its tables do not hold the Service",
};
const NO_ADDRESS: ReadonlySet<BgpReason> = new Set(["otherClass", "noAddress", "invalidIP", "ipNotAllowed"]);
const UNADVERTISED = [
  {
    reason: "conflictingAdvertisements",
    todo: "Give the BGPAdvertisements of its pool the same spec.localPref, or let their serviceSelectors not overlap.",
  },
  {
    reason: "noMatchingAdvertisement",
    todo: "Correct spec.serviceSelectors of the BGPAdvertisement, or label the Service.",
  },
  {
    reason: "notOwner",
    todo: "Name the pool in a BGPAdvertisement's spec.ipAddressPools, and let spec.nodeSelectors select a node.",
  },
] as const satisfies readonly { reason: BgpReason; todo: string }[];

/** Nobody's advertisements speak for it: then the reason of whoever came furthest. */
function unadvertised({ nodes }: BgpFacts): (typeof UNADVERTISED)[number] | undefined {
  if (nodes.some(({ reason }) => !UNADVERTISED.some((each) => each.reason === reason))) return undefined;
  return UNADVERTISED.find((each) => nodes.some(({ reason }) => reason === each.reason));
}

function explainAdvertisement(bgp: BgpFacts): Finding {
  const { nodes, advertisements } = bgp;
  if (nodes.some(({ reason }) => reason !== undefined && NO_ADDRESS.has(reason)))
    return skipped("no address to announce");
  const why = unadvertised(bgp);
  if (why !== undefined) return failed(REASONS[why.reason], { todo: why.todo });
  return well(advertisements.length === 0 ? "yes" : listed(advertisements));
}

function explainNodes(bgp: BgpFacts): Finding {
  const { nodes } = bgp;
  if (nodes.length === 0 || unadvertised(bgp) !== undefined) return skipped("no advertisement");
  if (nodes.every(({ reason }) => reason !== undefined && NO_ADDRESS.has(reason))) return skipped("no address");
  const details = nodes.map((each) => `${each.name}: ${nodeText(each)}`);
  const found = announcing(bgp);
  if (found.length > 0) return well(listed(found.map(({ name }) => name)), details);
  if (nodes.some(({ reason }) => reason === "noEndpoints")) return skipped("none while no endpoint is ready", details);
  return failed("no node announces it", { details, todo: "Put right what keeps one of these nodes from it." });
}

function nodeText({ reason, gone, silent }: BgpNodeFacts): string {
  if (gone) return "is gone";
  if (silent) return SILENT;
  return reason === undefined ? "announces" : REASONS[reason];
}

/** Only its own agent knows. */
const SILENT =
  "should, and has no ServiceBGPStatus: it is drained, its tables do not hold the Service, or no agent runs there; `explain` there says which";

function explainPeers(bgp: BgpFacts, node: string): Finding {
  const found = announcing(bgp);
  const [first] = found;
  if (first === undefined) return skipped("nobody announces");
  if (found.every(({ peers }) => peers.length === 0))
    return failed("no BGPPeer is told of it", {
      details: found.map(({ name }) => `${name}: no peer`),
      todo: "Create a BGPPeer for one of these nodes; spec.peers of the BGPAdvertisement must name it or be empty, and it must carry the family.",
    });
  if (!found.some(({ name }) => name === node)) return askElsewhere(first, node);
  const details = bgp.sessions.map(
    ({ name, peer, state, reason }) => `${name} (${peer}): ${state}${reason === undefined ? "" : `, ${reason}`}`,
  );
  if (bgp.sessions.length === 0) return warning(`no peer of ${node} is told of it; others' are`, { details });
  const down = bgp.sessions.filter(({ state }) => state !== "established");
  const todo = "The reason is what the peer or the kernel said last; `fairlead bgp log` has the history.";
  if (down.length === bgp.sessions.length) {
    const found = `none of ${counted(down.length, "session")} of ${node} is established`;
    const others = othersOf(bgp, node);
    const [next] = others;
    if (next === undefined) return failed(found, { details, todo });
    // Each node has sessions of its own.
    return { ...failed(`${found}; ${listed(others)} should announce it too`, { details, todo }), ask: next };
  }
  if (down.length > 0)
    return warning(`${counted(down.length, "session")} of ${bgp.sessions.length} not established`, { details, todo });
  return well(`${counted(bgp.sessions.length, "session")} established`, details);
}

/** The other nodes that announce it, beginning after this one: whoever asks on goes round. */
function othersOf(bgp: BgpFacts, node: string): readonly string[] {
  const names = announcing(bgp)
    .map(({ name }) => name)
    .toSorted();
  return [...names.filter((name) => name > node), ...names.filter((name) => name < node)];
}

function explainRoutes(bgp: BgpFacts, node: string): Finding {
  const found = announcing(bgp);
  const [first] = found;
  if (first === undefined || found.every(({ peers }) => peers.length === 0)) return skipped("nobody is told");
  if (!found.some(({ name }) => name === node)) return askElsewhere(first, node);
  const told = bgp.routes.filter((route) => route.told);
  const details = bgp.routes.map(
    ({ prefix, peer, told: up }) => `${prefix} to ${peer}${up ? "" : ", not yet: the session is down"}`,
  );
  if (told.length === 0) return skipped("nobody is told while no session is established", details);
  return well(`${listed([...new Set(told.map(({ prefix }) => prefix))])}, told`, details);
}

function askElsewhere({ name }: BgpNodeFacts, node: string): Finding {
  return elsewhere(`${name} announces, ${node} does not`, name);
}
