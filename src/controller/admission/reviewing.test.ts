import assert from "node:assert/strict";
import { test } from "node:test";
import { bfdProfileSchema, bgpPeerSchema } from "../../announce/bgp/objects.ts";
import type { Snapshot } from "../../source/source.ts";
import { reviewing } from "./reviewing.ts";

const metadata = (name: string): object => ({ name, namespace: "metallb-system" });
const PROFILE = bfdProfileSchema.parse({ metadata: metadata("fast"), spec: {} });
const PEER = bgpPeerSchema.parse({
  metadata: metadata("user"),
  spec: { myASN: 1, peerASN: 2, peerAddress: "10.0.0.7", bfdProfile: "fast" },
});
const DELETION = {
  request: {
    uid: "1",
    operation: "DELETE",
    kind: { group: "metallb.io", version: "v1beta1", kind: "BFDProfile" },
    namespace: "metallb-system",
    name: "fast",
  },
};

/** A source with a profile, and a peer that uses it for as long as it is there. */
class FakeSource {
  readonly #listeners = new Set<() => void>();
  #peers = new Map([["metallb-system/user", PEER]]);

  snapshot(): Snapshot {
    const nothing = new Map<string, never>();
    return {
      services: nothing,
      endpointSlices: nothing,
      nodes: nothing,
      namespaces: nothing,
      ipAddressPools: nothing,
      l2Advertisements: nothing,
      bgpAdvertisements: nothing,
      bgpPeers: this.#peers,
      bfdProfiles: new Map([["metallb-system/fast", PROFILE]]),
      communities: nothing,
      secrets: nothing,
      problems: [],
      complete: true,
      unread: new Set<string>(),
      reserved: new Map(),
    };
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  tell(peers = this.#peers): void {
    this.#peers = peers;
    for (const listener of this.#listeners) listener();
  }
}

test("what is refused is judged again when news come, and allowed when they say so", async () => {
  const source = new FakeSource();
  const answer = reviewing(DELETION, source, "metallb-system", 60_000);
  source.tell();
  source.tell(new Map());
  assert.equal((await answer)?.response.allowed, true);
  assert.equal(source.listeners, 0);
});

test("without news that matter the first verdict holds, after a moment", async () => {
  const source = new FakeSource();
  const answer = reviewing(DELETION, source, "metallb-system", 20);
  source.tell();
  const found = await answer;
  assert.equal(found?.response.allowed, false);
  assert.match(JSON.stringify(found.response.status), /used by BGPPeer user/);
  assert.equal(source.listeners, 0);
});

test("what is allowed is answered at once, and what is no review is none", async () => {
  const source = new FakeSource();
  source.tell(new Map());
  assert.equal((await reviewing(DELETION, source, "metallb-system", 60_000))?.response.allowed, true);
  assert.equal(await reviewing({ no: "review" }, source, "metallb-system", 60_000), undefined);
});
