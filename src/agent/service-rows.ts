/** One row for each Service of type LoadBalancer, for `fairlead services`. */
import { formatAddress } from "../net/address.ts";
import type { ServiceRow } from "../observe/status.ts";
import { algorithmOf } from "../service/algorithm.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import { allProblems, type AgentState } from "./state.ts";

export function serviceRows(state: AgentState): ServiceRow[] {
  const problems = new Map(allProblems(state).map(({ subject, message }) => [subject, message]));
  const rows: ServiceRow[] = [];
  for (const [key, { metadata, spec, status }] of state.world?.snapshot.services ?? []) {
    if (spec.type !== "LoadBalancer") continue;
    const service = state.world?.snapshot.services.get(key);
    const election = state.announcing.elections.get(key);
    const problem = problems.get(`Service ${key}`);
    rows.push({
      namespace: metadata.namespace,
      name: metadata.name,
      addresses: status.loadBalancer.ingress.flatMap(({ ip }) => ip ?? []),
      ports: spec.ports.map(({ port, protocol, targetPort }) => ({
        port,
        protocol,
        ...(targetPort === undefined ? {} : { targetPort: String(targetPort) }),
      })),
      externalTrafficPolicy: spec.externalTrafficPolicy,
      algorithm: service === undefined ? "maglev" : algorithmOf(service, key, []),
      ...(election?.announcer === undefined ? {} : { announcer: election.announcer }),
      ...(election?.reason === undefined ? {} : { announceReason: election.reason }),
      backends: countBackends(state.forwarding.frontends.get(key) ?? []),
      ...(problem === undefined ? {} : { problem }),
    });
  }
  return rows.toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

/** Pods, each once per family, whatever number of ports it serves. */
function countBackends(frontends: readonly Frontend[]): ServiceRow["backends"] {
  const pods = new Map<string, Backend>();
  for (const { backends } of frontends)
    for (const backend of backends) pods.set(formatAddress(backend.address), backend);
  const list = [...pods.values()];
  const inState = (state: Backend["state"]): number => list.filter((backend) => backend.state === state).length;
  return {
    active: inState("active"),
    notReady: inState("notReady"),
    terminating: inState("terminating"),
    local: list.filter(({ local }) => local).length,
  };
}
