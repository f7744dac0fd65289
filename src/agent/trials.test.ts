import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { tryConnections } from "./trials.ts";

test("a trial is accepted where somebody listens, says nothing, and is refused where nobody does any more", async () => {
  const heard: string[] = [];
  const server = createServer((socket: Socket) => socket.on("data", (data) => heard.push(String(data))).resume());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const gone = once(server, "connection").then(([socket]) => once(socket as Socket, "close"));
  assert.equal(await tryConnections("127.0.0.1", port), "accepted");
  await gone;
  assert.deepEqual(heard, []);
  server.close();
  await once(server, "close");
  assert.equal(await tryConnections("127.0.0.1", port), "refused");
});

test("a trial that the kernel does not even begin tells its words", async () => {
  const outcome = await tryConnections("255.255.255.255", 80);
  assert.ok(typeof outcome === "object" && /255\.255\.255\.255/.test(outcome.error), JSON.stringify(outcome));
});
