/** For tests: an API server as `kubectl fairlead` meets it, with agents behind its proxy; in the clear, and a kubeconfig for it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TICKET_HEADER } from "../../observe/remote-api.ts";
import type { ApiDocuments, MonitorEvent } from "../../observe/status.ts";

export interface FakeAgent {
  readonly node: string;
  readonly documents?: Partial<ApiDocuments>;
  readonly events?: readonly MonitorEvent[];
  /** Default: Running, with an address and a port for us. */
  readonly pod?: {
    readonly phase?: string;
    readonly deleted?: true;
    readonly name?: string;
    readonly ports?: readonly unknown[];
  };
  /** Instead of everything else. */
  readonly answer?: (response: ServerResponse) => void;
}

export interface FakeCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** `GET /path`, as they came. */
  readonly asked: readonly string[];
  readonly headers: readonly IncomingMessage["headers"][];
  /** Answers in the API server's place. */
  refuse: (method: string, path: string) => { readonly status: number; readonly body: unknown } | undefined;
}

const NAMESPACE = "/api/v1/namespaces/metallb-system";
const PROXIED = /^\/api\/v1\/namespaces\/metallb-system\/pods\/https:(?<pod>[^:]+):7959\/proxy(?<path>\/[^?]*)/;
const TOKEN = /serviceaccounts\/(?<account>[^/]+)\/token$/;

export async function startCluster(agents: readonly FakeAgent[]): Promise<FakeCluster> {
  const folder = await mkdtemp(join(tmpdir(), "fl-cluster-"));
  const asked: string[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = "", url = "" } = request;
    asked.push(`${method} ${url}`);
    headers.push(request.headers);
    const body = Buffer.concat((await request.toArray()) as Buffer[]).toString("utf8");
    const refusal = cluster.refuse(method, url);
    if (refusal !== undefined) return json(response, refusal.status, refusal.body);
    if (url.startsWith(`${NAMESPACE}/pods?`)) return json(response, 200, { items: agents.map(podOf) });
    const account = TOKEN.exec(url)?.groups?.["account"];
    if (account !== undefined) {
      const { spec } = JSON.parse(body) as { readonly spec: { readonly audiences: readonly string[] } };
      return json(response, 201, { status: { token: `${account} for ${spec.audiences.join()}` } });
    }
    const { pod, path = "" } = PROXIED.exec(url)?.groups ?? {};
    const agent = agents.find((each) => nameOf(each) === pod);
    if (agent === undefined) return json(response, 404, { kind: "Status", message: `nothing at ${url}` });
    answerAs(agent, request, path, response);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const kubeconfig = join(folder, "config");
  await writeFile(kubeconfig, configFor(`http://127.0.0.1:${port}`));
  const cluster: FakeCluster = {
    kubeconfig,
    asked,
    headers,
    refuse: () => undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return cluster;
}

function answerAs(agent: FakeAgent, request: IncomingMessage, path: string, response: ServerResponse): void {
  const account = request.method === "GET" ? "fairlead-viewer" : "fairlead-operator";
  const ticket = request.headers[TICKET_HEADER];
  if (ticket !== `${account} for fairlead-agent/${agent.node}`)
    return json(response, 401, { error: `the ticket ${String(ticket)} is not for ${agent.node}` });
  if (agent.answer !== undefined) return agent.answer(response);
  if (path === "/v1/monitor" && agent.events !== undefined) {
    for (const event of agent.events) response.write(`${JSON.stringify(event)}\n`);
    return;
  }
  const document = agent.documents?.[path as keyof ApiDocuments];
  if (document === undefined) json(response, 404, { error: `nothing at ${path}` });
  else json(response, 200, document);
}

function nameOf({ node, pod }: FakeAgent): string {
  return pod?.name ?? `agent-${node}`;
}

function podOf(agent: FakeAgent): unknown {
  const { phase = "Running", deleted, ports = [{ name: "api", containerPort: 7959 }] } = agent.pod ?? {};
  const time = "2026-11-21T11:00:00Z";
  return {
    metadata: {
      name: nameOf(agent),
      creationTimestamp: time,
      ...(deleted === undefined ? {} : { deletionTimestamp: time }),
    },
    spec: { nodeName: agent.node, containers: [{ ports: [{ containerPort: 7958 }] }, { ports }] },
    status: { phase, ...(phase === "Running" ? { podIP: "192.0.2.1" } : {}) },
  };
}

function configFor(server: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [
      { name: "jane", user: { token: "janes-token" } },
      { name: "olga", user: { token: "olgas-token" } },
    ],
    contexts: [
      { name: "here", context: { cluster: "test", user: "jane", namespace: "shop" } },
      { name: "there", context: { cluster: "test", user: "olga" } },
    ],
    "current-context": "here",
  });
}

function json(response: ServerResponse, status: number, document: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
}
