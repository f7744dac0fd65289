/** The last steps: is there a backend that answers, and does the kernel know it? */
import { isAllLeftToNode } from "../../service/unsupported.ts";
import type { EndpointFacts, Facts, FrontendFacts, TrialFacts } from "./facts.ts";
import { counted, failed, listed, skipped, warning, well, type Finding } from "./steps.ts";

const STATES = { active: "ready", notReady: "not ready", terminating: "terminating" } as const;
const LINES_MAX = 20;

export function explainEndpoints(facts: Facts, announcesHere: boolean): Finding {
  const { object, endpoints } = facts;
  if (object?.spec.type !== "LoadBalancer") return skipped("not a LoadBalancer");
  const details = endpoints.slice(0, LINES_MAX).map(describe);
  if (endpoints.length > LINES_MAX) details.push(`and ${endpoints.length - LINES_MAX} more`);
  if (endpoints.length === 0)
    return failed("no EndpointSlice has an endpoint for it", {
      todo: `Do pods match its selector (${selectorText(object.spec.selector)})?`,
    });
  const ready = endpoints.filter(({ state }) => state !== "notReady");
  if (ready.length === 0)
    return failed(`none of ${counted(endpoints.length, "endpoint")} is ready`, {
      details,
      todo: "See why its pods fail their readiness probes.",
    });
  const reachable = ready.filter(({ nodeGone }) => !nodeGone);
  if (reachable.length === 0)
    return failed("every ready endpoint is on a node that is gone", {
      details,
      todo: "Bring one of these nodes back.",
    });
  return explainPorts(facts, reachable, details, announcesHere);
}

function explainPorts(
  { object, here }: Facts,
  reachable: readonly EndpointFacts[],
  details: readonly string[],
  announcesHere: boolean,
): Finding {
  const local = object?.spec.externalTrafficPolicy === "Local";
  const empty = here.frontends.filter(({ wanted }) => wanted.length === 0);
  // With policy Local a node that does not announce need not have endpoints.
  if (empty.length > 0 && (announcesHere || !local)) {
    const all = empty.length === here.frontends.length;
    const found = `${listed(empty.map(({ frontend }) => frontend))}: no ready endpoint has this port`;
    const todo = "Compare the name and the targetPort of the Service's port with the ports of its EndpointSlices.";
    return all ? failed(found, { details, todo }) : warning(found, { details, todo });
  }
  const lost = here.routes.filter(({ refusal }) => refusal !== undefined);
  const ways = here.routes.map(({ backend, way, refusal }) => `${backend}: ${refusal ?? way}`);
  const lines = [...details, ...ways];
  if (lost.length > 0) {
    const todo =
      "Give this node a route to the pods, or repair what is between: Fairlead reads the routing table and adds nothing.";
    const found = `${counted(lost.length, "backend")} of ${here.routes.length} cannot be reached from here`;
    // Nothing comes in here now; but this node may be the next.
    if (!announcesHere) return local ? well(readyText(reachable), lines) : warning(found, { details: lines, todo });
    return lost.length === here.routes.length
      ? failed(found, { details: lines, todo })
      : warning(found, { details: lines, todo });
  }
  return explainTrials(here.trials, readyText(reachable), lines, announcesHere);
}

/** Whether backends take the connections that they are given. */
function explainTrials(
  trials: readonly TrialFacts[],
  ready: string,
  lines: readonly string[],
  announcesHere: boolean,
): Finding {
  const failures = trials.filter(({ outcome }) => outcome !== "accepted");
  if (failures.length === 0)
    return well(
      trials.length === 0 ? ready : `${ready}; ${counted(trials.length, "connection")} tried, all accepted`,
      lines,
    );
  const details = [...lines, ...failures.map(({ backend, outcome }) => `${backend}: ${outcomeText(outcome)}`)];
  const found = `${failures.length} of ${counted(trials.length, "backend")} took no connection from here: ${listed([...new Set(failures.map(({ outcome }) => outcomeText(outcome)))])}`;
  const todo = failures.some(({ outcome }) => outcome === "refused")
    ? "Compare the Service's targetPort with the port that the container listens on; it must listen on the pod's address, not on localhost only."
    : "Is the program in the pod stuck? Else look for what drops the packets: a NetworkPolicy, a firewall in the pod or on the nodes (chains `input` and `forward`).";
  return announcesHere && failures.length === trials.length
    ? failed(found, { details, todo })
    : warning(found, { details, todo });
}

function outcomeText(outcome: TrialFacts["outcome"]): string {
  if (typeof outcome === "object") return outcome.error;
  return outcome === "refused" ? "refused (nobody listens there)" : outcome === "silent" ? "no answer" : outcome;
}

function readyText(reachable: readonly EndpointFacts[]): string {
  const nodes = [...new Set(reachable.map(({ node }) => node ?? "an unknown node"))].toSorted();
  return `${reachable.length} ready on ${listed(nodes)}`;
}

function describe({ address, pod, node, state, nodeGone }: EndpointFacts): string {
  const where = node === undefined ? "" : ` on ${node}${nodeGone ? ", which is gone" : ""}`;
  return `${address}${pod === undefined ? "" : ` (${pod})`}: ${STATES[state]}${where}`;
}

function selectorText(selector: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "it has none" : pairs.join(",");
}

export function explainDatapath({ here, node, object }: Facts, announcesHere: boolean): Finding {
  const { frontends, tableProblems } = here;
  if (object !== undefined && isAllLeftToNode(object))
    return warning("nothing of it is balanced here: its packets are left to the node's stack", {
      todo: "Where kube-proxy runs, it serves them; elsewhere nobody does. The step `service` says what is not supported.",
    });
  if (frontends.length === 0) return skipped("no frontend without an address");
  const wrong = frontends.flatMap(difference);
  const details = [...tableProblems, ...wrong];
  if (details.length > 0) {
    const found = `the tables of ${node} are not as they should be`;
    const todo =
      tableProblems.length > 0
        ? "`fairlead status` says what the kernel refused, or which table is full."
        : "Somebody else changed the maps. Restart this node's agent: it compares them with its objects, and no packet is lost by that.";
    // Packets come in at the announcer; here it is only not ready to take over.
    return announcesHere ? failed(found, { details, todo }) : warning(found, { details, todo });
  }
  return well(
    `${counted(frontends.length, "frontend")} on ${node}, as wanted`,
    frontends.map(({ frontend, wanted }) => `${frontend} → ${counted(wanted.length, "backend")}`),
  );
}

function difference({ frontend, wanted, programmed }: FrontendFacts): readonly string[] {
  if (programmed === undefined) return [`${frontend}: not in the map`];
  const missing = wanted.filter((each) => !programmed.includes(each));
  const surplus = programmed.filter((each) => !wanted.includes(each));
  return [
    ...(missing.length === 0 ? [] : [`${frontend}: backends missing in the map: ${listed(missing)}`]),
    ...(surplus.length === 0 ? [] : [`${frontend}: backends in the map that should not be: ${listed(surplus)}`]),
  ];
}
