/**
 * Keeps the webhook's certificates: in a Secret that all replicas share, and the authority in the webhook's configuration, so that
 * the API server trusts it. Whoever finds them old makes new ones; whoever comes second takes what is there.
 */
import { z } from "zod";
import type { Connection } from "../../source/kubernetes/connection.ts";
import { refusalOf } from "../../source/kubernetes/writer.ts";
import { areCurrent, makeCertificates, type Certificates } from "../../source/kubernetes/certificates.ts";

export interface KeeperOptions {
  readonly connection: Pick<Connection, "request">;
  readonly namespace: string;
  /** DNS names, or addresses, that the API server calls the webhook by. */
  readonly names: readonly string[];
}

const SECRET = "fairlead-webhook-cert";
const CONFIGURATION =
  "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/fairlead-webhook-configuration";

const base64 = z.string().transform((text) => Buffer.from(text, "base64").toString("utf8"));
const secretSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  data: z.object({ "ca.crt": base64, "tls.crt": base64, "tls.key": base64 }).optional().catch(undefined),
});
const configurationSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  webhooks: z.array(z.object({ clientConfig: z.object({ caBundle: z.string().default("") }) })).default([]),
});

/** The certificates to use now. Rejects with what the API server found. */
export async function currentCertificates(options: KeeperOptions, now: Date): Promise<Certificates> {
  const { connection, namespace, names } = options;
  const secrets = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  // Twice: another replica may write between our look and our write.
  for (let attempt = 0; ; attempt += 1) {
    const response = await connection.request({ method: "GET", path: `${secrets}/${SECRET}` });
    if (response.status !== 200 && response.status !== 404) throw new Error(refusalOf(response));
    const found = response.status === 404 ? undefined : secretSchema.parse(response.body);
    const stored = found?.data === undefined ? undefined : certificatesOf(found.data);
    if (stored !== undefined && areCurrent(stored, names, now)) return stored;
    const made = await makeCertificates(names, now, stored);
    const body = secretBody(namespace, made, found?.metadata.resourceVersion);
    const written = await connection.request(
      found === undefined
        ? { method: "POST", path: secrets, body }
        : { method: "PUT", path: `${secrets}/${SECRET}`, body },
    );
    if (written.status === 200 || written.status === 201) return made;
    if (written.status !== 409 || attempt > 2) throw new Error(refusalOf(written));
  }
}

/** Writes the authority wherever the webhook's configuration has another. Where there is no configuration there is no webhook. */
export async function publishAuthority({ connection }: Pick<KeeperOptions, "connection">, ca: string): Promise<void> {
  const response = await connection.request({ method: "GET", path: CONFIGURATION });
  if (response.status === 404) return;
  if (response.status !== 200) throw new Error(refusalOf(response));
  const { metadata, webhooks } = configurationSchema.parse(response.body);
  const caBundle = Buffer.from(ca).toString("base64");
  const changes = webhooks.flatMap(({ clientConfig }, index) =>
    clientConfig.caBundle === caBundle
      ? []
      : [{ op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle }],
  );
  if (changes.length === 0) return;
  const test = { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion };
  const written = await connection.request({
    method: "PATCH",
    path: CONFIGURATION,
    contentType: "application/json-patch+json",
    body: [test, ...changes],
  });
  if (written.status !== 200) throw new Error(refusalOf(written));
}

function certificatesOf(data: NonNullable<z.infer<typeof secretSchema>["data"]>): Certificates {
  return { ca: data["ca.crt"], cert: data["tls.crt"], key: data["tls.key"] };
}

function secretBody(namespace: string, { ca, cert, key }: Certificates, resourceVersion: string | undefined): unknown {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: SECRET, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    data: { "ca.crt": encode(ca), "tls.crt": encode(cert), "tls.key": encode(key) },
  };
}
