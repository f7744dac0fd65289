import { after, before } from "node:test";
import assert from "node:assert/strict";
import { describeSource, SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import { installDefinitions, makeNamespace, putObject, removeObject } from "../../lab/kubernetes/objects.ts";
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
