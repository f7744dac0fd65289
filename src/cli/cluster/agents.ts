/**
 * The agents of a cluster, reached through the API server: it lists their pods, makes a ticket for each - a token of a service account
 * that is good for nothing but that agent - and carries requests to them (docs/decisions/015).
 *
 *     command ── roles of the user ──► API server ── ticket ──► agent ── TokenReview ──► API server
 */
import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { TICKET_HEADER } from "../../observe/remote-api.ts";
import { audienceOf } from "../../source/kubernetes/ticket.ts";
import { unreachable } from "../agent-api.ts";
import type { ClusterAgent } from "../agent-api.ts";
import type { ClusterOptions } from "../options.ts";
import { CommandFailure, EXIT, type World } from "../world.ts";
import { openApiServer, type ApiServer } from "./api-server.ts";

const SELECTOR = "app.kubernetes.io/component=agent";
const PORT_NAME = "api";
/** The shortest that API servers make. */
const TICKET_SECONDS = 600;

const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    creationTimestamp: z.string().default(""),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.object({
    nodeName: z.string().optional(),
    containers: z
      .array(
        z.object({ ports: z.array(z.object({ name: z.string().default(""), containerPort: z.int() })).default([]) }),
      )
      .default([]),
  }),
  status: z
    .object({ phase: z.string().default("Unknown"), podIP: z.string().optional() })
    .default({ phase: "Unknown" }),
});
const podList = z.object({ items: z.array(podSchema) });
type Pod = z.infer<typeof podSchema>;

/** One for each node that has a pod of an agent, whatever state it is in. At least one. */
export async function clusterAgents(world: World, options: ClusterOptions): Promise<readonly ClusterAgent[]> {
  const server = await openApiServer(world, options);
  const given = world.env["FAIRLEAD_NAMESPACE"] ?? "";
  const namespace = options.installNamespace ?? (given === "" ? "metallb-system" : given);
  const root = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  const answer = await readJson(server, `list the agents in ${namespace}`, {
    method: "GET",
    path: `${root}/pods?labelSelector=${encodeURIComponent(SELECTOR)}`,
  });
  const parsed = podList.safeParse(answer);
  if (!parsed.success)
    throw new CommandFailure(EXIT.problem, `${server.url.origin} answers a list of pods with no list`);
  const byNode = Map.groupBy(parsed.data.items, ({ spec }) => spec.nodeName);
  const agents = [...byNode].flatMap(([node, pods]) => {
    const pod = pods.toSorted(latestFirst)[0];
    return node === undefined || pod === undefined ? [] : [agentOf(server, root, node, pod)];
  });
  if (agents.length > 0) return agents.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  throw new CommandFailure(
    EXIT.unreachable,
    `No agents in namespace ${namespace}: no pod there has the label ${SELECTOR}. Say where Fairlead runs with --install-namespace`,
  );
}

/** While an agent is exchanged there are two. */
function latestFirst(a: Pod, b: Pod): number {
  const leaving =
    Number(a.metadata.deletionTimestamp !== undefined) - Number(b.metadata.deletionTimestamp !== undefined);
  return leaving === 0 ? b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp) : leaving;
}

function agentOf(server: ApiServer, root: string, node: string, pod: Pod): ClusterAgent {
  const where = `on ${node}`;
  const { name } = pod.metadata;
  const port = pod.spec.containers.flatMap(({ ports }) => ports).find((each) => each.name === PORT_NAME)?.containerPort;
  return {
    node,
    where,
    open: async (path, body) => {
      if (pod.status.podIP === undefined || pod.status.phase !== "Running")
        throw unreachable({ where }, new Error(`its pod ${name} is ${pod.status.phase}`));
      if (port === undefined)
        throw unreachable(
          { where },
          new Error(`its pod ${name} has no port "${PORT_NAME}": start it with --api-listen`),
        );
      const ticket = await makeTicket(server, root, node, body === undefined ? "fairlead-viewer" : "fairlead-operator");
      const asking = body === undefined ? ({ method: "GET" } as const) : ({ method: "POST", body } as const);
      const response = await server.ask({
        ...asking,
        path: `${root}/pods/https:${name}:${port}/proxy${path}`,
        headers: { [TICKET_HEADER]: ticket },
      });
      if (response.statusCode !== 200) await throwRefusal(response, node, path);
      return response;
    },
  };
}

const tokenRequest = z.object({ status: z.object({ token: z.string() }) });

async function makeTicket(server: ApiServer, root: string, node: string, account: string): Promise<string> {
  const spec = { audiences: [audienceOf(node)], expirationSeconds: TICKET_SECONDS };
  const body = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec });
  const path = `${root}/serviceaccounts/${account}/token`;
  const answer = await readJson(server, `get a ticket of ${account} for ${node}`, { method: "POST", path, body });
  const parsed = tokenRequest.safeParse(answer);
  if (parsed.success) return parsed.data.status.token;
  throw new CommandFailure(EXIT.problem, `${server.url.origin} answers a TokenRequest with no token`);
}

/** What the API server says for itself: `kind: Status`. */
const statusSchema = z.object({ kind: z.literal("Status"), message: z.string().default("") });
const errorSchema = z.object({ error: z.string() });

/** `what`: after "Cannot". */
async function readJson(server: ApiServer, what: string, asking: Parameters<ApiServer["ask"]>[0]): Promise<unknown> {
  const response = await server.ask(asking);
  const document = await bodyOf(response);
  if (response.statusCode === 200 || response.statusCode === 201) return document;
  const said = statusSchema.safeParse(document).data?.message ?? `it answers ${response.statusCode}`;
  throw new CommandFailure(EXIT.problem, `Cannot ${what}: ${said}${adviceOn(response.statusCode)}`);
}

/** The API server's refusal, or the agent's. */
async function throwRefusal(response: IncomingMessage, node: string, path: string): Promise<never> {
  const document = await bodyOf(response);
  const status = statusSchema.safeParse(document).data;
  if (status === undefined) {
    const error = errorSchema.safeParse(document).data?.error ?? JSON.stringify(document).slice(0, 200);
    throw new CommandFailure(
      EXIT.problem,
      `The agent on ${node} answered ${path} with ${response.statusCode}: ${error}`,
    );
  }
  if (response.statusCode === 403 || response.statusCode === 401)
    throw new CommandFailure(
      EXIT.problem,
      `Cannot ask the agent on ${node}: ${status.message}${adviceOn(response.statusCode)}`,
    );
  throw unreachable({ where: `on ${node}` }, new Error(`the API server says: ${status.message}`));
}

function adviceOn(status: number | undefined): string {
  if (status === 403) return "; ask for the role fairlead-viewer, or fairlead-operator for changes";
  return status === 401 ? "; log in again" : "";
}

async function bodyOf(response: IncomingMessage): Promise<unknown> {
  try {
    const text = Buffer.concat((await response.toArray()) as Buffer[]).toString("utf8");
    return parse(text);
  } catch (cause) {
    throw new CommandFailure(EXIT.unreachable, "The API server broke its answer off", { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
