/** Where a program's objects come from, as its command line says: folders of manifests, or the Kubernetes API. */
import type { Problem } from "../net/problem.ts";
import { inClusterServer, kubeconfigServer, type ApiServer } from "./kubernetes/credentials.ts";
import { openConnection, type Connection } from "./kubernetes/connection.ts";
import { openKubernetesSource } from "./kubernetes/source.ts";
import type { Source, StatusWriter } from "./source.ts";

export interface OriginOptions {
  readonly manifests?: readonly string[] | undefined;
  /** Where status is written, beside manifests. */
  readonly state?: string | undefined;
  /** From inside a pod, by its service account. */
  readonly kubernetes?: boolean | undefined;
  /** From outside, by this file. */
  readonly kubeconfig?: string | undefined;
  /** Where our configuration lies: the pod's own namespace, or metallb-system. */
  readonly namespace?: string | undefined;
}

export type Origin =
  | { readonly type: "folder"; readonly manifests: readonly string[]; readonly state: string | undefined }
  | KubernetesOrigin;

interface KubernetesOrigin {
  readonly type: "kubernetes";
  /** Undefined: by the service account of this pod. */
  readonly kubeconfig?: string | undefined;
  /** Found already, in the place of both. */
  readonly server?: ApiServer;
  readonly namespace: string | undefined;
}

export interface Opened {
  readonly source: Source & StatusWriter;
  /** Only where there is an API server. */
  readonly kubernetes: { readonly connection: Connection; readonly namespace: string } | undefined;
}

export interface Opener {
  /** `fairlead-controller`, `fairlead-agent` */
  readonly component: string;
  /** Which of them: the name of its pod or node. */
  readonly instance: string;
  /** Told of every problem that was not there before, and of its end. */
  readonly log?: (problem: Problem) => void;
  readonly solved?: (problem: Problem) => void;
}

export const SYSTEM_NAMESPACE = "metallb-system";

/** The origin, or everything that is wrong with the options. */
export function parseOrigin(options: OriginOptions): Origin | { readonly problems: readonly Problem[] } {
  const { manifests = [], state, kubernetes = false, kubeconfig, namespace } = options;
  const wantsApi = kubernetes || kubeconfig !== undefined;
  const problems: Problem[] = [];
  if (wantsApi && manifests.length > 0)
    problems.push({ subject: "--manifests", message: "objects come from folders or from Kubernetes, not from both" });
  if (wantsApi && state !== undefined)
    problems.push({ subject: "--state", message: "with Kubernetes, status lies in the objects themselves" });
  if (!wantsApi && manifests.length === 0)
    problems.push({
      subject: "--manifests",
      message: "name at least one folder of manifests, or use --kubernetes in a pod or --kubeconfig outside of one",
    });
  if (!wantsApi && namespace !== undefined)
    problems.push({
      subject: "--namespace",
      message: "is the Kubernetes namespace of our configuration, folders have none",
    });
  if (problems.length > 0) return { problems };
  return wantsApi ? { type: "kubernetes", kubeconfig, namespace } : { type: "folder", manifests, state };
}

/** Rejects with an Error that says what cannot be opened. An API server that is away now can. */
export async function openOrigin(origin: Origin, { component, instance, log, solved }: Opener): Promise<Opened> {
  const logging = { ...(log === undefined ? {} : { log }), ...(solved === undefined ? {} : { solved }) };
  if (origin.type === "folder") {
    const { manifests, state } = origin;
    // Loaded only then: it reads YAML, which costs an agent in a cluster memory for nothing.
    const { openFolderSource } = await import("./manifests/folder.ts");
    const source = await openFolderSource({ manifests, ...(state === undefined ? {} : { state }), ...logging });
    return { source, kubernetes: undefined };
  }
  const kubernetes = await openServer(origin);
  const source = openKubernetesSource({ ...kubernetes, component, instance, ...logging });
  return { source, kubernetes };
}

/** The API server, and the namespace our configuration lies in. */
export async function openServer(origin: KubernetesOrigin): Promise<NonNullable<Opened["kubernetes"]>> {
  const { kubeconfig, namespace } = origin;
  const server =
    origin.server ?? (kubeconfig === undefined ? inClusterServer(process.env) : await kubeconfigServer(kubeconfig));
  return { connection: openConnection(server), namespace: namespace ?? server.namespace ?? SYSTEM_NAMESPACE };
}
