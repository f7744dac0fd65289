/** Objects in the API server by the hand of their owner: created and changed by server-side apply, as `kubectl apply` does. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, parseAllDocuments } from "yaml";
import type { Connection, Response } from "../../src/source/kubernetes/connection.ts";
import { RESOURCES } from "../../src/source/kubernetes/kinds.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SERVED_MS_MAX = 30_000;

export interface Manifest {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

/** Kinds that are in no snapshot, with their plurals. */
const OTHERS: Readonly<Record<string, string>> = {
  ServiceAccount: "serviceaccounts",
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  Role: "roles",
  RoleBinding: "rolebindings",
  Lease: "leases",
  Pod: "pods",
};

/** Installs the CRDs that we ship, and waits until their objects can be listed. */
export async function installDefinitions(admin: Connection): Promise<void> {
  const folder = join(DEPLOY, "crds");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".yaml") && name !== "kustomization.yaml")) {
    const body: unknown = parse(readFileSync(join(folder, file), "utf8"));
    const { metadata } = body as { readonly metadata: { readonly name: string } };
    expectSuccess(await apply(admin, `${CRDS}/${metadata.name}`, body), file);
  }
  const giveUpAt = performance.now() + SERVED_MS_MAX;
  for (const resource of RESOURCES) {
    const path = `${rootOf(resource.apiVersion)}/${resource.resource}`;
    while ((await admin.request({ method: "GET", path })).status !== 200) {
      if (performance.now() > giveUpAt) throw new Error(`${path} is not served although its CRD was installed`);
      await sleep(20);
    }
  }
}

/** Installs the roles that we ship, and what they are given to. */
export async function installRoles(admin: Connection): Promise<void> {
  const documents = parseAllDocuments(readFileSync(join(DEPLOY, "kustomize/rbac.yaml"), "utf8"));
  if (!Array.isArray(documents)) throw new Error("rbac.yaml is empty");
  for (const document of documents) await putObject(admin, document.toJS() as Manifest);
}

export async function makeNamespace(admin: Connection, name: string): Promise<void> {
  await putObject(admin, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

export async function putObject(admin: Connection, manifest: Manifest): Promise<void> {
  expectSuccess(await apply(admin, pathOf(manifest), manifest), `${manifest.kind} ${manifest.metadata?.name ?? ""}`);
}

/** A Node or a Pod and its status, as a kubelet writes them: server-side apply refuses two addresses of one type. */
export async function putWithStatus(
  admin: Connection,
  { status, ...rest }: Manifest & { readonly status?: unknown },
): Promise<void> {
  await putObject(admin, rest);
  const path = `${pathOf(rest)}/status`;
  const response = await admin.request({
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: { status },
  });
  expectSuccess(response, `status of ${rest.kind} ${rest.metadata?.name ?? ""}`);
}

export async function removeObject(admin: Connection, manifest: Manifest): Promise<void> {
  expectSuccess(await admin.request({ method: "DELETE", path: pathOf(manifest) }), manifest.kind);
}

/** The object as it is stored. */
export async function readObject(admin: Connection, manifest: Manifest): Promise<Readonly<Record<string, unknown>>> {
  const response = await admin.request({ method: "GET", path: pathOf(manifest) });
  expectSuccess(response, manifest.kind);
  return response.body as Readonly<Record<string, unknown>>;
}

function apply(admin: Connection, path: string, body: unknown): Promise<Response> {
  const query = { fieldManager: "owner", force: "true" };
  return admin.request({ method: "PATCH", path, query, contentType: "application/apply-patch+yaml", body });
}

/** `/api/v1/namespaces/default/services/web` */
export function pathOf({ apiVersion, kind, metadata = {} }: Manifest): string {
  const known = RESOURCES.find((each) => each.kind === kind);
  const resource = known?.resource ?? OTHERS[kind];
  if (resource === undefined) throw new Error(`A kind that no test has needed yet: ${kind}`);
  const namespace = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  return `${rootOf(apiVersion ?? known?.apiVersion ?? "v1")}${namespace}/${resource}/${metadata.name ?? ""}`;
}

function rootOf(apiVersion: string): string {
  return `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}`;
}

function expectSuccess({ status, body }: Response, what: string): void {
  if (status < 200 || status > 299)
    throw new Error(`${what}: the API server answers ${status}: ${JSON.stringify(body)}`);
}
