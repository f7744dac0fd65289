/**
 * The API server as kubectl's flags and kubeconfigs mean it. HTTP/1.1, because what stands before an API server for people - and
 * `proxy-url` - often speaks nothing else.
 */
import { existsSync } from "node:fs";
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import type { ClusterOptions } from "../options.ts";
import { CommandFailure, EXIT, type World } from "../world.ts";

export interface Asking {
  readonly method: "GET" | "POST";
  /** `/api/v1/…`, with its query. */
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiServer {
  readonly url: URL;
  /** Rejects with a {@link CommandFailure} where it cannot be reached. */
  ask(asking: Asking): Promise<IncomingMessage>;
}

/** Rejects with a {@link CommandFailure} that names what is wrong with the kubeconfig. */
export async function openApiServer(world: World, options: ClusterOptions): Promise<ApiServer> {
  const config = await loadConfig(world, options);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || !URL.canParse(server))
    throw new CommandFailure(EXIT.usage, `Context "${config.getCurrentContext()}" names no cluster with a server`);
  const url = new URL(server);
  const identity: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(identity);
  } catch (cause) {
    throw new CommandFailure(EXIT.problem, `Cannot log in at ${server}: ${textOf(cause)}`, { cause });
  }
  const headers = { ...(identity.headers as Record<string, string>), ...impersonation(options) };
  return { url, ask: (asking) => send(world, url, { ...identity, headers }, asking) };
}

/** What `-n` means where it is not given. */
export async function contextNamespace(world: World, options: ClusterOptions): Promise<string> {
  const config = await loadConfig(world, options);
  return config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
}

async function loadConfig(world: World, options: ClusterOptions): Promise<KubeConfig> {
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

function impersonation({ as, asGroup }: ClusterOptions): Readonly<Record<string, string | string[]>> {
  return {
    ...(as === undefined ? {} : { "impersonate-user": as }),
    ...(asGroup === undefined ? {} : { "impersonate-group": [...asGroup] }),
  };
}

function send(world: World, url: URL, identity: RequestOptions, asking: Asking): Promise<IncomingMessage> {
  const { method, path, body, headers = {} } = asking;
  const timeout = world.answerTimeoutMilliseconds;
  const prefix = url.pathname.replace(/\/$/, "");
  const content = body === undefined ? {} : { "content-type": "application/json" };
  const request = url.protocol === "http:" ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      ...identity,
      method,
      path: `${prefix}${path}`,
      timeout,
      headers: { ...(identity.headers as Record<string, string>), accept: "application/json", ...content, ...headers },
    });
    outgoing.on("response", resolve);
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)));
    outgoing.on("error", (cause) =>
      reject(
        new CommandFailure(EXIT.unreachable, `Cannot reach the API server at ${url.origin}: ${textOf(cause)}`, {
          cause,
        }),
      ),
    );
    outgoing.end(body);
  });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
