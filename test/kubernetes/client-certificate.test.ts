/** A kubeconfig with a client certificate, and what becomes of a program when that ends, and when the file is written anew. */
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { BasicConstraintsExtension, X509CertificateGenerator, type X509Certificate } from "@peculiar/x509";
import { stringify } from "yaml";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  putObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { formatProblem } from "../../src/net/problem.ts";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { kubeconfigServer } from "../../src/source/kubernetes/credentials.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Snapshot, Source } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** Long enough to read everything by it. */
const SHORT_SECONDS = 15;
const PATIENCE_MS = 40_000;

let folder: string;
let server: TestApiServer;
let authority: { readonly certificate: X509Certificate; readonly keys: webcrypto.CryptoKeyPair };

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-client-certificate-"));
  authority = await makeAuthority();
  server = await startApiServer([], { clientAuthority: authority.certificate.toString("pem") });
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function period(seconds: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + seconds * 1000) };
}

async function makeAuthority(): Promise<typeof authority> {
  const keys = await makeKeys();
  const extensions = [new BasicConstraintsExtension(true, 0, true)];
  const described = { ...period(3600), serialNumber: "01", name: "CN=clients", extensions };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...described,
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { certificate, keys };
}

/** A kubeconfig of the agent, by a certificate that is good for so long. */
async function kubeconfigText(seconds: number): Promise<string> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.create({
    ...period(seconds),
    serialNumber: "02",
    subject: `CN=${AGENT}`,
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: ALGORITHM,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const pem = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replaceAll(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
  const apiServer = server.as("admin");
  const { ca = "" } = await apiServer.credentials();
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  const user = { "client-certificate-data": encode(certificate.toString("pem")), "client-key-data": encode(pem) };
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: apiServer.url.href, "certificate-authority-data": encode(ca) } }],
    users: [{ name: "test", user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}

const texts = ({ problems }: Snapshot): string => problems.map(formatProblem).join("\n");

async function openSource(path: string): Promise<Source> {
  const connection = openConnection(await kubeconfigServer(path));
  return openKubernetesSource({ connection, namespace: SYSTEM_NAMESPACE, component: "fairlead-agent", instance: "w" });
}

async function makeService(name: string): Promise<string> {
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }] };
  const metadata = { name, namespace: "default" };
  await putObject(server.admin, { apiVersion: "v1", kind: "Service", metadata, spec } as Manifest);
  return `default/${name}`;
}

describe("a client certificate", () => {
  it("that ends is named, what was read stays, and the file is read anew: also where it was half written before", async () => {
    const file = join(folder, "agent.conf");
    writeFileSync(file, await kubeconfigText(SHORT_SECONDS));
    const endsAt = performance.now() + SHORT_SECONDS * 1000;
    await using opened = new AsyncDisposableStack();
    const source = await openSource(file);
    opened.defer(() => source.close());
    const before = await makeService("before");
    await until(source, ({ complete, services }) => complete && services.has(before), "everything");
    // Watches that are open go on: whoever asks anew, asks as somebody.
    await new Promise((resolve) => setTimeout(resolve, endsAt + 1000 - performance.now()));
    await server.stopServer();
    await server.startServer();
    const words =
      /does not know us \(401\).*is the token or certificate still valid.*what was last read stays in force/;
    const said = await until(source, (all) => words.test(texts(all)), String(words), PATIENCE_MS);
    assert.ok(said.services.has(before));
    const fresh = await kubeconfigText(3600);
    writeFileSync(file, fresh.slice(0, fresh.length / 2));
    const unreadable = /Cannot read the kubeconfig .*agent\.conf/;
    await until(source, (all) => unreadable.test(texts(all)), String(unreadable), PATIENCE_MS);
    writeFileSync(file, fresh);
    const after = await makeService("after");
    await until(source, ({ services }) => services.has(after), "what is made then", PATIENCE_MS);
    await until(source, ({ problems }) => problems.length === 0, "the end of all problems", PATIENCE_MS);
  });

  it("that is still good lasts while the file is half written", async () => {
    const file = join(folder, "steady.conf");
    const text = await kubeconfigText(3600);
    writeFileSync(file, text);
    const steady = await kubeconfigServer(file);
    const first = await steady.credentials();
    for (const spoilt of [text.slice(0, text.length / 2), "", "apiVersion: v1\nkind: Config\n"]) {
      writeFileSync(file, spoilt);
      assert.deepEqual(await steady.credentials(), first, JSON.stringify(spoilt.slice(0, 40)));
    }
    const next = await kubeconfigText(3600);
    writeFileSync(file, next);
    assert.notEqual((await steady.credentials()).cert, first.cert);
  });
});
