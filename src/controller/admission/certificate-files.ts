/** Certificates that somebody else keeps, cert-manager for one: files of a mounted Secret, replaced in place. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, realpathSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Certificates } from "../../source/kubernetes/certificates.ts";

/** What can be served with. Throws an Error that names the file. Whom the API server is to trust is not our affair then. */
export function readCertificates(folder: string): Omit<Certificates, "ca"> {
  const current = currentFolder(folder);
  const [certFile, keyFile] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  const cert = readFileSync(join(current, "tls.crt"), "utf8");
  const key = readFileSync(join(current, "tls.key"), "utf8");
  const certificate = explained(`${certFile} is not a certificate in PEM`, () => new X509Certificate(cert));
  const privateKey = explained(`${keyFile} is not a private key in PEM`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw new Error(`${keyFile} is not the key of ${certFile}`);
  return { cert, key };
}

/** A kubelet replaces all files at once by turning one link, `..data`: followed once, both are of the same moment. */
function currentFolder(folder: string): string {
  try {
    return realpathSync(join(folder, "..data"));
  } catch {
    return folder;
  }
}

function explained<T>(words: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`${words}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Waits until something has changed in the folder since it was called last, at most for so long, or until the signal. */
export function changesOf(folder: string, signal: AbortSignal): (milliseconds: number) => Promise<void> {
  let change = Promise.withResolvers<void>();
  try {
    watch(folder, { signal, persistent: false }, () => change.resolve()).on("error", () => {});
  } catch {
    // It is not there, or cannot be watched: it is looked at from time to time.
  }
  return async (milliseconds) => {
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    await Promise.race([change.promise, sleep(milliseconds, undefined, { signal: ended }).catch(() => {})]);
    over.abort();
    change = Promise.withResolvers();
  };
}
