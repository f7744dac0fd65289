/**
 * A real API server with its etcd, alone, on loopback: no kubelets, no controllers. For what is about the API and nothing else.
 * Tokens stand for users, so that tests run with exactly the roles that we ship.
 */
import { createSign } from "node:crypto";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  ALONE,
  apiServerAt,
  apiServerCommand,
  etcdCommand,
  writeSecrets,
  type Ports,
} from "../../lab/kubernetes/control-plane.ts";
import { waitUntilReady } from "../../lab/kubernetes/readiness.ts";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";

const ADDRESS = "127.0.0.1";
const ISSUER = "https://kubernetes.default.svc";

export interface TestApiServer {
  /** As cluster-admin. */
  readonly admin: Connection;
  /** The server as one of the users sees it. */
  as(user: string): ApiServer;
  /** The same, with a token of a service account that the API server takes for so long. */
  asServiceAccount(name: string, namespace: string, seconds: number): Promise<ApiServer>;
  /** A token of a service account for this audience, which the API server takes until then, and for a minute more. */
  ticket(
    account: { readonly name: string; readonly namespace: string },
    audience: string,
    seconds: number,
  ): Promise<string>;
  /** Kills the API server; etcd goes on. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  stop(): Promise<void>;
}

interface TestApiServerOptions {
  /** PEM text, whose certificates are users as well. */
  readonly clientAuthority?: string;
  /** More arguments of the API server. */
  readonly more?: readonly string[];
}

/** `users`: names such as `system:serviceaccount:metallb-system:fairlead-agent`; there is `admin` besides. */
export async function startApiServer(
  users: readonly string[],
  { clientAuthority, more: extra = [] }: TestApiServerOptions = {},
): Promise<TestApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "fl-apiserver-"));
  const authorityFile = join(folder, "clients.crt");
  if (clientAuthority !== undefined) writeFileSync(authorityFile, clientAuthority);
  const forClients = clientAuthority === undefined ? [] : [`--client-ca-file=${authorityFile}`];
  const more = [...ALONE, ...forClients, ...extra];
  const tokens = writeSecrets(folder, users);
  const ports: Ports = { etcd: await freePort(), etcdPeer: await freePort(), api: await freePort() };
  const etcd = run(folder, etcdCommand(folder, ports));
  let server: ChildProcess | undefined;
  const as = (user: string): ApiServer => apiServerAt(folder, ADDRESS, ports.api, tokens.get(user) ?? "");
  const startServer = async (): Promise<void> => {
    const started = run(folder, apiServerCommand(folder, ADDRESS, ports, more));
    server = started;
    await waitUntilReady(as("admin"), () => started.exitCode !== null).catch((cause: unknown) => {
      const log = readFileSync(join(folder, "kube-apiserver.log"), "utf8");
      throw new Error(`The API server's last words:\n${log.slice(-2000)}`, { cause });
    });
  };
  await startServer();
  const admin = openConnection(as("admin"));
  const token = async (
    account: Omit<Account, "uid">,
    good: { readonly audience: string; readonly seconds: number },
  ): Promise<string> => {
    const path = `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.name}`;
    const { body } = await admin.request({ method: "GET", path });
    const { uid } = (body as { readonly metadata: { readonly uid: string } }).metadata;
    return signToken(readFileSync(join(folder, "service-accounts.pem"), "utf8"), { ...account, uid }, good);
  };
  return {
    admin,
    as,
    asServiceAccount: async (name, namespace, seconds) => {
      const endsIn = { seconds: seconds - LEEWAY_SECONDS, audience: ISSUER };
      return apiServerAt(folder, ADDRESS, ports.api, await token({ name, namespace }, endsIn));
    },
    ticket: (account, audience, seconds) => token(account, { audience, seconds }),
    stopServer: () => end(server),
    startServer,
    stop: async () => {
      admin.close();
      await end(server);
      await end(etcd);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Past its end a token is taken for a minute more, in case of clocks that differ; TokenRequest makes none shorter than ten. */
const LEEWAY_SECONDS = 60;

interface Account {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** As the API server makes them: RFC 7519, RS256. */
function signToken(
  key: string,
  { name, namespace, uid }: Account,
  { audience, seconds }: { readonly audience: string; readonly seconds: number },
): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: ISSUER,
    aud: [audience],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: now - 3600,
    nbf: now - 3600,
    exp: now + seconds,
    "kubernetes.io": { namespace, serviceaccount: { name, uid } },
  };
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${encode({ alg: "RS256", typ: "JWT" })}.${encode(claims)}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key, "base64url")}`;
}

function run(folder: string, [program = "", ...args]: readonly string[]): ChildProcess {
  const log = openSync(join(folder, `${basename(program)}.log`), "a");
  const child = spawn(program, args, { stdio: ["ignore", log, log] });
  // Not even a test runner that fails leaves it behind.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  child.once("error", () => {});
  return child;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("A listening socket has no port");
  return address.port;
}
