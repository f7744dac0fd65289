/** Certificates that somebody else keeps, cert-manager for one: files of a mounted Secret, replaced in place. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificates } from "../../source/kubernetes/certificates.ts";

/** Throws an Error that names the file. Whom the API server is to trust is not our affair then. */
export function readCertificates(folder: string): Omit<Certificates, "ca"> {
  return { cert: readFileSync(join(folder, "tls.crt"), "utf8"), key: readFileSync(join(folder, "tls.key"), "utf8") };
}
