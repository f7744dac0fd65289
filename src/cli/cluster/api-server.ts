/**
 * The API server as kubectl's flags and kubeconfigs mean it. HTTP/1.1, because what stands before an API server for people - and
 * `proxy-url` - often speaks nothing else.
 */
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import type { ClusterOptions } from "../options.ts";
import { CommandFailure, EXIT, type World } from "../world.ts";
import { impersonation, loadKubeconfig } from "./kubeconfig.ts";

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
  const config = await loadKubeconfig(world, options);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || !URL.canParse(server))
    throw new CommandFailure(EXIT.usage, `Context "${config.getCurrentContext()}" names no cluster with a server`);
  const url = new URL(server);
  // Of each request: a stream may last longer than the token it began with. The library remembers what is still good.
  const identify = async (): Promise<RequestOptions> => {
    const identity: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(identity);
    } catch (cause) {
      throw new CommandFailure(EXIT.problem, `Cannot log in at ${server}: ${textOf(cause)}`, { cause });
    }
    return { ...identity, headers: { ...(identity.headers as Record<string, string>), ...impersonation(options) } };
  };
  return { url, ask: async (asking) => send(world, url, await identify(), asking) };
}

/** What `-n` means where it is not given. */
export async function contextNamespace(world: World, options: ClusterOptions): Promise<string> {
  const config = await loadKubeconfig(world, options);
  return config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
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
