/** The validating webhook of a controller: every replica serves it, whichever acts. */
import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { ListenAddress } from "../../net/listen.ts";
import type { Connection } from "../../source/kubernetes/connection.ts";
import type { Source } from "../../source/source.ts";
import { changesOf, readCertificates } from "./certificate-files.ts";
import { currentCertificates, publishAuthority } from "./certificate-keeper.ts";
import type { Certificates } from "../../source/kubernetes/certificates.ts";
import { reviewing } from "./reviewing.ts";
import { serveWebhook, type WebhookServer } from "./server.ts";

export interface WebhookOptions {
  readonly listen: ListenAddress;
  readonly connection: Connection;
  readonly namespace: string;
  /** What the API server calls it by. */
  readonly names: readonly string[];
  /** With certificates that somebody else keeps; absent: they are made and kept here. */
  readonly certificateFolder?: string | undefined;
  readonly source: Source;
  readonly log: Pick<Logger, "info">;
  /** Told why its certificates cannot be kept; undefined: they can. */
  readonly onProblem: (message: string | undefined) => void;
  /** Called when requests are answered with this certificate from now on. */
  readonly onServing?: (expires: Date) => void;
}

/** Certificates are looked at this often; files also when their folder changes. A failure is tried again sooner. */
const LOOK_MS = 10 * 60_000;
const LOOK_AT_FILES_MS = 60_000;
const RETRY_MS = 5000;

/** Runs until the signal. Rejects when it cannot listen. */
export async function runWebhook(options: WebhookOptions, signal: AbortSignal): Promise<void> {
  const { certificateFolder, namespace, source, log, onProblem } = options;
  let server: WebhookServer | undefined;
  let used: Served | undefined;
  // A verdict on half of the objects could refuse what is well.
  await Promise.race([source.ready, aborted(signal)]);
  const wait = certificateFolder === undefined ? pausing(signal) : changesOf(certificateFolder, signal);
  const pause = certificateFolder === undefined ? LOOK_MS : LOOK_AT_FILES_MS;
  while (!signal.aborted) {
    const certificates = await attempt(onProblem, () => look(options));
    if (certificates !== undefined && certificates.cert !== used?.cert) {
      if (server === undefined) {
        const answer = (body: unknown): Promise<unknown> => reviewing(body, source, namespace);
        server = await serveWebhook(options.listen, certificates, answer);
        log.info({ event: "webhookServes", port: server.port }, "The webhook serves");
      } else server.setCertificates(certificates);
      used = certificates;
      options.onServing?.(new X509Certificate(certificates.cert).validToDate);
    }
    await wait(certificates === undefined ? RETRY_MS : pause);
  }
  await server?.close();
}

type Served = Omit<Certificates, "ca">;

/** The certificates to use now. The authority of our own is published wherever it is not known yet. */
async function look(options: WebhookOptions): Promise<Served> {
  const { connection, certificateFolder } = options;
  if (certificateFolder !== undefined) return readCertificates(certificateFolder);
  const current = await currentCertificates(options, new Date());
  await publishAuthority({ connection }, current.ca);
  return current;
}

async function attempt<T>(onProblem: WebhookOptions["onProblem"], act: () => Promise<T>): Promise<T | undefined> {
  try {
    const done = await act();
    onProblem(undefined);
    return done;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    onProblem(`Cannot keep the webhook's certificates: ${reason}`);
    return undefined;
  }
}

function pausing(signal: AbortSignal): (milliseconds: number) => Promise<void> {
  return (milliseconds) => sleep(milliseconds, undefined, { signal }).catch(() => {});
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
