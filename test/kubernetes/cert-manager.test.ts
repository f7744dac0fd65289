/**
 * The webhook with certificates of cert-manager: its own controllers and its CA injector work on the chart's objects in a real API server, which
 * asks the webhook at the chart's Service. That nothing lies between is due to Services at loopback addresses; the kubelet is the test, which
 * mounts the Secret when it is due.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "node:tls";
import { parse, parseAllDocuments, stringify } from "yaml";
import { requireDefinitions, requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { writeKubeconfig } from "../../lab/kubernetes/kubeconfig.ts";
import { installDefinitions, makeNamespace } from "../../lab/kubernetes/objects.ts";
import { waitFor } from "../../lab/wait.ts";
import { mountSecret } from "../../src/controller/admission/mounted-secret.fixture.ts";
import { SYSTEM_NAMESPACE as NAMESPACE } from "../../src/source/contract.fixture.ts";
import { renderChart } from "../../tools/generate-kustomize.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import { runReplica, type Replica } from "./replica.ts";

const CONTROLLER = `system:serviceaccount:${NAMESPACE}:fairlead-controller`;
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const CONFIGURATION =
  "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/fairlead-webhook-configuration";
const POOLS = `/apis/metallb.io/v1beta1/namespaces/${NAMESPACE}/ipaddresspools`;
const SERVICE = "fairlead-webhook-service";

interface Item {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}
interface PodSpec {
  readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

/** Whether the injector adds to what the API server trusts, or replaces it as before cert-manager 1.19. */
const INJECTORS = { adds: "CAInjectorMerging=true", replaces: "CAInjectorMerging=false" } as const;

let folder: string;
let mounted: string;
let server: TestApiServer;
let certManager: ChildProcess;
let controller: Replica;
let chart: readonly Item[];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-cert-manager-"));
  mounted = join(folder, "webhook");
  mkdirSync(mounted);
  server = await startApiServer([CONTROLLER], { more: ["--service-cluster-ip-range=127.96.0.0/24"] });
  await installDefinitions(server.admin);
  await installDefinitionsOfOthers();
  await makeNamespace(server.admin, NAMESPACE);
  const kubeconfig = join(folder, "admin.conf");
  await writeKubeconfig(server.as("admin"), kubeconfig);
  certManager = startCertManager(INJECTORS.adds);
  chart = itemsOfChart();
  const input = chart.map((item) => stringify(item)).join("---\n");
  execFileSync(requireProgram("kubectl"), ["--kubeconfig", kubeconfig, "apply", "--server-side", "-f", "-"], { input });
  mountSecret(mounted, await waitFor("cert-manager to issue the webhook's certificate", secretOfPods, PATIENT));
  const webhook = { listen: { host: await addressOfWebhook(), port: 443 }, names: [], certificateFolder: mounted };
  controller = await runReplica(folder, "one", server.as(CONTROLLER), { webhook });
});
after(async () => {
  await controller?.stop();
  certManager?.kill("SIGKILL");
  await server?.stop();
  rmSync(folder, { recursive: true });
});

const PATIENT = { milliseconds: 60_000, explain: () => lastWords() };

function lastWords(): string {
  return `cert-manager's last words:\n${readFileSync(join(folder, "cert-manager.log"), "utf8").slice(-2000)}`;
}

function startCertManager(features: string): ChildProcess {
  const log = openSync(join(folder, "cert-manager.log"), "a");
  const child = spawn(requireProgram("cert-manager"), [join(folder, "admin.conf"), features], {
    stdio: ["ignore", log, log],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  return child;
}

async function installDefinitionsOfOthers(): Promise<void> {
  const files = readdirSync(requireDefinitions()).filter((name) => name.startsWith("cert-manager.io_"));
  for (const file of files) {
    const body = parse(readFileSync(join(requireDefinitions(), file), "utf8")) as Item;
    assert.equal((await server.admin.request({ method: "POST", path: CRDS, body })).status, 201, file);
    // cert-manager gives up where one of its kinds is not served.
    await waitFor(`${body.metadata.name} to be served`, async () => {
      const path = `/apis/cert-manager.io/v1/${body.metadata.name.split(".")[0]}`;
      return (await server.admin.request({ method: "GET", path })).status === 200 ? true : undefined;
    });
  }
}

/** As Helm installs them: without what it runs at another time. */
function itemsOfChart(): readonly Item[] {
  const documents = parseAllDocuments(
    renderChart(["--set", "webhook.certManager.enabled=true", "--set", "crds.enabled=false"]),
  );
  assert.ok(Array.isArray(documents));
  return documents
    .map((document) => document.toJS() as Item | null)
    .filter((item) => item !== null)
    .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined);
}

/** The contents of what the controllers' pods mount, when it is there. */
async function secretOfPods(): Promise<Readonly<Record<string, string>> | undefined> {
  const deployment = chart.find(({ kind }) => kind === "Deployment");
  const name = deployment?.spec?.template?.spec.volumes?.find((volume) => volume.name === "webhook")?.secret
    ?.secretName;
  assert.ok(name !== undefined, "the controllers' pods mount no Secret");
  const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`;
  const { status, body } = await server.admin.request({ method: "GET", path });
  if (status !== 200) return undefined;
  const { data } = body as { readonly data: Readonly<Record<string, string>> };
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}

async function addressOfWebhook(): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/services/${SERVICE}`;
  const { body } = await server.admin.request({ method: "GET", path });
  return (body as { readonly spec: { readonly clusterIP: string } }).spec.clusterIP;
}

/** Whom the API server trusts; undefined: nobody yet. */
async function trusted(): Promise<string | undefined> {
  const { body } = await server.admin.request({ method: "GET", path: CONFIGURATION });
  const { webhooks } = body as {
    readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
  };
  const bundle = webhooks[0]?.clientConfig.caBundle;
  return bundle === undefined ? undefined : Buffer.from(bundle, "base64").toString("utf8");
}

/** What a new connection of the API server would meet. */
async function handshake(): Promise<{ readonly authorized: boolean; readonly certificate: string }> {
  const ca = (await trusted()) ?? assert.fail("nobody is trusted");
  const servername = `${SERVICE}.${NAMESPACE}.svc`;
  const socket = connect({ host: await addressOfWebhook(), port: 443, ca, servername, rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const certificate = socket.getPeerX509Certificate()?.toString() ?? "";
  socket.destroy();
  return { authorized: socket.authorized, certificate };
}

async function createPool(
  name: string,
  addresses: readonly string[],
  query: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly message: string }> {
  const body = { apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata: { name }, spec: { addresses } };
  const response = await server.admin.request({ method: "POST", path: POOLS, query, body });
  return { status: response.status, message: (response.body as { readonly message?: string }).message ?? "" };
}

describe("the webhook, with the certificates of cert-manager", () => {
  it("is trusted by the API server: with the authority that the injector has put there", async () => {
    const bundle = await waitFor("the authority to be injected", trusted, PATIENT);
    assert.equal(bundle, (await secretOfPods())?.["ca.crt"]);
    await waitFor("the webhook to let a pool through", async () => {
      const { status } = await createPool("probe", ["203.0.113.0/24"], { dryRun: "All" });
      return status === 201 ? true : undefined;
    });
    assert.equal((await handshake()).authorized, true);
  });

  it("refuses what is wrong", async () => {
    assert.equal((await createPool("first", ["192.0.2.0/24"])).status, 201);
    const answer = await waitFor("the second pool to be refused", async () => {
      const found = await createPool("second", ["192.0.2.128/25"], { dryRun: "All" });
      return found.status === 201 ? undefined : found;
    });
    assert.equal(answer.status, 422, answer.message);
    assert.match(answer.message, /overlaps.*first/);
  });

  for (const [manner, features] of Object.entries(INJECTORS))
    it(`serves a renewed certificate without a restart, and is trusted until and after the kubelet brings it, where the injector ${manner}`, async () => {
      certManager.kill("SIGKILL");
      certManager = startCertManager(features);
      const before = (await secretOfPods()) ?? assert.fail();
      await renew("fairlead-webhook");
      const next = await waitFor(
        "the certificate to be renewed",
        async () => {
          const found = await secretOfPods();
          return found?.["tls.crt"] === before["tls.crt"] ? undefined : found;
        },
        PATIENT,
      );
      const authority = next["ca.crt"]?.trim() ?? "";
      await waitFor(
        "the injector",
        async () => ((await trusted())?.includes(authority) === true ? true : undefined),
        PATIENT,
      );
      const old = await handshake();
      assert.deepEqual([old.certificate, old.authorized], [before["tls.crt"], true]);
      assert.equal((await createPool("probe", ["203.0.113.0/24"], { dryRun: "All" })).status, 201);
      mountSecret(mounted, next);
      const renewed = await waitFor("the new certificate to be served", async () => {
        const found = await handshake();
        return found.certificate === before["tls.crt"] ? undefined : found;
      });
      assert.deepEqual([renewed.certificate, renewed.authorized], [next["tls.crt"], true]);
      assert.equal((await createPool("probe", ["203.0.113.0/24"], { dryRun: "All" })).status, 201);
    });
});

/** As `cmctl renew` does it. */
async function renew(name: string): Promise<void> {
  const path = `/apis/cert-manager.io/v1/namespaces/${NAMESPACE}/certificates/${name}`;
  const { body } = await server.admin.request({ method: "GET", path });
  const { status } = body as { readonly status: { readonly conditions: readonly object[] } };
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, "");
  const issuing = { type: "Issuing", status: "True", reason: "ManuallyTriggered", message: "", lastTransitionTime };
  const answer = await server.admin.request({
    method: "PATCH",
    path: `${path}/status`,
    contentType: "application/merge-patch+json",
    body: { status: { conditions: [...status.conditions, issuing] } },
  });
  assert.equal(answer.status, 200);
}
