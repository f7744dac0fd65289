/** The validating webhook of a controller: every replica serves it, whichever acts. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { ListenAddress } from "../../net/listen.ts";
import type { Connection } from "../../source/kubernetes/connection.ts";
import type { Source } from "../../source/source.ts";
import { currentCertificates, publishAuthority } from "./certificate-keeper.ts";
import type { Certificates } from "../../source/kubernetes/certificates.ts";
import { review } from "./review.ts";
import { serveWebhook, type WebhookServer } from "./server.ts";

export interface WebhookOptions {
  readonly listen: ListenAddress;
  readonly connection: Connection;
  readonly namespace: string;
  /** What the API server calls it by. */
  readonly names: readonly string[];
  readonly source: Source;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Called when requests are answered from now on. */
  readonly onServing?: () => void;
}

/** Certificates are looked at this often; a failure is tried again sooner. */
const LOOK_MS = 10 * 60_000;
const RETRY_MS = 5000;

/** Runs until the signal. Rejects when it cannot listen. */
export async function runWebhook(options: WebhookOptions, signal: AbortSignal): Promise<void> {
  const { connection, namespace, source, log } = options;
  let server: WebhookServer | undefined;
  let used: Certificates | undefined;
  // A verdict on half of the objects could refuse what is well.
  await Promise.race([source.ready, aborted(signal)]);
  while (!signal.aborted) {
    const certificates = await attempt(log, async () => {
      const current = await currentCertificates(options, new Date());
      await publishAuthority({ connection }, current.ca);
      return current;
    });
    if (certificates !== undefined && server === undefined) {
      const answer = (body: unknown): unknown =>
        review(body, { snapshot: source.snapshot(), systemNamespace: namespace, now: new Date() });
      server = await serveWebhook(options.listen, certificates, answer);
      log.info({ event: "webhookServes", port: server.port }, "The webhook serves");
      options.onServing?.();
    } else if (certificates !== undefined && certificates.cert !== used?.cert) server?.setCertificates(certificates);
    used = certificates ?? used;
    await sleep(certificates === undefined ? RETRY_MS : LOOK_MS, undefined, { signal }).catch(() => {});
  }
  await server?.close();
}

async function attempt<T>(log: WebhookOptions["log"], act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn({ event: "webhookCertificates" }, `Cannot keep the webhook's certificates: ${reason}`);
    return undefined;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
