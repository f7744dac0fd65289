/** Of several controllers on one cluster, the one that holds the Lease acts; the others stand by and know everything already. */
import type { Logger } from "pino";
import type { Connection } from "../source/kubernetes/connection.ts";
import { startLease } from "../source/kubernetes/lease/driver.ts";
import type { Timing } from "../source/kubernetes/lease/machine.ts";
import { systemClock } from "../time/clock.ts";

export interface LeadingOptions {
  readonly connection: Connection;
  /** Of the Lease. */
  readonly namespace: string;
  /** This replica's name, unlike every other's. */
  readonly identity: string;
  readonly timing: Timing;
  readonly log: Pick<Logger, "info">;
  /** Runs while this replica leads, until the signal; the next run begins when it has ended. */
  readonly act: (signal: AbortSignal) => Promise<void>;
  /** Told when this replica begins and ceases to lead. */
  readonly onChange: (leading: boolean) => void;
  /** Told after every try why the Lease cannot be had; undefined: it can. */
  readonly onProblem: (message: string | undefined) => void;
}

const LEASE_NAME = "fairlead-controller";

/** Runs until the signal; then the Lease is given back once nothing is being written any more. */
export async function actWhileLeading(options: LeadingOptions, signal: AbortSignal): Promise<void> {
  const { connection, namespace, identity, timing, log, act, onChange, onProblem } = options;
  const failure = Promise.withResolvers<never>();
  let term = new AbortController();
  let acting = Promise.resolve();
  const lease = startLease({
    connection,
    namespace,
    name: LEASE_NAME,
    identity,
    timing,
    clock: systemClock,
    random: Math.random,
    onChange: (leading) => {
      onChange(leading);
      log.info(
        { event: leading ? "leading" : "following", identity },
        leading ? "This replica leads" : "Another replica may lead now",
      );
      term.abort();
      if (!leading) return;
      const mine = (term = new AbortController());
      acting = acting.then(() => act(mine.signal)).catch(failure.reject);
    },
    onProblem,
  });
  await Promise.race([aborted(signal), failure.promise]);
  term.abort();
  await acting;
  await lease.stop();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
