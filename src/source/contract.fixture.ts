/**
 * What every source of objects promises, as tests that run on each: programs cannot tell a folder from a cluster.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceStatusWrite, Snapshot, Source, StatusWriter } from "./source.ts";

type Manifest = Readonly<Record<string, unknown>> & { readonly kind: string };

/** A place with objects, empty at first, and the ways into it that are not ours. */
export interface Place {
  /** Reads the place from now on; a second one is what a restarted program has. */
  open(): Promise<Source & StatusWriter>;
  /** Creates or changes an object as its owner does. */
  put(manifest: Manifest): Promise<void>;
  remove(manifest: Manifest): Promise<void>;
  close(): Promise<void>;
}

/** Of the configuration: other namespaces are the owners'. */
export const SYSTEM_NAMESPACE = "metallb-system";

const service = (name: string, more: Readonly<Record<string, unknown>> = {}): Manifest => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", labels: { app: name } },
  spec: { type: "LoadBalancer", ports: [{ name: "http", port: 80, protocol: "TCP" }], ...more },
});

const pool = (name: string, addresses: readonly string[]): Manifest => ({
  apiVersion: "metallb.io/v1beta1",
  kind: "IPAddressPool",
  metadata: { name, namespace: SYSTEM_NAMESPACE },
  spec: { addresses },
});

const ASSIGNED: ServiceStatusWrite = {
  ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }],
  conditions: [
    {
      type: "fairlead.io/AddressAssigned",
      status: "True",
      reason: "IPAllocated",
      message: "192.0.2.1 from pool demo",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    },
  ],
  annotations: { "metallb.io/ip-allocated-from-pool": "demo" },
};

/** Changes take effect within a second; a slow machine gets ten. */
const WAIT_MS_MAX = 10_000;

/** The first snapshot that fits. */
export async function until(
  source: Source,
  fits: (snapshot: Snapshot) => boolean,
  what: string,
  milliseconds: number = WAIT_MS_MAX,
): Promise<Snapshot> {
  const giveUpAt = performance.now() + milliseconds;
  for (;;) {
    const snapshot = source.snapshot();
    if (fits(snapshot)) return snapshot;
    assert.ok(performance.now() < giveUpAt, `waited for ${what}; problems: ${JSON.stringify(snapshot.problems)}`);
    await sleep(10);
  }
}

export function describeSource(name: string, prepare: () => Promise<Place>): void {
  describe(`a source of objects: ${name}`, () => {
    let place: Place;
    let source: Source & StatusWriter;
    before(async () => {
      place = await prepare();
      source = await place.open();
    });
    after(async () => {
      await source.close();
      await place.close();
    });
    describeReading(
      () => source,
      () => place,
    );
    describeWriting(
      () => source,
      () => place,
    );
  });
}

function describeReading(source: () => Source, place: () => Place): void {
  it("shows an object that appears", async () => {
    await place().put(service("appears"));
    const { services } = await until(source(), ({ services: all }) => all.has("default/appears"), "the Service");
    assert.deepEqual(services.get("default/appears")?.metadata.labels, { app: "appears" });
  });

  it("is complete once all was read", async () => {
    const { unread } = await until(source(), ({ complete }) => complete, "a complete snapshot");
    assert.deepEqual([...unread], []);
  });

  it("shows a change, and leaves what did not change the same object", async () => {
    await place().put(service("still"));
    await place().put(service("moves"));
    const both = ({ services }: Snapshot): boolean => services.has("default/still") && services.has("default/moves");
    const first = await until(source(), both, "both Services");
    await place().put(service("moves", { externalTrafficPolicy: "Local" }));
    const moved = ({ services }: Snapshot): boolean =>
      services.get("default/moves")?.spec.externalTrafficPolicy === "Local";
    const second = await until(source(), moved, "the change");
    assert.equal(second.services.get("default/still"), first.services.get("default/still"));
  });

  it("shows that an object is gone", async () => {
    await place().put(service("goes"));
    await until(source(), ({ services }) => services.has("default/goes"), "the Service");
    await place().remove(service("goes"));
    const { complete } = await until(source(), ({ services }) => !services.has("default/goes"), "its end");
    assert.equal(complete, true);
  });

  it("tells its listeners, and not after they have left", async () => {
    let told = 0;
    const leave = source().subscribe(() => (told += 1));
    await place().put(service("heard"));
    await until(source(), ({ services }) => services.has("default/heard") && told > 0, "the listener to be told");
    leave();
    const before = told;
    await place().put(service("unheard"));
    await until(source(), ({ services }) => services.has("default/unheard"), "the Service");
    assert.equal(told, before);
  });

  it("reads configuration with the defaults of its schema", async () => {
    await place().put(pool("defaults", ["198.51.100.0/24"]));
    const key = `${SYSTEM_NAMESPACE}/defaults`;
    const { ipAddressPools } = await until(source(), ({ ipAddressPools: all }) => all.has(key), "the pool");
    const found = ipAddressPools.get(key);
    assert.deepEqual(found?.spec.addresses, ["198.51.100.0/24"]);
    assert.equal(found.spec.autoAssign, true);
  });
}

function describeWriting(source: () => Source & StatusWriter, place: () => Place): void {
  const written = async (name: string): Promise<string> => {
    const key = `default/${name}`;
    await place().put(service(name));
    await until(source(), ({ services }) => services.has(key), "the Service");
    await source().writeService(key, ASSIGNED);
    return key;
  };

  it("shows what it wrote about a Service at once, and to the next program that opens it", async () => {
    const key = await written("assigned");
    const next = await place().open();
    try {
      const there = ({ services }: Snapshot): boolean =>
        services.get(key)?.status.loadBalancer.ingress[0]?.ip === "192.0.2.1";
      for (const each of [source().snapshot(), await until(next, there, "the address")]) {
        const { status, metadata } = each.services.get(key) ?? assert.fail();
        assert.deepEqual(status.loadBalancer.ingress, ASSIGNED.ingress);
        assert.deepEqual(status.conditions, ASSIGNED.conditions);
        assert.equal(metadata.annotations["metallb.io/ip-allocated-from-pool"], "demo");
      }
    } finally {
      await next.close();
    }
  });

  it("takes an address, its conditions and its annotation away again", async () => {
    const key = await written("cleared");
    await source().writeService(key, {
      ingress: [],
      conditions: [],
      annotations: { "metallb.io/ip-allocated-from-pool": undefined },
    });
    const { status, metadata } = source().snapshot().services.get(key) ?? assert.fail();
    assert.deepEqual(status, { loadBalancer: { ingress: [] }, conditions: [] });
    assert.deepEqual(metadata.annotations, {});
  });

  it("leaves a Service the same object when the same is written again", async () => {
    const key = await written("twice");
    const before = source().snapshot().services.get(key);
    await source().writeService(key, ASSIGNED);
    assert.equal(source().snapshot().services.get(key), before);
  });

  it("keeps what was written when the owner changes the object", async () => {
    const key = await written("edited");
    await place().put(service("edited", { externalTrafficPolicy: "Local" }));
    const edited = ({ services }: Snapshot): boolean => services.get(key)?.spec.externalTrafficPolicy === "Local";
    const { services } = await until(source(), edited, "the change");
    assert.deepEqual(services.get(key)?.status.loadBalancer.ingress, ASSIGNED.ingress);
  });

  it("writes the counts of a pool exactly, up to what the API can hold", async () => {
    await place().put(pool("counted", ["2001:db8::/32"]));
    const key = `${SYSTEM_NAMESPACE}/counted`;
    await until(source(), ({ ipAddressPools }) => ipAddressPools.has(key), "the pool");
    const counts = { assignedIPv4: 1n, assignedIPv6: 2n, availableIPv4: 3n, availableIPv6: 1n << 96n };
    await source().writePool(key, { conditions: [], ...counts });
    const { status } = source().snapshot().ipAddressPools.get(key) ?? assert.fail();
    assert.equal(status?.assignedIPv6, 2);
    assert.equal(status.availableIPv6, 2 ** 63);
  });

  it("takes events, the same one twice", async () => {
    const regarding = { kind: "Service", namespace: "default", name: "appears" };
    const event = { regarding, type: "Normal", reason: "IPAllocated", message: 'Assigned IP ["192.0.2.1"]' } as const;
    await source().writeEvent(event);
    await source().writeEvent(event);
  });
}
