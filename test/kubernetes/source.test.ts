import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { describeSource, SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import {
  installDefinitions,
  makeNamespace,
  putObject,
  removeObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { waitFor } from "../../lab/wait.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

let server: TestApiServer;

before(async () => {
  server = await startApiServer([]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
});
after(() => server.stop());

describeSource("the Kubernetes API", async () => ({
  open: async () =>
    openKubernetesSource({
      connection: openConnection(server.as("admin")),
      namespace: SYSTEM_NAMESPACE,
      component: "fairlead-controller",
      instance: "test",
    }),
  put: (manifest) => putObject(server.admin, manifest),
  remove: (manifest) => removeObject(server.admin, manifest),
  close: async () => assert.ok(true),
}));

it("an agent is told of load balancers alone: one that changes its type goes, and comes back", async () => {
  const connection = openConnection(server.as("admin"));
  const asked: (string | undefined)[] = [];
  const listening: Connection = {
    ...connection,
    watch: (request, watching) => {
      if (request.path === "/api/v1/services") asked.push(request.query?.["fieldSelector"]);
      return connection.watch(request, watching);
    },
  };
  const source = openKubernetesSource({
    connection: listening,
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-agent",
    instance: "worker1",
  });
  try {
    const ofType = (name: string, type: string): Manifest & { readonly spec: object } => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "default" },
      spec: { type, ports: [{ port: 80 }] },
    });
    const names = (): string[] =>
      [...source.snapshot().services.keys()].filter((key) => key.includes("/narrow-")).toSorted();
    for (const [inside, expected] of [
      ["ClusterIP", ["default/narrow-outside"]],
      ["LoadBalancer", ["default/narrow-inside", "default/narrow-outside"]],
      ["ClusterIP", ["default/narrow-outside"]],
    ] as const) {
      await putObject(server.admin, ofType("narrow-inside", inside));
      await putObject(server.admin, ofType("narrow-outside", "LoadBalancer"));
      await waitFor("only load balancers", async () =>
        source.snapshot().complete && names().join() === expected.join() ? true : undefined,
      );
    }
    // This server knows the selector; an older one is asked for all.
    assert.deepEqual(new Set(asked), new Set(["spec.type=LoadBalancer"]));
  } finally {
    await source.close();
  }
});
