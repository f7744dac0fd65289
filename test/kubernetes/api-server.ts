/**
 * A real API server with its etcd, alone, on loopback: no kubelets, no controllers. For what is about the API and nothing else.
 * Tokens stand for users, so that tests run with exactly the roles that we ship.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
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

export interface TestApiServer {
  /** As cluster-admin. */
  readonly admin: Connection;
  /** The server as one of the users sees it. */
  as(user: string): ApiServer;
  /** Kills the API server; etcd goes on. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  stop(): Promise<void>;
}

/** `users`: names such as `system:serviceaccount:metallb-system:fairlead-agent`; there is `admin` besides. */
export async function startApiServer(users: readonly string[]): Promise<TestApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "fl-apiserver-"));
  const tokens = writeSecrets(folder, users);
  const ports: Ports = { etcd: await freePort(), etcdPeer: await freePort(), api: await freePort() };
  const etcd = run(folder, etcdCommand(folder, ports));
  let server: ChildProcess | undefined;
  const as = (user: string): ApiServer => apiServerAt(folder, ADDRESS, ports.api, tokens.get(user) ?? "");
  const startServer = async (): Promise<void> => {
    const started = run(folder, apiServerCommand(folder, ADDRESS, ports));
    server = started;
    await waitUntilReady(as("admin"), () => started.exitCode !== null).catch((cause: unknown) => {
      const log = readFileSync(join(folder, "kube-apiserver.log"), "utf8");
      throw new Error(`The API server's last words:\n${log.slice(-2000)}`, { cause });
    });
  };
  await startServer();
  const admin = openConnection(as("admin"));
  return {
    admin,
    as,
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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("A listening socket has no port");
  return address.port;
}
