import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { z } from "zod";
import { assign } from "../pool/assign.ts";
import type { Decision } from "../pool/decision.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { objectKey, serviceSchema } from "../service/objects.ts";
import { openFolderSource } from "../source/manifests/folder.ts";
import type { Snapshot, Source, StatusWriter } from "../source/source.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import { control } from "./controller.ts";
import { DEFAULT_TIMING } from "../source/kubernetes/lease/machine.ts";
import { runController, type ControllerOptions } from "./main.ts";
import { ControllerMetrics, serveMetrics } from "./metrics.ts";

/** Fails the test instead of hanging when what is awaited never comes. Not a measurement. */
const PATIENCE_MS = 10_000;

const POOL =
  "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: demo, namespace: metallb-system}\nspec: {addresses: [10.0.0.0/29]}\n";
const service = (name: string): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n`;

function folders(
  t: TestContext,
  text: string,
): { readonly manifests: string; readonly file: string; readonly state: string } {
  const folder = mkdtempSync(join(tmpdir(), "fl-controller-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const manifests = join(folder, "manifests");
  mkdirSync(manifests);
  const file = join(manifests, "all.yaml");
  writeFileSync(file, text);
  return { manifests, file, state: join(folder, "state") };
}

async function until(source: Source, met: (snapshot: Snapshot) => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("What was awaited did not happen")), PATIENCE_MS);
    const look = (): void => {
      if (!met(source.snapshot())) return;
      clearTimeout(timer);
      stop();
      resolve();
    };
    const stop = source.subscribe(look);
    look();
  });
}

const ip = (snapshot: Snapshot, key: string): string | undefined =>
  snapshot.services.get(key)?.status.loadBalancer.ingress[0]?.ip;

function optionsFor(manifests: string, state: string): ControllerOptions {
  const origin = { type: "folder", manifests: [manifests], state } as const;
  return { origin, identity: "test", leaseTiming: DEFAULT_TIMING, logLevel: "silent" };
}

test("controller: Services that come get addresses, one that goes gives its back, and it stops when told", async (t) => {
  const { manifests, file, state } = folders(t, POOL + service("a"));
  const observer = await openFolderSource({ manifests: [manifests], state });
  t.after(() => observer.close());
  const stop = new AbortController();
  const running = runController({ ...optionsFor(manifests, state), metricsListen: "127.0.0.1:0" }, stop.signal);
  t.after(() => stop.abort());
  await until(observer, (s) => ip(s, "default/a") === "10.0.0.0");
  writeFileSync(file, POOL + service("b") + service("c"));
  await until(observer, (s) => ip(s, "default/b") === "10.0.0.0" && ip(s, "default/c") === "10.0.0.1");
  await until(observer, (s) => s.ipAddressPools.get("metallb-system/demo")?.status?.assignedIPv4 === 2);
  stop.abort();
  await running;
});

test("controller: it writes nothing when it starts again on what it wrote", async (t) => {
  const { manifests, state } = folders(t, POOL + service("a") + service("b"));
  const written: string[] = [];
  for (const expected of [["default/a", "default/b"], []]) {
    const source = await openFolderSource({ manifests: [manifests], state });
    const stop = new AbortController();
    const running = control(recorded(source, written), stop.signal);
    await until(source, (s) => ip(s, "default/b") !== undefined);
    // One more turn of the loop, for a write that should not come.
    await new Promise((resolve) => setTimeout(resolve, 200));
    stop.abort();
    await running;
    await source.close();
    assert.deepEqual(written.splice(0), expected);
  }
});

test("controller: it decides once about what came, and not about what it wrote because of it", async (t) => {
  const { manifests, file, state } = folders(t, POOL + service("a"));
  const source = await openFolderSource({ manifests: [manifests], state });
  t.after(() => source.close());
  const stop = new AbortController();
  t.after(() => stop.abort());
  const decided: number[] = [];
  const counting = (decision: Decision): Sliced<void> => {
    decided.push(decision.assignments.size);
    return nothingSliced();
  };
  const running = control({ ...recorded(source, []), decided: counting }, stop.signal);
  await until(source, (s) => ip(s, "default/a") !== undefined);
  writeFileSync(file, POOL + service("a") + service("b"));
  await until(source, (s) => ip(s, "default/b") !== undefined);
  // One more turn of the loop, for a decision that should not come.
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop.abort();
  await running;
  assert.deepEqual(decided, [1, 2]);
});

function* nothingSliced(): Sliced<void> {}

test("controller: what cannot be written is tried again, and does not keep others from being written", async (t) => {
  const { manifests, state } = folders(t, POOL + service("a") + service("b"));
  const source = await openFolderSource({ manifests: [manifests], state });
  t.after(() => source.close());
  const errors: string[] = [];
  let failures = 1;
  const parts = recorded(source, [], (key) => {
    if (key !== "default/a" || failures === 0) return;
    failures -= 1;
    throw new Error("the disk is full");
  });
  const stop = new AbortController();
  t.after(() => stop.abort());
  const running = control(
    { ...parts, log: { ...QUIET, error: (_: unknown, message?: string) => errors.push(message ?? "") } },
    stop.signal,
  );
  await until(source, (s) => ip(s, "default/b") === "10.0.0.1");
  await until(source, (s) => ip(s, "default/a") === "10.0.0.0");
  stop.abort();
  await running;
  assert.deepEqual(errors, ["Cannot write the status of Service default/a: the disk is full"]);
});

test("controller: an address whose old holder cannot be written is given to nobody else meanwhile", async (t) => {
  const asking = (name: string, address: string): string =>
    service(name).replace("ports:", `loadBalancerIP: ${address}, ports:`);
  const { manifests, file, state } = folders(t, POOL + asking("z", "10.0.0.0"));
  const source = await openFolderSource({ manifests: [manifests], state });
  t.after(() => source.close());
  const written: string[] = [];
  let failures = 1;
  let armed = false;
  const parts = recorded(source, written, (key) => {
    if (!armed || key !== "default/z" || failures === 0) return;
    failures -= 1;
    throw new Error("the disk is full");
  });
  const stop = new AbortController();
  t.after(() => stop.abort());
  const running = control({ ...parts, log: QUIET }, stop.signal);
  await until(source, (s) => ip(s, "default/z") === "10.0.0.0");
  armed = true;
  written.splice(0);
  writeFileSync(file, POOL + asking("a", "10.0.0.0") + asking("z", "10.0.0.1") + service("other"));
  await until(source, (s) => ip(s, "default/a") === "10.0.0.0" && ip(s, "default/z") === "10.0.0.1");
  stop.abort();
  await running;
  // First only the one that has nothing to do with it; then z, and only then a.
  assert.deepEqual(written, ["default/other", "default/z", "default/a"]);
});

test("controller: what rests is in the state folder, so a restart forgets nothing", async (t) => {
  const pool = POOL.replace(
    "namespace: metallb-system",
    'namespace: metallb-system, annotations: {"fairlead.io/cool-down": 1h}',
  );
  const { manifests, file, state } = folders(t, pool + service("a"));
  for (const [text, expected] of [
    [pool + service("a"), { "default/a": "10.0.0.0" }],
    [pool, {}],
    [pool + service("b"), { "default/b": "10.0.0.1" }],
  ] as const) {
    writeFileSync(file, text);
    const source = await openFolderSource({ manifests: [manifests], state });
    const stop = new AbortController();
    const running = control(recorded(source, []), stop.signal);
    await until(source, (s) => Object.entries(expected).every(([key, address]) => ip(s, key) === address));
    const inUse = Object.values(expected).map((address) => `${address}/32`);
    await until(source, (s) => JSON.stringify(coolDownOf(s)?.inUse) === JSON.stringify(inUse));
    stop.abort();
    await running;
    await source.close();
  }
});

function coolDownOf(snapshot: Snapshot): { readonly inUse: readonly string[] } | undefined {
  return snapshot.ipAddressPools.get("metallb-system/demo")?.status?.coolDown;
}

test("controller: an event about a Service is in the state folder", async (t) => {
  const { manifests, state } = folders(t, POOL + service("a"));
  const observer = await openFolderSource({ manifests: [manifests], state });
  t.after(() => observer.close());
  const stop = new AbortController();
  const running = runController(optionsFor(manifests, state), stop.signal);
  await until(observer, (s) => ip(s, "default/a") !== undefined);
  stop.abort();
  await running;
  const list = z.object({ items: z.array(z.object({ reason: z.string(), message: z.string() })) });
  const { items } = list.parse(JSON.parse(readFileSync(join(state, "events.json"), "utf8")));
  assert.deepEqual(items, [{ reason: "IPAllocated", message: 'Assigned IP ["10.0.0.0"]' }]);
});

test("controller: its ConfigurationState says what is wrong with pools and communities, and when it is mended", async (t) => {
  const community = (value: string): string =>
    `---\napiVersion: metallb.io/v1beta1\nkind: Community\nmetadata: {name: c, namespace: metallb-system}\nspec: {communities: [{name: x, value: "${value}"}]}\n`;
  const peer =
    "---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: p, namespace: metallb-system}\nspec: {myASN: 0}\n";
  const { manifests, file, state } = folders(t, POOL + community("1:99999999") + peer);
  const stop = new AbortController();
  const running = runController(optionsFor(manifests, state), stop.signal);
  const found = async (result: string): Promise<string> => {
    for (;;) {
      const text = readIfThere(join(state, "configurationstates", "controller.json"));
      if (text.includes(`"result": "${result}"`)) return text;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const schema = z.object({ metadata: z.object({ name: z.string() }), status: z.object({ errorSummary: z.string() }) });
  const { metadata, status } = schema.parse(JSON.parse(await found("Invalid")));
  assert.equal(metadata.name, "controller");
  assert.match(status.errorSummary, /^configuration error: Community metallb-system\/c: .*invalid section[^\n]*$/);
  writeFileSync(file, POOL + community("1:9") + peer);
  await found("Valid");
  stop.abort();
  await running;
});

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

const QUIET = { info: () => {}, warn: () => {}, error: () => {} };

function recorded(
  source: Source & StatusWriter,
  written: string[],
  before: (key: string) => void = () => {},
): { readonly source: Source & StatusWriter; readonly log: typeof QUIET } {
  const recording: Source & StatusWriter = {
    ready: source.ready,
    snapshot: () => source.snapshot(),
    subscribe: (listener) => source.subscribe(listener),
    close: () => source.close(),
    writeService: async (key, write) => {
      before(key);
      written.push(key);
      await source.writeService(key, write);
    },
    writePool: (key, write) => source.writePool(key, write),
    writeEvent: (event) => source.writeEvent(event),
    writeConfigurationState: (status) => source.writeConfigurationState(status),
    forgetDeleted: () => source.forgetDeleted(),
    merged: () => source.merged(),
  };
  return { source: recording, log: QUIET };
}

/** Two Services, and one address for them. */
function fullPool(): Parameters<typeof assign>[0] {
  const metadata = { name: "demo", namespace: "metallb-system" };
  const demo = ipAddressPoolSchema.parse({ metadata, spec: { addresses: ["10.0.0.0/32"] } });
  const services = ["a", "b"].map((name) =>
    serviceSchema.parse({ metadata: { name }, spec: { type: "LoadBalancer" } }),
  );
  return {
    services: new Map(services.map((s) => [objectKey(s), s])),
    ipAddressPools: new Map([[objectKey(demo), demo]]),
    namespaces: new Map(),
    complete: true,
    reserved: new Map(),
  };
}

test("metrics of pools and Services are served as Prometheus text, and those of a pool that went are gone", async () => {
  const objects = fullPool();
  const metrics = new ControllerMetrics();
  atOnce(metrics.updating(assign(objects)));
  const text = await metrics.text();
  for (const line of [
    'metallb_allocator_services_allocated_total{pool="demo"} 1',
    'metallb_allocator_addresses_in_use_total{pool="demo"} 1',
    'fairlead_pool_addresses_available{pool="demo",family="IPv4"} 0',
    'fairlead_pool_exhausted{pool="demo"} 1',
    'fairlead_controller_services{state="waiting"} 1',
    'fairlead_controller_services_unmet{reason="PoolExhausted"} 1',
    "fairlead_controller_services_without_address 1",
  ])
    assert.ok(text.split("\n").includes(line), `${line} in\n${text}`);
  atOnce(metrics.updating(assign({ ...objects, ipAddressPools: new Map() })));
  assert.doesNotMatch(await metrics.text(), /pool="demo"/);
});

test("what was handled is counted under MetalLB's names, and what of it could not be written", async () => {
  const metrics = new ControllerMetrics();
  metrics.converged({ state: "done" });
  metrics.converged({ state: "failed", message: "", attempts: 1, retryAt: 0 });
  const text = await metrics.text();
  assert.match(text, /^metallb_k8s_client_updates_total 2$/m);
  assert.match(text, /^metallb_k8s_client_update_errors_total 1$/m);
});

test("a controller that stands by has read its objects, and counts nothing that another counts", async () => {
  const metrics = new ControllerMetrics();
  metrics.leading(false);
  assert.match(await metrics.text(), /config_loaded_bool 0/);
  metrics.loaded();
  metrics.leading(true);
  metrics.judged({ result: "Invalid" });
  atOnce(metrics.updating(assign(fullPool())));
  assert.match(await metrics.text(), /config_stale_bool 1/);
  assert.match(await metrics.text(), /pool="demo"/);
  metrics.leading(false);
  assert.match(await metrics.text(), /config_loaded_bool 1/);
  assert.match(await metrics.text(), /config_stale_bool 0/);
  assert.doesNotMatch(await metrics.text(), /pool="demo"/);
});

test("a metrics address that is none is refused by name, before anything else starts", async () => {
  await assert.rejects(
    serveMetrics("::1:7473", new ControllerMetrics()),
    /^Error: Cannot listen for metrics on "::1:7473": expected HOST:PORT$/,
  );
});
