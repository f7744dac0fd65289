/** Reads the MetalLB of a cluster: what of it is in no snapshot. */
import type { RawWorkloads } from "../../observe/migration/installation.ts";
import type { Connection } from "./connection.ts";

export async function readWorkloads(connection: Connection, namespace: string): Promise<RawWorkloads> {
  const inNamespace = (group: string, resource: string): Promise<readonly unknown[]> =>
    list(connection, `${group}/namespaces/${encodeURIComponent(namespace)}/${resource}`);
  const [deployments, daemonSets, configMaps, l2Statuses, frrConfigurations, webhooks, definition] = await Promise.all([
    inNamespace("/apis/apps/v1", "deployments"),
    inNamespace("/apis/apps/v1", "daemonsets"),
    inNamespace("/api/v1", "configmaps"),
    inNamespace("/apis/metallb.io/v1beta1", "servicel2statuses"),
    list(connection, "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations"),
    list(connection, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"),
    read(connection, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/bgppeers.metallb.io"),
  ]);
  return {
    deployments,
    daemonSets,
    configMaps,
    l2Statuses,
    frrConfigurations,
    validatingWebhooks: webhooks.flatMap((each) => nameOf(each) ?? []),
    peerConversion: (definition as { spec?: { conversion?: { strategy?: string } } } | undefined)?.spec?.conversion
      ?.strategy,
  };
}

/** A kind that is not there has no objects. Rejects with an Error that says what cannot be read. */
async function list(connection: Connection, path: string): Promise<readonly unknown[]> {
  const body = (await read(connection, path)) as { readonly items?: readonly unknown[] } | undefined;
  return body?.items ?? [];
}

async function read(connection: Connection, path: string): Promise<unknown> {
  const { status, body } = await connection.request({ method: "GET", path });
  if (status === 404) return undefined;
  if (status === 200) return body;
  const message = (body as { readonly message?: string } | undefined)?.message ?? "";
  throw new Error(`Cannot read ${path}: the API server answers ${status}${message === "" ? "" : `: ${message}`}`);
}

function nameOf(object: unknown): string | undefined {
  return (object as { readonly metadata?: { readonly name?: string } }).metadata?.name;
}
