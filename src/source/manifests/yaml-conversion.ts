/**
 * Large YAML texts into JSON, in a thread of their own: the library needs seconds and hundreds of megabytes for ten megabytes of
 * it, which nobody else shall wait for or pay for. Afterwards the thread is gone, and its memory with it.
 */
import { Worker } from "node:worker_threads";
import type { ConvertedDocument } from "./yaml-worker.ts";

export type { ConvertedDocument };

export interface ConversionLimits {
  readonly milliseconds: number;
  readonly megabytes: number;
}

const LIMITS: ConversionLimits = { milliseconds: 120_000, megabytes: 2048 };
/** What becomes of a text that the library cannot cope with within the limits. */
const ADVICE = "split it into smaller files, or write it as JSON";

/** The documents of the text; one fault in their place when they need more time or memory than there is. */
export async function yamlAsJson(
  bytes: Uint8Array,
  { milliseconds, megabytes }: ConversionLimits = LIMITS,
): Promise<readonly ConvertedDocument[]> {
  const converted: ConvertedDocument[] = [];
  const worker = new Worker(new URL("./yaml-worker.ts", import.meta.url), {
    name: "yaml",
    workerData: bytes,
    resourceLimits: { maxOldGenerationSizeMb: megabytes },
  });
  const outcome = Promise.withResolvers<string | undefined>();
  const seconds = milliseconds / 1000;
  const timer = setTimeout(
    () => outcome.resolve(`is too much YAML to be read within ${seconds} s: ${ADVICE}`),
    milliseconds,
  );
  worker.on("message", (document: ConvertedDocument) => converted.push(document));
  worker.on("error", (error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY")
      outcome.resolve(`is too much YAML to be read within ${megabytes} MB of memory: ${ADVICE}`);
    else outcome.reject(error);
  });
  worker.on("exit", () => outcome.resolve(undefined));
  try {
    const fault = await outcome.promise;
    return fault === undefined ? converted : [{ fault }];
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
