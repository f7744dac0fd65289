/** Kubeconfigs as kubectl reads them: which files, which context of them, and as whom. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { inClusterServer, serverOf, type ApiServer } from "../../source/kubernetes/credentials.ts";
import type { ClusterOptions } from "../options.ts";
import { CommandFailure, EXIT, type World } from "../world.ts";

/** The API server for commands that read objects themselves: by the pod's service account with `kubernetes`, else by a kubeconfig. */
export async function apiServerOf(
  world: World,
  options: ClusterOptions & { readonly kubernetes?: true },
): Promise<ApiServer> {
  if (options.kubernetes === true) return inClusterServer(world.env);
  return serverOf(await loadKubeconfig(world, options), "the kubeconfig", impersonation(options));
}

/** Rejects with a {@link CommandFailure} that names what is wrong with it. */
export async function loadKubeconfig(world: World, options: ClusterOptions): Promise<KubeConfig> {
  const library = await import("@kubernetes/client-node");
  const files = kubeconfigsOf(world, options);
  let config: KubeConfig | undefined;
  for (const file of files) {
    const next = new library.KubeConfig();
    try {
      next.loadFromFile(file);
      // Of several, the first that names a context decides, as in kubectl.
      config?.mergeConfig(next, config.currentContext !== "");
    } catch (cause) {
      throw new CommandFailure(EXIT.usage, `Cannot read the kubeconfig ${file}: ${textOf(cause)}`, { cause });
    }
    config ??= next;
  }
  if (config === undefined)
    throw new CommandFailure(EXIT.usage, `KUBECONFIG names no file that is there: ${world.env["KUBECONFIG"] ?? ""}`);
  choose(config, options);
  return config;
}

function kubeconfigsOf(world: World, { kubeconfig }: ClusterOptions): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const named = world.env["KUBECONFIG"] ?? "";
  const home = world.env["HOME"] ?? homedir();
  if (named === "") return [join(home, ".kube/config")];
  // Of a list, files that are not there are passed over, as by kubectl.
  return named.split(delimiter).filter((file) => existsSync(file));
}

/** Context, then cluster and user in its place. */
function choose(config: KubeConfig, { context, cluster, user }: ClusterOptions): void {
  const require = (what: string, name: string, names: readonly string[]): void => {
    if (names.includes(name)) return;
    throw new CommandFailure(EXIT.usage, `The kubeconfig has no ${what} "${name}"; there are: ${names.join(", ")}`);
  };
  if (context !== undefined) {
    require("context", context, config.contexts.map(({ name }) => name));
    config.setCurrentContext(context);
  }
  if (cluster === undefined && user === undefined) return;
  if (cluster !== undefined) require("cluster", cluster, config.clusters.map(({ name }) => name));
  if (user !== undefined) require("user", user, config.users.map(({ name }) => name));
  const base = config.getContextObject(config.getCurrentContext());
  const name = "chosen by --cluster and --user";
  const chosen = { ...base, name, cluster: cluster ?? base?.cluster ?? "", user: user ?? base?.user ?? "" };
  config.contexts = [...config.contexts, chosen];
  config.setCurrentContext(name);
}

export function impersonation({ as, asGroup }: ClusterOptions): Readonly<Record<string, string | string[]>> {
  return {
    ...(as === undefined ? {} : { "impersonate-user": as }),
    ...(asGroup === undefined ? {} : { "impersonate-group": [...asGroup] }),
  };
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
