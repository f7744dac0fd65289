/**
 * Decides about snapshots one after the other, and does not trust its memory for ever: once an hour a decision about what has changed
 * is made from nothing too. Tests prove that both are the same (decision 022); should they ever differ, that is told and mended.
 */
import type { Logger } from "pino";
import { formatAddress } from "../net/address.ts";
import { Assigner } from "../pool/assigner.ts";
import type { Assignment, Decision, Objects } from "../pool/decision.ts";
import { forEach, inSlices, type Pace, type Sliced } from "../time/slices.ts";

const CHECK_MS = 3_600_000;
/** More are counted, not named. */
const NAMED_MAX = 10;
/** So many Services are compared between two pauses. */
const SERVICES_A_STEP = 500;

export interface DecidingParts {
  readonly loadBalancerClass?: string;
  readonly log: Pick<Logger, "error">;
  readonly pace?: Pace;
}

export class Deciding {
  readonly #parts: DecidingParts;
  readonly #assigner: Assigner;
  /** When all was decided from nothing last. */
  #checked = 0;

  constructor(parts: DecidingParts) {
    this.#parts = parts;
    this.#assigner = new Assigner(parts.loadBalancerClass);
  }

  /** `now` in milliseconds since 1970; `anew`: what was decided last could not be written. */
  async decide(objects: Objects, now: number, anew: boolean): Promise<Decision> {
    const { log, pace } = this.#parts;
    const decision = await inSlices(this.#assigner.deciding(objects, now, anew), pace);
    if (decision.looked !== undefined && now - this.#checked < CHECK_MS) return decision;
    this.#checked = now;
    if (decision.looked === undefined) return decision;
    const fromNothing = await inSlices(this.#assigner.deciding(objects, now, true), pace);
    const others = await inSlices(differing(decision, fromNothing), pace);
    if (others.length > 0)
      log.error({ event: "decisionCorrected", services: others.slice(0, NAMED_MAX) }, told(others));
    return fromNothing;
  }

  /** These are the objects with what was decided last written to them, and nothing else is new. */
  async takeIn(objects: Objects): Promise<void> {
    await inSlices(this.#assigner.takingIn(objects), this.#parts.pace);
  }
}

/** Services about which the two do not say the same. */
function* differing(a: Decision, b: Decision): Sliced<readonly string[]> {
  const keys: string[] = [];
  yield* forEach(b.assignments, SERVICES_A_STEP, ([key, assignment]) => {
    if (textOf(a.assignments.get(key)) !== textOf(assignment)) keys.push(key);
  });
  yield* forEach(a.assignments.keys(), SERVICES_A_STEP, (key) => {
    if (!b.assignments.has(key)) keys.push(key);
  });
  return keys;
}

function textOf(assignment: Assignment | undefined): string {
  if (assignment === undefined) return "";
  const { addresses, pool, sharedAs, unmet } = assignment;
  return [...addresses.map(formatAddress), pool, sharedAs, unmet?.message].join("\n");
}

function told(services: readonly string[]): string {
  const more = services.length > NAMED_MAX ? ` and ${services.length - NAMED_MAX} more` : "";
  return `What was remembered of ${services.slice(0, NAMED_MAX).join(", ")}${more} was not what the objects say, and is mended; please report this`;
}
