/** A kubeconfig file for an API server, as a person has one. */
import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";

/** Writes it, readable by this user alone. */
export async function writeKubeconfig(apiServer: ApiServer, file: string): Promise<void> {
  const { ca, authorization = "" } = await apiServer.credentials();
  const token = authorization.replace(/^Bearer /, "");
  const cluster = {
    server: apiServer.url.href,
    // The library refuses a server without TLS otherwise; only the tests' proxy is one.
    ...(apiServer.url.protocol === "http:" ? { "insecure-skip-tls-verify": true } : {}),
    ...(ca === undefined ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") }),
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
}
