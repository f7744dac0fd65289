/** `explain` over a cluster: one agent tells what all compute alike, and where it says that another node knows, that node is asked too. */
import type { ExplainDocument, ExplainStep } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import type { ClusterAgent } from "./agent-api.ts";
import { CommandFailure, type World } from "./world.ts";

/** Rejects when no agent answers. */
export async function explainTogether(
  world: World,
  agents: readonly ClusterAgent[],
  query: string,
): Promise<ExplainDocument> {
  const [asked, document] = await askFirst(world, agents, query);
  const known = new Map<string, ExplainDocument | CommandFailure>([[asked.node, document]]);
  const asks = document.steps.flatMap(({ ask }) => ask ?? []);
  for (const node of asks) {
    const agent = agents.find((each) => each.node === node);
    if (agent === undefined || known.has(node) || known.size > ASKED_MAX) continue;
    // A Service has one announcer in layer 2, seldom two; of those by BGP one that is well is enough.
    // oxlint-disable-next-line no-await-in-loop
    const there = await ask(agent, query);
    known.set(node, there);
    // What is asked for grows while it is gone through.
    if (!(there instanceof CommandFailure))
      asks.push(...there.steps.filter(isFailed).flatMap((step) => step.ask ?? []));
  }
  return combine(document, known);
}

/** Nodes besides the first: who wants to know of all asks each. */
const ASKED_MAX = 8;

const isFailed = ({ result }: ExplainStep): boolean => result === "failed";

/** Steps that another node knows are replaced by what it says; one that cannot be asked is named. */
export function combine(
  document: ExplainDocument,
  known: ReadonlyMap<string, ExplainDocument | CommandFailure>,
): ExplainDocument {
  const there = [...known.values()].flatMap((each) =>
    each instanceof CommandFailure || each === document ? [] : [each],
  );
  const settled = document.steps.map((step) => settle(step, document.node, known));
  const steps = settled.map((step) => (step.ask === undefined ? worst(step, there) : step));
  // What is wrong with the nodes that were asked besides.
  const others = there.flatMap((each) =>
    each.steps.filter(({ step }) => step === "node").map((step) => ({ ...step, found: `${each.node}: ${step.found}` })),
  );
  steps.push(...others);
  const { ask: _, ...rest } = document;
  const ask = steps.find((step) => step.ask !== undefined && step.result !== "warning")?.ask;
  return {
    ...rest,
    steps,
    reachable: !steps.some(isFailed),
    ...(ask === undefined ? {} : { ask }),
  };
}

function settle(
  step: ExplainStep,
  node: string,
  known: ReadonlyMap<string, ExplainDocument | CommandFailure>,
): ExplainStep {
  const answer = step.ask === undefined ? undefined : known.get(step.ask);
  if (answer === undefined) return step;
  if (answer instanceof CommandFailure) return { ...step, details: [...step.details, answer.message] };
  const said = sayings(step, known);
  const [first] = said.filter((each) => each.node === answer.node);
  const own = step.result === "elsewhere" ? first : { node, step };
  if (own === undefined) return step;
  const { ask: _, ...found } = own.step;
  if (own.step.ask === undefined) return { ...found, details: [`as ${own.node} sees it`, ...found.details] };
  // Of several nodes that announce it, each for itself, one that is well is enough.
  const wellThere = said.find((each) => each.node !== own.node && ["ok", "warning"].includes(each.step.result));
  const others = said.filter((each) => each.node !== own.node).map((each) => `${each.node}: ${each.step.found}`);
  const details = [...found.details, ...others];
  return wellThere === undefined ? { ...found, details } : { ...found, result: "warning", details };
}

/** What nodes say of the same step, those that know. */
function sayings(
  { step, protocol }: ExplainStep,
  known: ReadonlyMap<string, ExplainDocument | CommandFailure>,
): readonly { readonly node: string; readonly step: ExplainStep }[] {
  return [...known.values()].flatMap((each) => {
    if (each instanceof CommandFailure) return [];
    const there = each.steps.find((other) => other.step === step && other.protocol === protocol);
    return there === undefined || there.result === "elsewhere" ? [] : [{ node: each.node, step: there }];
  });
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
