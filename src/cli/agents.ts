/** Which agents a command talks to: the one on this machine, or those of a cluster (`kubectl fairlead`). */
import type { ApiDocuments } from "../observe/status.ts";
import { getDocument, type Agent, type ClusterAgent } from "./agent-api.ts";
import type { CommonOptions } from "./options.ts";
import { agentOnThisMachine } from "./socket.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

/** `one`: of this machine, or the one that `--node` names. `all`: of a cluster, each with its node. */
export type Agents =
  | { readonly type: "one"; readonly agent: Agent }
  | { readonly type: "all"; readonly agents: readonly ClusterAgent[] };

/** At least one. */
export async function findAgents(world: World, options: CommonOptions): Promise<Agents> {
  if (world.reach === "machine") return { type: "one", agent: await agentOnThisMachine(world, options.socket) };
  const { clusterAgents } = await import("./cluster/agents.ts");
  const agents = await clusterAgents(world, options);
  if (options.node === undefined) return { type: "all", agents };
  return { type: "one", agent: agentOf(agents, options.node) };
}

/** For what one agent does. In a cluster of several, `--node` has to say which. */
export async function findOneAgent(world: World, options: CommonOptions): Promise<Agent> {
  const found = await findAgents(world, options);
  if (found.type === "one") return found.agent;
  const [only] = found.agents;
  if (only !== undefined && found.agents.length === 1) return only;
  throw new CommandFailure(EXIT.usage, `Choose a node with --node: ${namesOf(found.agents)}`);
}

function agentOf(agents: readonly ClusterAgent[], node: string): ClusterAgent {
  const found = agents.find((agent) => agent.node === node);
  if (found !== undefined) return found;
  throw new CommandFailure(EXIT.usage, `No agent runs on a node called "${node}"; there are: ${namesOf(agents)}`);
}

function namesOf(agents: readonly ClusterAgent[]): string {
  return agents.map(({ node }) => node).join(", ");
}

export interface Answer<Document> {
  readonly node: string;
  readonly document: Document;
}

export interface Answers<Document> {
  /** By name of the node. */
  readonly answers: readonly Answer<Document>[];
  readonly failures: readonly { readonly node: string; readonly failure: CommandFailure }[];
}

/** How many are asked at the same time. */
const ASKED_AT_ONCE = 16;

/** Asks each of them. Rejects when none answers. */
export async function askAll<P extends keyof ApiDocuments>(
  agents: readonly ClusterAgent[],
  path: P,
  query = "",
): Promise<Answers<ApiDocuments[P]>> {
  const waiting = agents.values();
  const answers: Answer<ApiDocuments[P]>[] = [];
  const failures: { readonly node: string; readonly failure: CommandFailure }[] = [];
  const askInTurn = async (): Promise<void> => {
    for (const agent of waiting) {
      try {
        // Others ask meanwhile.
        // oxlint-disable-next-line no-await-in-loop
        answers.push({ node: agent.node, document: await getDocument(agent, path, query) });
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        failures.push({ node: agent.node, failure: error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE, agents.length) }, askInTurn));
  if (answers.length === 0) throw together(failures.map(({ failure }) => failure));
  return { answers: answers.toSorted(byNode), failures: failures.toSorted(byNode) };
}

/** Says on stderr who did not answer, and ends the command with that. */
export function tellFailures(world: World, { failures }: Pick<Answers<unknown>, "failures">): void {
  for (const { failure } of failures) {
    world.stderr.write(`${failure.message}\n`);
    world.exitCode = failure.exitCode;
  }
}

function together(failures: readonly CommandFailure[]): CommandFailure {
  const messages = new Set(failures.map(({ message }) => message));
  return new CommandFailure(failures[0]?.exitCode ?? EXIT.unreachable, [...messages].join("\n"));
}

function byNode(a: { readonly node: string }, b: { readonly node: string }): number {
  return a.node < b.node ? -1 : 1;
}
