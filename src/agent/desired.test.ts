import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../net/address.ts";
import { nodeSchema } from "../service/objects.ts";
import { desiredPeers } from "./desired.ts";

const node = (name: string, ...addresses: readonly string[]): ReturnType<typeof nodeSchema.parse> =>
  nodeSchema.parse({
    metadata: { name },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  });

test("peers are the other nodes that have an address, over IPv4 where they can; while nodes were not read, nobody knows", () => {
  const nodes = new Map(
    [node("me", "10.0.0.1"), node("b", "fd00::2", "10.0.0.2"), node("c", "fd00::3"), node("d")].map(
      (each) => [each.metadata.name, each] as const,
    ),
  );
  const peers = desiredPeers({ nodes, unread: new Set() }, "me");
  assert.deepEqual(
    peers?.map(({ name, address }) => `${name} ${formatAddress(address)}`),
    ["b 10.0.0.2", "c fd00::3"],
  );
  assert.deepEqual(desiredPeers({ nodes: new Map(), unread: new Set() }, "me"), []);
  assert.equal(desiredPeers({ nodes: new Map(), unread: new Set(["nodes"]) }, "me"), undefined);
});
