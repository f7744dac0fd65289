/** The key that agents sign their probes with: made by the controllers, so that no tool of installation has to keep a secret. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Connection } from "../source/kubernetes/connection.ts";
import { ensureSharedSecret } from "../source/kubernetes/shared-secret.ts";

export interface MembershipSecretOptions {
  readonly connection: Pick<Connection, "request">;
  readonly namespace: string;
  readonly name: string;
  readonly log: Pick<Logger, "info">;
  /** Told why there is none yet; undefined: there is one. */
  readonly onProblem: (message: string | undefined) => void;
}

/** As MetalLB's Secret has it. */
const KEY = "secretkey";
const KEY_BYTES = 96;
const RETRY_MS = 5000;

/** Resolves when the Secret is there, or at the signal. Agents that mount it start only then. */
export async function keepMembershipSecret(options: MembershipSecretOptions, signal: AbortSignal): Promise<void> {
  const { namespace, name, log, onProblem } = options;
  // Text: who looks at it, or copies it, must not lose a byte.
  const make = (): Uint8Array => Buffer.from(randomBytes(KEY_BYTES).toString("base64"));
  while (!signal.aborted) {
    try {
      const done = await ensureSharedSecret({ ...options, key: KEY, make });
      if (done === "made")
        log.info({ event: "membershipSecret", namespace, name }, "The agents' key is made, in a Secret");
      onProblem(undefined);
      return;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onProblem(`Cannot make the agents' key, Secret ${name}: ${reason}`);
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}
