/**
 * The part of a cluster that the lab plays where objects lie in an API server: what is in the manifest folders is applied, as a
 * person would with kubectl, and Nodes and EndpointSlices follow the scene and the Services that are there. The addresses that
 * Services get are copied into the state folder, for whoever looks at a lab from outside of its network.
 *
 * Of a cluster with kubelets only the addresses are copied: it has everything else by itself.
 *
 * Runs in the namespace of the API server's host. Arguments: the lab's name, the kubeconfig.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import { kubeconfigServer } from "../../src/source/kubernetes/credentials.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import { writeServiceState } from "../../src/source/manifests/state.ts";
import type { Snapshot } from "../../src/source/source.ts";
import {
  agentPods,
  endpointSliceObjects,
  EVERYTHING_READY,
  namespaceObjects,
  nodeObjects,
  type Conditions,
} from "../cluster-objects.ts";
import { ManifestFolders } from "./manifest-folders.ts";
import { pathsOf, readSceneCopy, type Paths } from "../run-directory.ts";
import type { Scene } from "../scene.ts";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  pathOf,
  putObject,
  putWithStatus,
  removeObject,
  type Manifest,
} from "./objects.ts";
import { waitUntilReady } from "./readiness.ts";

const POLL_MILLISECONDS = 50;
const SYSTEM_NAMESPACE = "metallb-system";
/** Kinds that a kubelet says the state of. */
const HAVE_STATUS: ReadonlySet<string> = new Set(["Node", "Pod"]);

if (import.meta.main) await playCluster(process.argv[2] ?? "", process.argv[3] ?? "");

async function playCluster(lab: string, kubeconfig: string): Promise<never> {
  const paths = pathsOf(lab);
  const scene = await readSceneCopy(lab);
  const server = await kubeconfigServer(kubeconfig);
  await waitUntilReady(server, () => false);
  const admin = openConnection(server);
  const isReal = scene.hosts.some(({ podNetwork }) => podNetwork?.kind === "kubelet");
  if (!isReal) {
    await installDefinitions(admin);
    await makeNamespace(admin, SYSTEM_NAMESPACE);
    await installRoles(admin);
  }
  const source = openKubernetesSource({
    connection: openConnection(server),
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-lab",
    instance: lab,
  });
  await source.ready;
  const sources = { scene, paths, folders: new ManifestFolders([...scene.manifests, paths.manifests]) };
  const applied = new Map<string, Applied>();
  const copied = new Map<string, string>();
  for (;;) {
    if (!isReal) await applyAll(admin, desiredObjects(sources, source.snapshot()), applied);
    await copyAddresses(paths, source.snapshot(), copied);
    writeFileSync(paths.clusterReady, "");
    await sleep(POLL_MILLISECONDS);
  }
}

interface Applied {
  readonly manifest: Manifest;
  readonly text: string;
}

interface Sources {
  readonly scene: Scene;
  readonly paths: Paths;
  readonly folders: ManifestFolders;
}

/** In the order they are applied: namespaces before what lies in them. */
function desiredObjects({ scene, paths, folders }: Sources, { services }: Snapshot): readonly Manifest[] {
  const conditions = readConditions(paths.conditions);
  const list = [...services.values()].filter(({ metadata }) => metadata.name !== "kubernetes");
  return [
    ...namespaceObjects(scene, list),
    ...nodeObjects(scene, conditions),
    ...agentPods(scene),
    ...folders.read(),
    ...endpointSliceObjects(scene, list, conditions),
  ];
}

async function applyAll(admin: Connection, desired: readonly Manifest[], applied: Map<string, Applied>): Promise<void> {
  const wanted = new Map(desired.map((manifest) => [pathOf(manifest), manifest]));
  for (const [path, { manifest }] of applied) {
    if (wanted.has(path)) continue;
    await attempt(path, () => removeObject(admin, manifest));
    applied.delete(path);
  }
  for (const [path, manifest] of wanted) {
    const text = JSON.stringify(manifest);
    if (applied.get(path)?.text === text) continue;
    await attempt(path, () =>
      HAVE_STATUS.has(manifest.kind) ? putWithStatus(admin, manifest) : putObject(admin, manifest),
    );
    // Refused or not: it is tried again when it is changed.
    applied.set(path, { manifest, text });
  }
}

async function attempt(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    console.error(path, error instanceof Error ? error.message : error);
  }
}

async function copyAddresses(paths: Paths, { services }: Snapshot, copied: Map<string, string>): Promise<void> {
  for (const [key, { status, metadata }] of services) {
    const text = JSON.stringify([status, metadata.annotations]);
    if (copied.get(key) === text) continue;
    copied.set(key, text);
    const { annotations } = metadata;
    await writeServiceState(paths.state, key, { ...status, ingress: status.loadBalancer.ingress, annotations });
  }
}

function readConditions(path: string): Conditions {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Conditions;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return EVERYTHING_READY;
    throw error;
  }
}
