/** Whether this node does its work: a rollout goes on to the next node only then. */
import type { AgentState } from "./state.ts";

/** What is waited for; `undefined`: nothing. Once ready, an API server that goes away changes nothing: what was read is forwarded on. */
export function waitingFor({
  objectsRead,
  convergence,
}: Pick<AgentState, "objectsRead" | "convergence">): string | undefined {
  if (!objectsRead) return "the objects have not been read yet";
  switch (convergence.state) {
    case "pending":
      return "the datapath is not settled yet";
    case "failed":
      return convergence.message;
    case "done":
      return undefined;
  }
}
