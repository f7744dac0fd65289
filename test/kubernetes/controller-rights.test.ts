/** The controller as a program, with its own roles, while they are taken away and given back: it says what it may not, and lives on. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { writeKubeconfig } from "../../lab/kubernetes/kubeconfig.ts";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  pathOf,
  putObject,
  removeObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { waitFor } from "../../lab/wait.ts";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Source } from "../../src/source/source.ts";
import { freePort, startApiServer, type TestApiServer } from "./api-server.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import { changeRole, without } from "./roles.ts";

const FAIRLEAD = join(import.meta.dirname, "../../bin/fairlead");
const CONTROLLER = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-controller`;
const CLUSTER_ROLE = "clusterroles/fairlead-controller";
const ROLE = `namespaces/${SYSTEM_NAMESPACE}/roles/fairlead-controller`;
const PATIENCE = { milliseconds: 40_000 };

let folder: string;
let server: TestApiServer;
let proxy: Proxy;
let observer: Source;
let program: Program;
let count = 0;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-controller-rights-"));
  server = await startApiServer([CONTROLLER]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  const metadata = { name: "demo", namespace: SYSTEM_NAMESPACE };
  const spec = { addresses: ["192.0.2.0/28"] };
  await putObject(server.admin, {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata,
    spec,
  } as Manifest);
  observer = openKubernetesSource({
    connection: openConnection(server.as("admin")),
    namespace: SYSTEM_NAMESPACE,
    component: "observer",
    instance: "test",
  });
  proxy = await startProxy(server.as(CONTROLLER));
  program = await startProgram();
});
after(async () => {
  await program.end();
  await observer.close();
  await proxy.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

interface Program {
  readonly child: ChildProcess;
  readonly metric: (name: string) => Promise<number>;
  /** Its log so far. */
  readonly said: () => string;
  readonly end: () => Promise<void>;
}

/** The child is the program itself: `bin/fairlead` execs. */
async function startProgram(): Promise<Program> {
  const kubeconfig = join(folder, "controller.conf");
  await writeKubeconfig(proxy.server, kubeconfig);
  const listen = `127.0.0.1:${await freePort()}`;
  const words = ["--kubeconfig", kubeconfig, "--namespace", SYSTEM_NAMESPACE, "--identity", "only"];
  const child = spawn(FAIRLEAD, ["controller", ...words, "--metrics-listen", listen], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (log += text));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    child,
    said: () => log,
    metric: async (name) => {
      const text = await (await fetch(`http://${listen}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    },
    end: () => {
      child.kill("SIGTERM");
      return exited;
    },
  };
}

async function makeService(): Promise<string> {
  const name = `seen-${(count += 1)}`;
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }] };
  const metadata = { name, namespace: "default" };
  await putObject(server.admin, { apiVersion: "v1", kind: "Service", metadata, spec } as Manifest);
  return `default/${name}`;
}

const addressOf = (key: string): string | undefined =>
  observer.snapshot().services.get(key)?.status.loadBalancer.ingress[0]?.ip;
const addressed = async (key: string): Promise<string> => {
  await until(observer, () => addressOf(key) !== undefined, `an address for ${key}`, PATIENCE.milliseconds);
  return addressOf(key) ?? "";
};

interface StateObject {
  readonly status?: {
    readonly errorSummary?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

/** Everything that the ConfigurationState of the controller complains of. */
async function complaints(): Promise<string> {
  const metadata = { name: "controller", namespace: SYSTEM_NAMESPACE };
  const path = `/apis/metallb.io/v1beta1/namespaces/${SYSTEM_NAMESPACE}/configurationstates/${metadata.name}`;
  const { body } = await server.admin.request({ method: "GET", path });
  const { errorSummary = "", conditions = [] } = (body as StateObject).status ?? {};
  const hindered = conditions.filter(({ type }) => type === "fairlead.io/Hindered").map(({ message }) => message);
  return [errorSummary, ...hindered].filter((text) => text !== "").join("\n");
}

describe("a right that is taken away from a running controller", () => {
  const rows: readonly { readonly right: string; readonly take: () => Promise<void>; readonly words: RegExp }[] = [
    {
      right: "to list Services",
      take: () => changeRole(server.admin, CLUSTER_ROLE, without("services")),
      words: /Kubernetes: services: services is forbidden: .*\(403\); give this program the role/,
    },
    {
      right: "to write the status of Services",
      take: () => changeRole(server.admin, CLUSTER_ROLE, without("services/status")),
      words: /Cannot write the status of Service default\/.*services\/status.*\(403\); give this program the role/,
    },
    {
      right: "to write the Lease",
      take: () => changeRole(server.admin, ROLE, without("leases")),
      words: /Cannot have the Lease .*fairlead-controller: the API server answers 403: leases\.coordination/,
    },
    {
      right: "to tell events",
      take: () => changeRole(server.admin, CLUSTER_ROLE, without("events")),
      words: /Cannot write event IPAllocated about Service .*events.*\(403\); give this program the role/,
    },
  ];
  for (const { right, take, words } of rows)
    it(`${right}: named in log, metric and status; what was given stays, and everything goes on when it is back`, async () => {
      const before = await makeService();
      const address = await addressed(before);
      await waitFor(
        "no problem",
        async () => (await program.metric("fairlead_controller_problems")) === 0 || undefined,
        PATIENCE,
      );
      const logged = program.said().length;
      await take();
      // Watches that are open go on; who connects anew is asked for its rights.
      proxy.cut();
      proxy.mend();
      const waiting = await makeService();
      await waitFor(
        String(words),
        async () => {
          const found = words.test(program.said().slice(logged)) && words.test(await complaints());
          return (found && (await program.metric("fairlead_controller_problems")) > 0) || undefined;
        },
        { ...PATIENCE, every: 500, explain: () => program.said().slice(logged) },
      );
      assert.equal(addressOf(before), address);
      await installRoles(server.admin);
      await addressed(waiting);
      assert.equal(addressOf(before), address);
      await waitFor(
        "the end of all problems",
        async () =>
          ((await program.metric("fairlead_controller_problems")) === 0 && (await complaints()) === "") || undefined,
        { ...PATIENCE, explain: () => program.said().slice(logged) },
      );
      assert.equal(program.child.exitCode, null, "it runs");
      assert.equal(await program.metric("fairlead_controller_leading"), 1);
    });
});

describe("a controller that starts without the right to list Services", () => {
  it("writes nothing that would be wrong, and begins when it is there", async () => {
    const before = await makeService();
    const address = await addressed(before);
    const pool = {
      apiVersion: "metallb.io/v1beta1",
      kind: "IPAddressPool",
      metadata: { name: "demo", namespace: SYSTEM_NAMESPACE },
    };
    const used = async (): Promise<unknown> => {
      const { body } = await server.admin.request({ method: "GET", path: pathOf(pool) });
      return (body as { readonly status?: { readonly assignedIPv4?: number } }).status?.assignedIPv4;
    };
    await waitFor("the count", async () => (await used()) === count || undefined, PATIENCE);
    await program.end();
    await changeRole(server.admin, CLUSTER_ROLE, without("services"));
    program = await startProgram();
    const words = /Kubernetes: services: .*nothing is taken away until it was read/;
    await waitFor(String(words), async () => words.test(await complaints()) || undefined, PATIENCE);
    assert.equal(addressOf(before), address);
    assert.equal(await used(), count, "the pool's count is not that of no Services");
    await removeObject(server.admin, {
      kind: "Service",
      metadata: { name: before.slice("default/".length), namespace: "default" },
    });
    await installRoles(server.admin);
    await waitFor("the count without it", async () => (await used()) === count - 1 || undefined, PATIENCE);
  });
});
