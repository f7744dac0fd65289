/** Hazards as events about this node: each once when it appears, and once when it is gone. Pure. */
import type { EventWrite, Snapshot } from "../../source/source.ts";
import type { Hazard } from "./facts.ts";

/** Hazards that were told, by {@link hazardKey}. */
export type Told = ReadonlyMap<string, Hazard>;

/** A hazard stays the same one while its words change. */
export function hazardKey({ check, subject }: Hazard): string {
  return `${check} ${subject}`;
}

export interface HazardEvent {
  readonly write: EventWrite;
  /** What is told once it is written. */
  readonly hazard: Hazard;
  readonly there: boolean;
}

/** Advice is no event: it is true for as long as the node is as it is. */
export function planHazardEvents(
  node: string,
  { nodes }: Pick<Snapshot, "nodes">,
  hazards: readonly Hazard[],
  told: Told,
): readonly HazardEvent[] {
  const uid = nodes.get(node)?.metadata.uid;
  const regarding = { kind: "Node", namespace: "", name: node, ...(uid === undefined ? {} : { uid }) };
  const problems = new Map(
    hazards.filter(({ level }) => level === "problem").map((hazard) => [hazardKey(hazard), hazard]),
  );
  const came = [...problems].filter(([key]) => !told.has(key)).map(([, hazard]) => hazard);
  const went = [...told].filter(([key]) => !problems.has(key)).map(([, hazard]) => hazard);
  return [
    ...came.map((hazard): HazardEvent => {
      const { check, subject, message, todo } = hazard;
      const write = { regarding, type: "Warning", reason: check, message: `${subject}: ${message}. ${todo}` } as const;
      return { write, hazard, there: true };
    }),
    ...went.map((hazard): HazardEvent => {
      const { check, subject } = hazard;
      const message = `${check} of ${subject}: not seen any more`;
      return { write: { regarding, type: "Normal", reason: "HazardGone", message }, hazard, there: false };
    }),
  ];
}
