/**
 * A certificate for a server whose clients check none, as the API server when it asks a pod: made by a process of its own, because the
 * library that makes them would stay in this one's memory for good (27 MB).
 */
import { fork } from "node:child_process";
import type { Certificates } from "./certificates.ts";

if (import.meta.main) {
  const { makeCertificates } = await import("./certificates.ts");
  process.send?.(await makeCertificates([process.argv[2] ?? ""], new Date()));
}

const MILLISECONDS_MAX = 60_000;

/** Rejects with an Error that says how the process ended. */
export async function makeSelfSigned(name: string): Promise<Pick<Certificates, "cert" | "key">> {
  const made = Promise.withResolvers<Certificates>();
  const child = fork(import.meta.filename, [name], { execArgv: [], timeout: MILLISECONDS_MAX });
  child.once("message", (message) => made.resolve(message as unknown as Certificates));
  child.once("error", made.reject);
  child.once("exit", (code, signal) => {
    made.reject(new Error(`no certificate was made: the process that should ended with ${code ?? signal}`));
  });
  const { cert, key } = await made.promise;
  return { cert, key };
}
