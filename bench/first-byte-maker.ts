/**
 * The owner of the Services of `first-byte.ts`, on the host of the API server: for every name on stdin, makes a Service whose endpoints are
 * those of another one, and says when it asked for it, which address it was given and when that was known. The Service is removed with the next.
 */
import { createInterface } from "node:readline";
import { openConnection } from "../src/source/kubernetes/connection.ts";
import { kubeconfigServer } from "../src/source/kubernetes/credentials.ts";

export interface Made {
  /** Milliseconds since 1970. */
  readonly askedAt: number;
  readonly knownAt: number;
  readonly address: string;
}

const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const SERVICES = "/api/v1/namespaces/default/services";
const SERVICE_NAME = "kubernetes.io/service-name";

const [kubeconfig = "", like = ""] = process.argv.slice(2);
const connection = openConnection(await kubeconfigServer(kubeconfig));
const template = await findSlice();
const now = (): number => performance.timeOrigin + performance.now();
let awaited: { readonly name: string; readonly resolve: (made: Pick<Made, "address" | "knownAt">) => void } | undefined;
const ending = new AbortController();
await follow();
let before: string | undefined;
for await (const name of createInterface(process.stdin)) {
  if (before !== undefined) await connection.request({ method: "DELETE", path: `${SERVICES}/${before}` });
  before = name;
  const labels = { [SERVICE_NAME]: name };
  const { addressType, ports, endpoints } = template;
  await expectMade(SLICES, { metadata: { name, labels }, addressType, ports, endpoints });
  process.stdout.write(`${JSON.stringify(await makeService(name))}\n`);
}
ending.abort();
connection.close();

interface Slice {
  readonly addressType: string;
  readonly ports: unknown;
  readonly endpoints: unknown;
}

async function findSlice(): Promise<Slice> {
  const query = { labelSelector: `${SERVICE_NAME}=${like}` };
  const { body } = await connection.request({ method: "GET", path: SLICES, query });
  const found = (body as { readonly items: readonly Slice[] }).items.find(({ addressType }) => addressType === "IPv4");
  if (found === undefined) throw new Error(`Service ${like} has no EndpointSlice of IPv4`);
  return found;
}

async function makeService(name: string): Promise<Made> {
  const known = Promise.withResolvers<Pick<Made, "address" | "knownAt">>();
  awaited = { name, resolve: known.resolve };
  const askedAt = now();
  // Without a selector: its endpoints are ours to say. The port's name is that of the EndpointSlice.
  const ports = (template.ports as readonly { readonly name?: string }[]).map((port) => ({
    name: port.name,
    port: 80,
  }));
  await expectMade(SERVICES, { metadata: { name }, spec: { type: "LoadBalancer", ipFamilies: ["IPv4"], ports } });
  return { askedAt, ...(await known.promise) };
}

/** Follows all Services from now on. */
async function follow(): Promise<void> {
  const { body } = await connection.request({ method: "GET", path: SERVICES });
  const { resourceVersion } = (body as { readonly metadata: { readonly resourceVersion: string } }).metadata;
  const opened = Promise.withResolvers<void>();
  const onLine = (line: string): void => {
    const { object } = JSON.parse(line) as { readonly object: ServiceObject };
    const address = object.status?.loadBalancer?.ingress?.[0]?.ip;
    if (address === undefined || awaited === undefined || object.metadata.name !== awaited.name) return;
    awaited.resolve({ address, knownAt: now() });
  };
  const query = { watch: "true", resourceVersion };
  const { signal } = ending;
  void connection.watch({ method: "GET", path: SERVICES, query }, { onOpen: opened.resolve, onLine, signal });
  await opened.promise;
}

interface ServiceObject {
  readonly metadata: { readonly name?: string };
  readonly status?: ServiceStatus;
}

interface ServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] };
}

async function expectMade(path: string, body: object): Promise<void> {
  const response = await connection.request({ method: "POST", path, body });
  if (response.status !== 201) throw new Error(`Cannot make it at ${path}: ${JSON.stringify(response.body)}`);
}
