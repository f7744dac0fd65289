/**
 * Where the API server is and who we are to it. In a pod: the service account's files, read again when they may have been
 * rotated. Elsewhere: a kubeconfig, read by the official client library, which is loaded only then: it knows every way to
 * log in, and costs 80 MB that an agent in a cluster does not need (docs/decisions).
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { join } from "node:path";

/** What a connection needs. PEM texts. */
export interface Credentials {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  /** False: whatever certificate the server shows will do. */
  readonly verify: boolean;
  /** Value of the Authorization header. */
  readonly authorization?: string;
  /** Sent with every request: whom to impersonate. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

export interface ApiServer {
  readonly url: URL;
  /** Of the service account or the kubeconfig's context; undefined: neither names one. */
  readonly namespace: string | undefined;
  /** Asked for again by every connection, and every so often by requests: tokens and certificates are rotated. */
  credentials(): Promise<Credentials>;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The service account of the pod this runs in.
 * Throws an Error that says what is missing outside of a pod.
 */
export function inClusterServer(
  environment: Readonly<Record<string, string | undefined>>,
  folder: string = SERVICE_ACCOUNT,
): ApiServer {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  if (host === undefined || port === undefined)
    throw new Error(
      "Cannot find the API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; name a kubeconfig with --kubeconfig",
    );
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return {
    url: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: tryRead(() => read("namespace").trim()),
    credentials: async () => ({ ca: read("ca.crt"), verify: true, authorization: `Bearer ${read("token").trim()}` }),
  };
}

/**
 * The current context of a kubeconfig file. Rejects with an Error that names the file. When it has changed it is read anew: who
 * rotates tokens and certificates writes them there. What was read last is good until then, also while the file is half written.
 */
export async function kubeconfigServer(path: string): Promise<ApiServer> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const load = (): { readonly text: string; readonly server: ApiServer } => {
    try {
      const config = new KubeConfig();
      const text = readFileSync(path, "utf8");
      config.loadFromFile(path);
      return { text, server: serverOf(config, `the kubeconfig ${path}`) };
    } catch (cause) {
      throw new Error(`Cannot read the kubeconfig ${path}: ${reasonOf(cause)}`, { cause });
    }
  };
  let loaded = load();
  const { url, namespace } = loaded.server;
  return {
    url,
    namespace,
    credentials: async () => {
      // Programs that make tokens remember them in what was loaded: loaded anew only where the text is another.
      if (tryRead(() => readFileSync(path, "utf8")) === loaded.text) return loaded.server.credentials();
      try {
        const next = load();
        const found = await next.server.credentials();
        loaded = next;
        return found;
      } catch (error) {
        const last = await loaded.server.credentials();
        if (hasEnded(last)) throw error;
        return last;
      }
    },
  };
}

function hasEnded({ cert }: Credentials): boolean {
  return cert !== undefined && new X509Certificate(cert).validToDate.getTime() < Date.now();
}

/** Of the current context. Throws an Error that says what is wrong with `name`. */
export function serverOf(config: Loaded, name: string, headers: Credentials["headers"] = {}): ApiServer {
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || !URL.canParse(server))
    throw new Error(`Cannot use ${name}: its current context names no cluster with a server`);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return { url: new URL(server), namespace, credentials: async () => ({ ...(await credentialsOf(config)), headers }) };
}

type Loaded = InstanceType<typeof import("@kubernetes/client-node").KubeConfig>;

/** Also runs what the kubeconfig says is to be run: exec plug-ins, token refresh. */
async function credentialsOf(config: Loaded): Promise<Credentials> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers = new Headers(options.headers as Record<string, string> | undefined);
  return {
    verify: config.getCurrentCluster()?.skipTLSVerify !== true,
    ...text("ca", options.ca),
    ...text("cert", options.cert),
    ...text("key", options.key),
    ...text("serverName", options.servername),
    ...text("authorization", headers.get("authorization")),
  };
}

function text<K extends string>(name: K, value: unknown): { readonly [P in K]?: string } {
  if (typeof value !== "string" && !Buffer.isBuffer(value)) return {};
  const field: { [P in K]?: string } = {};
  field[name] = value.toString();
  return field;
}

function tryRead(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
