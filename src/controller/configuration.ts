/** What the controller makes of the configuration: of pools, communities and namespaces, as MetalLB's does. The rest is each agent's to say. */
import { parseAliases } from "../announce/bgp/communities.ts";
import type { Problem } from "../net/problem.ts";
import type { Decision } from "../pool/decision.ts";
import { aboutKinds } from "../reconcile/configuration-state.ts";
import type { Snapshot } from "../source/source.ts";

const KINDS = ["IPAddressPool", "Community", "Namespace"];

export function configurationProblems(snapshot: Snapshot, decision: Pick<Decision, "problems">): readonly Problem[] {
  return [
    ...aboutKinds(snapshot.problems, KINDS),
    ...decision.problems,
    ...parseAliases(snapshot.communities).problems,
  ];
}
