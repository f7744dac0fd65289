/** `explain` over a cluster: one agent tells what all compute alike, and where it says that another node knows, that node is asked too. */
import type { ExplainDocument, ExplainStep } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import type { ClusterAgent } from "./agents.ts";
import { CommandFailure, type World } from "./world.ts";

/** Rejects when no agent answers. */
export async function explainTogether(
  world: World,
  agents: readonly ClusterAgent[],
  query: string,
): Promise<ExplainDocument> {
  const [asked, document] = await askFirst(world, agents, query);
  const known = new Map<string, ExplainDocument | CommandFailure>([[asked.node, document]]);
  for (const node of new Set(document.steps.flatMap(({ ask }) => ask ?? []))) {
    const agent = agents.find((each) => each.node === node);
    if (agent === undefined || known.has(node)) continue;
    // A Service has one announcer, seldom two.
    // oxlint-disable-next-line no-await-in-loop
    known.set(node, await ask(agent, query));
  }
  return combine(document, known);
}

/** Steps that another node knows are replaced by what it says; one that cannot be asked is named. */
export function combine(
  document: ExplainDocument,
  known: ReadonlyMap<string, ExplainDocument | CommandFailure>,
): ExplainDocument {
  const there = [...known.values()].flatMap((each) =>
    each instanceof CommandFailure || each === document ? [] : [each],
  );
  const steps = document.steps.map((step) =>
    step.ask === undefined ? worst(step, there) : settle(step, known.get(step.ask)),
  );
  // What is wrong with the nodes that were asked besides.
  const others = there.flatMap((each) =>
    each.steps.filter(({ step }) => step === "node").map((step) => ({ ...step, found: `${each.node}: ${step.found}` })),
  );
  steps.push(...others);
  const { ask: _, ...rest } = document;
  const ask = steps.find((step) => step.ask !== undefined)?.ask;
  return {
    ...rest,
    steps,
    reachable: !steps.some(({ result }) => result === "failed"),
    ...(ask === undefined ? {} : { ask }),
  };
}

/** What every node says of itself: where packets come in it counts, and there it may be worse. */
const OF_ITSELF: ReadonlySet<string> = new Set(["endpoints", "datapath"]);
const GRAVITY = { ok: 0, skipped: 0, elsewhere: 0, warning: 1, failed: 2 } as const;

function worst(step: ExplainStep, announcers: readonly ExplainDocument[]): ExplainStep {
  if (!OF_ITSELF.has(step.step)) return step;
  return announcers.reduce((bad, there) => {
    const other = there.steps.find((each) => each.step === step.step);
    if (other === undefined || GRAVITY[other.result] <= GRAVITY[bad.result]) return bad;
    return { ...other, details: [`as ${there.node} sees it`, ...other.details] };
  }, step);
}

function settle(step: ExplainStep, known: ExplainDocument | CommandFailure | undefined): ExplainStep {
  if (known === undefined) return step;
  if (known instanceof CommandFailure) return { ...step, details: [...step.details, known.message] };
  const there = known.steps.find((each) => each.step === step.step && each.protocol === step.protocol);
  return there === undefined ? step : { ...there, details: [`as ${known.node} sees it`, ...there.details] };
}

async function askFirst(
  world: World,
  agents: readonly ClusterAgent[],
  query: string,
): Promise<readonly [ClusterAgent, ExplainDocument]> {
  let failure: CommandFailure | undefined;
  for (const agent of agents) {
    // The next one only if this one does not answer.
    // oxlint-disable-next-line no-await-in-loop
    const document = await ask(agent, query);
    if (!(document instanceof CommandFailure)) return [agent, document];
    world.stderr.write(`${document.message}\n`);
    failure = document;
  }
  throw failure ?? new Error("There is no agent");
}

async function ask(agent: ClusterAgent, query: string): Promise<ExplainDocument | CommandFailure> {
  try {
    return await getDocument(agent, "/v1/explain", query);
  } catch (error) {
    if (error instanceof CommandFailure) return error;
    throw error;
  }
}
