/**
 * Why a Service is reachable, or what to do at the first step where it is not. Pure: facts in, document out.
 *
 *     service → pool → address → the steps of each protocol → endpoints → datapath
 *
 * A protocol contributes its steps as a branch; one branch that is well is enough.
 */
import type { ExplainDocument, ExplainStep } from "../status.ts";
import { explainAddress, explainPool, explainService } from "./allocation.ts";
import { explainDatapath, explainEndpoints } from "./delivery.ts";
import type { Facts } from "./facts.ts";
import { explainBgp, routedHere } from "./bgp.ts";
import { announcedHere, explainLayer2 } from "./layer2.ts";
import { warning, type Finding } from "./steps.ts";

/** The steps of one protocol, none where it is not used. The first says whether it advertises the address at all. */
export type Branch = (facts: Facts) => readonly ExplainStep[];

const BRANCHES: readonly Branch[] = [explainLayer2, explainBgp];

export function explain(facts: Facts, branches: readonly Branch[] = BRANCHES): ExplainDocument {
  const { service, node } = facts;
  const steps = stepsOf(facts, branches);
  const ask = steps.find((step) => step.ask !== undefined && step.result !== "warning")?.ask;
  return {
    service,
    node,
    reachable: !steps.some(({ result }) => result === "failed"),
    steps,
    ...(ask === undefined ? {} : { ask }),
  };
}

function stepsOf(facts: Facts, branches: readonly Branch[]): readonly ExplainStep[] {
  const common = (step: string, finding: Finding): ExplainStep => ({ step, ...finding });
  const service = common("service", explainService(facts));
  if (facts.object === undefined) return [service];
  const pool = common("pool", explainPool(facts));
  const here = announcedHere(facts).length > 0 || routedHere(facts);
  return [
    service,
    pool,
    common("address", explainAddress(facts, service.result === "failed" || pool.result === "failed")),
    ...settle(branches.map((branch) => branch(facts))),
    common("endpoints", explainEndpoints(facts, here)),
    common("datapath", explainDatapath(facts, here)),
    ...hazardSteps(facts),
  ];
}

/** Only where there are any: what others do on a segment takes some packets away, not all. */
function hazardSteps({ here: { hazards } }: Facts): readonly ExplainStep[] {
  const [first] = hazards;
  if (first === undefined) return [];
  const details = hazards.map(({ check, subject, message }) => `${check} ${subject}: ${message}`);
  const found = `${first.check} ${first.subject}: ${first.message}`;
  return [{ step: "node", ...warning(found, { details: details.slice(1), todo: first.todo }) }];
}

/** Where one protocol is well, what another lacks is no failure; nor where it is the only one that advertises the address at all. */
function settle(all: readonly (readonly ExplainStep[])[]): readonly ExplainStep[] {
  const branches = all.filter((steps) => steps.length > 0);
  const isWell = (steps: readonly ExplainStep[]): boolean => !steps.some(({ result }) => result === "failed");
  const advertises = ([first]: readonly ExplainStep[]): boolean => first?.result !== "failed";
  const well = branches.some(isWell);
  if (!branches.some(advertises)) return branches.flat();
  return branches.flatMap((steps) => {
    if (!advertises(steps)) return steps.map((step) => (step.result === "failed" ? passedOver(step) : step));
    return steps.map((step) => (well && step.result === "failed" ? { ...step, result: "warning" as const } : step));
  });
}

/** Not advertised at all: another protocol's business, and nothing to be done. */
function passedOver(step: ExplainStep): ExplainStep {
  const { todo: _, ...rest } = step;
  return { ...rest, result: "skipped" };
}
