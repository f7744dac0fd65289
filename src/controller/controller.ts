/**
 * The controller's loop: whenever objects change, decide about the snapshot and write the difference.
 * What cannot be written is logged and tried again later; meanwhile everything else goes on.
 */
import type { Logger } from "pino";
import { formatProblem, type Problem } from "../net/problem.ts";
import type { Decision } from "../pool/decision.ts";
import { configurationVerdict, sameVerdict, type ConfigurationVerdict } from "../reconcile/configuration-state.ts";
import { failed, type Convergence, type RetryLimits } from "../reconcile/retry.ts";
import type { Snapshot, Source, StatusWriter } from "../source/source.ts";
import { inSlices, Slices, type Pace, type Sliced } from "../time/slices.ts";
import { configurationProblems } from "./configuration.ts";
import { Deciding } from "./deciding.ts";
import { sameButForWrites, sameInputs } from "./inputs.ts";
import { lossMessage } from "./plan-pools.ts";
import { planning } from "./plan.ts";
import { UntoldEvents } from "./untold.ts";
import { writeAll, type Write } from "./writing.ts";

const TIMER_MAX_MS = 86_400_000;
/** A right that is given back is noticed within twenty seconds. */
const RETRY: RetryLimits = { firstMs: 1500, longestMs: 15_000 };

export interface ControllerParts {
  readonly source: Source & StatusWriter;
  readonly loadBalancerClass?: string;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Told of every decision, with pauses: the metrics. */
  readonly decided?: (decision: Decision) => Sliced<void>;
  /** Told of every verdict on the configuration: the metrics. */
  readonly judged?: (verdict: ConfigurationVerdict) => void;
  /** Told of everything that could not be written: the metrics. */
  readonly writeFailed?: () => void;
  /** Told how every attempt to write what was decided ended. */
  readonly converged?: (convergence: Convergence) => void;
  /** Told why events wait to be written; undefined: none does. */
  readonly told?: (failure: string | undefined) => void;
  /** How its work is spread: with a hundred thousand Services it takes seconds, and others want their turn. */
  readonly pace?: Pace;
}

/** Runs until the signal. The object that is being written is finished first; what was not begun is left to the next run. */
export async function control(parts: ControllerParts, signal: AbortSignal): Promise<void> {
  const wake = new Wake(signal);
  const unsubscribe = parts.source.subscribe(() => wake.now());
  let seen: Snapshot | undefined;
  let told: readonly Problem[] = [];
  let convergence: Convergence = { state: "pending" };
  let verdict: ConfigurationVerdict | undefined;
  const deciding = new Deciding(parts);
  /** When an address has rested and may be given again. */
  let again: number | undefined;
  const untold = new UntoldEvents();
  const slices = new Slices(parts.pace);
  while (!signal.aborted) {
    const snapshot = parts.source.snapshot();
    const now = Date.now();
    const rested = again !== undefined && again <= now;
    if (rested || convergence.state !== "done" || seen === undefined || !sameInputs(seen, snapshot)) {
      const decision = await deciding.decide(snapshot, now, convergence.state !== "done");
      again = decision.again;
      told = tell(decision.problems, told, parts.log);
      tellLosses(decision, parts.log);
      await slices.pause();
      if (parts.decided !== undefined) await inSlices(parts.decided(decision), parts.pace);
      const judged = configurationVerdict(
        "poolReconcilerValid",
        configurationProblems(snapshot, decision),
        verdict,
        new Date(now),
      );
      parts.judged?.(judged);
      const operations: Write[] = [
        ...untold.take(now),
        ...(await inSlices(planning(snapshot, decision, new Date(now), decision.looked), parts.pace)),
      ];
      if (convergence.state !== "done" || !sameVerdict(verdict, judged))
        operations.push({ type: "configuration", write: judged });
      verdict = judged;
      convergence = await apply(operations, { ...parts, untold }, convergence, signal);
      parts.converged?.(convergence);
      parts.told?.(untold.failure);
      seen = await decidedAbout(snapshot, operations, convergence, parts);
      if (seen !== snapshot) await deciding.takeIn(seen);
    }
    if (parts.source.snapshot() === snapshot) await wake.sleep(pause(convergence, again));
  }
  unsubscribe();
}

/** Of which snapshot the decision holds: also of the one with what was written because of it, if nothing else is different there. */
async function decidedAbout(
  snapshot: Snapshot,
  operations: readonly Write[],
  convergence: Convergence,
  { source, pace }: ControllerParts,
): Promise<Snapshot> {
  await source.merged();
  const now = source.snapshot();
  return convergence.state === "done" && (await inSlices(sameButForWrites(snapshot, now, operations), pace))
    ? now
    : snapshot;
}

async function apply(
  operations: readonly Write[],
  parts: ControllerParts & { readonly untold: UntoldEvents },
  before: Convergence,
  signal: AbortSignal,
): Promise<Convergence> {
  const failure = await writeAll(operations, parts, signal);
  if (signal.aborted) return { state: "pending" };
  if (failure === undefined) return { state: "done" };
  return failed(before, failure, { now: Date.now(), random: Math.random(), limits: RETRY });
}

/** The next moment somebody wants the loop to run; a wake-up while it runs is not lost. */
class Wake {
  #due = false;
  #resolve: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.now(), { once: true });
  }

  now(): void {
    this.#due = true;
    this.#resolve?.();
  }

  async sleep(milliseconds: number | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
      if (this.#due) resolve();
      if (milliseconds !== undefined) timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.#due = false;
  }
}

/** Pools that were deleted or made smaller while in use: by pool, with the Services concerned. */
function tellLosses({ losses }: Decision, log: ControllerParts["log"]): void {
  for (const [pool, lost] of Map.groupBy(losses, (loss) => loss.pool))
    log.warn({ event: "addressesLost", pool }, `IPAddressPool ${pool ?? "(unknown)"}: ${lossMessage(lost)}`);
}

/** Each problem once, when it appears; and its end. */
function tell(now: readonly Problem[], before: readonly Problem[], log: ControllerParts["log"]): readonly Problem[] {
  if (now === before) return now;
  const texts = new Set(now.map(formatProblem));
  const known = new Set(before.map(formatProblem));
  for (const problem of now)
    if (!known.has(formatProblem(problem))) log.warn({ event: "problem", problem }, formatProblem(problem));
  for (const problem of before)
    if (!texts.has(formatProblem(problem)))
      log.info({ event: "problemSolved", problem }, `Solved: ${formatProblem(problem)}`);
  return now;
}

/** Milliseconds until something is due by itself. A timer holds 24 days; waking too early does no harm. */
function pause(convergence: Convergence, again: number | undefined): number | undefined {
  const due = [convergence.state === "failed" ? convergence.retryAt : undefined, again].filter(
    (at) => at !== undefined,
  );
  return due.length === 0 ? undefined : Math.min(Math.max(0, Math.min(...due) - Date.now()), TIMER_MAX_MS);
}
