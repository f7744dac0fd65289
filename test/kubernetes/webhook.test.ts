/** The validating webhook, asked by a real API server, with the rights of the controller's role. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { installDefinitions, installRoles, makeNamespace, putObject } from "../../lab/kubernetes/objects.ts";
import { runWebhook } from "../../src/controller/admission/webhook.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import { waitFor } from "../../lab/wait.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const CONTROLLER = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-controller`;
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

let server: TestApiServer;
const stop = new AbortController();
const ended: Promise<void>[] = [];

before(async () => {
  server = await startApiServer([CONTROLLER]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  const port = await freePort();
  await register(port);
  // Two replicas make their certificates at the same moment; one of them is asked.
  for (const listen of [port, await freePort()]) ended.push(runReplica(listen));
  await waitFor(
    "the webhook to be trusted and to serve",
    async () =>
      (await create("IPAddressPool", "probe", { addresses: ["203.0.113.0/24"] }, { dryRun: "All" })).status === 201
        ? true
        : undefined,
    { milliseconds: 30_000 },
  );
});
after(async () => {
  stop.abort();
  await Promise.all(ended);
  await server.stop();
});

async function runReplica(port: number): Promise<void> {
  const connection = openConnection(server.as(CONTROLLER));
  const source = openKubernetesSource({
    connection,
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-controller",
    instance: String(port),
  });
  const listen = { host: "127.0.0.1", port };
  const log = { info: () => {} };
  const onProblem = (message: string | undefined): void => void process.stdout.write(`# ${message ?? ""}\n`);
  const parts = { connection, namespace: SYSTEM_NAMESPACE, source, log, onProblem };
  await runWebhook({ listen, names: ["127.0.0.1"], ...parts }, stop.signal);
  await source.close();
}

/** As it is shipped, but for where it is: the API server is not in the cluster's network. */
async function register(port: number): Promise<void> {
  const documents = parseAllDocuments(
    readFileSync(join(import.meta.dirname, "../../deploy/kustomize/webhook.yaml"), "utf8"),
  );
  assert.ok(Array.isArray(documents));
  const found = documents
    .map((document) => document.toJS() as { readonly kind: string })
    .find(({ kind }) => kind === "ValidatingWebhookConfiguration");
  assert.ok(found !== undefined);
  const shipped = found as unknown as { readonly webhooks: readonly object[] };
  const clientConfig = { url: `https://127.0.0.1:${port}/validate` };
  const body = { ...found, webhooks: shipped.webhooks.map((webhook) => ({ ...webhook, clientConfig })) };
  const { status } = await server.admin.request({ method: "POST", path: CONFIGURATIONS, body });
  assert.equal(status, 201);
}

interface Answer {
  readonly status: number;
  readonly message: string;
}

async function create(
  kind: string,
  name: string,
  spec: unknown,
  query: Readonly<Record<string, string>> = {},
  namespace = SYSTEM_NAMESPACE,
): Promise<Answer> {
  const version = kind === "BGPPeer" ? "v1beta2" : "v1beta1";
  const apiVersion = `metallb.io/${version}`;
  const path = pathOf(kind, namespace);
  return answerOf(
    await server.admin.request({ method: "POST", path, query, body: { apiVersion, kind, metadata: { name }, spec } }),
  );
}

function pathOf(kind: string, namespace = SYSTEM_NAMESPACE): string {
  const plural = kind === "Community" ? "communities" : `${kind.toLowerCase()}s`;
  return `/apis/metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}/namespaces/${namespace}/${plural}`;
}

function answerOf({ status, body }: { readonly status: number; readonly body: unknown }): Answer {
  return { status, message: (body as { readonly message?: string }).message ?? "" };
}

/** Made, and known to the webhook: it asks the copy that the controller has. */
async function made(kind: string, name: string, spec: unknown): Promise<void> {
  const { status, message } = await create(kind, name, spec);
  assert.equal(status, 201, message);
}

async function refused(kind: string, name: string, spec: unknown, words: RegExp): Promise<void> {
  // The webhook learns of an object a moment after the API server: an answer from before is no verdict.
  const answer = await waitFor(`${kind} ${name} to be refused`, async () => {
    const found = await create(kind, name, spec, { dryRun: "All" });
    return found.status === 201 ? undefined : found;
  });
  assert.equal(answer.status, 422, answer.message);
  assert.match(answer.message, words);
}

describe("the webhook refuses", () => {
  it("a pool that overlaps another, naming both", async () => {
    await made("IPAddressPool", "first", { addresses: ["192.0.2.0/24"] });
    await refused("IPAddressPool", "second", { addresses: ["192.0.2.128/25"] }, /overlaps.*192\.0\.2\.0\/24.*first/);
  });

  it("an aggregation length that a pool contradicts", async () => {
    await refused(
      "BGPAdvertisement",
      "wide",
      { aggregationLength: 20, ipAddressPools: ["first"] },
      /invalid aggregation length 20/,
    );
  });

  it("a smaller pool under an advertisement that then is wrong", async () => {
    await made("BGPAdvertisement", "exact", { aggregationLength: 26, ipAddressPools: ["shrinks"] });
    await made("IPAddressPool", "shrinks", { addresses: ["198.51.100.0/24"] });
    const path = `${pathOf("IPAddressPool")}/shrinks`;
    const body = { spec: { addresses: ["198.51.100.0/28"] } };
    const answer = await waitFor("the change to be refused", async () => {
      const found = answerOf(
        await server.admin.request({
          method: "PATCH",
          path,
          query: { dryRun: "All" },
          contentType: "application/merge-patch+json",
          body,
        }),
      );
      return found.status === 200 ? undefined : found;
    });
    assert.match(answer.message, /BGPAdvertisement metallb-system\/exact.*invalid aggregation length 26/);
  });

  it("a peer whose address is none", async () => {
    await refused("BGPPeer", "x", { myASN: 1, peerASN: 2, peerAddress: "10.0.0" }, /invalid BGPPeer address/);
  });

  it("two passwords, but not a Secret that is yet to come", async () => {
    const peer = { myASN: 1, peerASN: 2, peerAddress: "10.0.0.1" };
    await refused(
      "BGPPeer",
      "x",
      { ...peer, password: "a", passwordSecret: { name: "b" } },
      /can not have both password and secret ref/,
    );
    const { status } = await create(
      "BGPPeer",
      "x",
      { ...peer, passwordSecret: { name: "b" }, bfdProfile: "to-come" },
      { dryRun: "All" },
    );
    assert.equal(status, 201);
  });

  it("communities that are none, but not an alias that is yet to come", async () => {
    await refused(
      "Community",
      "x",
      { communities: [{ name: "a", value: "99999:1" }] },
      /invalid community value: invalid section/,
    );
    await refused(
      "Community",
      "x",
      { communities: [{ name: "a", value: "big:1:2:3" }] },
      /expected community to be of format large/,
    );
    assert.equal((await create("BGPAdvertisement", "x", { communities: ["to-come"] }, { dryRun: "All" })).status, 201);
  });

  const misplaced: Readonly<Record<string, object>> = {
    IPAddressPool: { addresses: ["203.0.113.0/24"] },
    L2Advertisement: {},
    BGPAdvertisement: {},
    BGPPeer: { myASN: 1, peerASN: 2, peerAddress: "10.0.0.1" },
    BFDProfile: {},
    Community: { communities: [] },
  };
  for (const [kind, spec] of Object.entries(misplaced))
    it(`an object where nobody would read it: ${kind}`, async () => {
      const { status, message } = await create(kind, "x", spec, {}, "default");
      assert.equal(status, 422);
      assert.match(message, /resource must be created in metallb-system namespace/);
    });

  it("to delete a BFD profile that a peer uses", async () => {
    await made("BFDProfile", "fast", {});
    await made("BGPPeer", "user", { myASN: 1, peerASN: 2, peerAddress: "10.0.0.7", bfdProfile: "fast" });
    const path = `${pathOf("BFDProfile")}/fast`;
    const answer = await waitFor("the deletion to be refused", async () => {
      const found = answerOf(await server.admin.request({ method: "DELETE", path, query: { dryRun: "All" } }));
      return found.status === 200 ? undefined : found;
    });
    assert.match(answer.message, /failed to delete BFDProfile fast, used by BGPPeer user/);
    await server.admin.request({ method: "DELETE", path: `${pathOf("BGPPeer")}/user` });
    assert.equal((await server.admin.request({ method: "DELETE", path })).status, 200);
  });
});

describe("the webhook lets", () => {
  it("an object that is wrong already be labelled and deleted", async () => {
    // Written before there was a webhook.
    const path = `${CONFIGURATIONS}/fairlead-webhook-configuration`;
    const kept = await server.admin.request({ method: "GET", path });
    await server.admin.request({ method: "DELETE", path });
    await putObject(server.admin, {
      apiVersion: "metallb.io/v1beta1",
      kind: "IPAddressPool",
      metadata: { name: "wrong", namespace: SYSTEM_NAMESPACE },
      ...{ spec: { addresses: ["nonsense"] } },
    });
    const { metadata: _, ...rest } = kept.body as Readonly<Record<string, unknown>>;
    await server.admin.request({
      method: "POST",
      path: CONFIGURATIONS,
      body: { ...rest, metadata: { name: "fairlead-webhook-configuration" } },
    });
    const pool = `${pathOf("IPAddressPool")}/wrong`;
    const annotate = { metadata: { annotations: { a: "b" } } };
    const contentType = "application/merge-patch+json";
    assert.equal(
      (await server.admin.request({ method: "PATCH", path: pool, contentType, body: annotate })).status,
      200,
    );
    assert.equal((await server.admin.request({ method: "DELETE", path: pool })).status, 200);
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
