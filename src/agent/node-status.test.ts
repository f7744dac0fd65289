import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeDevice } from "../datapath/records.ts";
import { announcedBy } from "../announce/bgp/desired.fixture.ts";
import { address } from "../net/address.ts";
import { serviceSchema } from "../service/objects.ts";
import type {
  BgpStatusWrite,
  ConfigurationStateWrite,
  EventWrite,
  L2StatusWrite,
  NodeStatusWriter,
} from "../source/source.ts";
import { placeAnnouncements } from "./desired.ts";
import { NodeStatusReporter, planNodeStatus, unplacedOf, type NodeStatusInput } from "./node-status.ts";
import { initialState } from "./state.ts";
import { memoryMaps, world } from "./world.fixture.ts";

const DEVICES: readonly NodeDevice[] = ["eth0", "eth1"].map((name, index) => ({
  name,
  ifindex: index + 2,
  mac: new Uint8Array(6),
}));

interface Made {
  readonly ip: string;
  readonly services?: readonly string[];
  readonly interfaces?: readonly string[] | "all";
}

function place(announcements: readonly Made[], devices = DEVICES): NodeStatusInput["placed"] {
  const full = announcements.map(({ ip, services = ["default/web"], interfaces = "all" }) => ({
    address: address(ip),
    services,
    interfaces,
  }));
  return placeAnnouncements(full, devices);
}

/** What is done, a line each. */
function planned(placed: NodeStatusInput["placed"], input: Partial<NodeStatusInput> = {}): readonly string[] {
  const services = new Map([
    ["default/web", serviceSchema.parse({ metadata: { name: "web", uid: "u-1" }, spec: { type: "LoadBalancer" } })],
  ]);
  const operations = planNodeStatus({
    node: "me",
    placed,
    snapshot: { services, complete: true },
    statuses: new Map(),
    unplaced: new Set(),
    ...input,
  });
  return operations.map((operation) => {
    if (operation.type === "bgp") return `${operation.service}: by BGP`;
    if (operation.type === "l2")
      return `${operation.service}: ${operation.write === undefined ? "removed" : `[${operation.write.interfaces.join()}]`}`;
    const { type, reason, message, regarding } = operation.write;
    return `${type} ${reason} ${regarding.namespace}/${regarding.name} ${regarding.uid ?? "-"}: ${message}`;
  });
}

const ASSIGNED = 'Normal nodeAssigned default/web u-1: announcing from node "me" with protocol "layer2"';

describe("the status of a node", () => {
  const written = (interfaces: readonly string[]): ReadonlyMap<string, L2StatusWrite> =>
    new Map([["default/web", { interfaces }]]);
  const rows: {
    name: string;
    announced: readonly Made[];
    input?: Partial<NodeStatusInput>;
    plan: readonly string[];
  }[] = [
    { name: "says nothing of nothing", announced: [], plan: [] },
    {
      name: "names a Service announced everywhere without interfaces, with an event",
      announced: [{ ip: "10.0.0.1" }],
      plan: ["default/web: []", ASSIGNED],
    },
    {
      name: "names the interfaces that exist here, sorted",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth9", "eth1", "eth0"] }],
      plan: ["default/web: [eth0,eth1]", ASSIGNED],
    },
    {
      name: "is one for all addresses of a Service, with the interfaces of all",
      announced: [
        { ip: "10.0.0.1", interfaces: ["eth1"] },
        { ip: "fc00::1", interfaces: ["eth0"] },
      ],
      plan: ["default/web: [eth0,eth1]", ASSIGNED],
    },
    {
      name: "is one for each Service of a shared address",
      announced: [{ ip: "10.0.0.1", services: ["default/web", "x/other"] }],
      plan: [
        "default/web: []",
        ASSIGNED,
        "x/other: []",
        'Normal nodeAssigned x/other -: announcing from node "me" with protocol "layer2"',
      ],
    },
    {
      name: "is not written again, and no event is repeated",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth0"] }],
      input: { statuses: written(["eth0"]) },
      plan: [],
    },
    {
      name: "changes with the interfaces without an event",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth1"] }],
      input: { statuses: written(["eth0"]) },
      plan: ["default/web: [eth1]"],
    },
    {
      name: "goes when another node takes over",
      announced: [],
      input: { statuses: written([]) },
      plan: ["default/web: removed"],
    },
    {
      name: "stays for a Service that cannot be read just now",
      announced: [],
      input: { statuses: written([]), snapshot: { services: new Map(), complete: false } },
      plan: [],
    },
    {
      name: "is not there where no interface of the list exists: announceFailed",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth8", "eth9"] }],
      input: { statuses: written(["eth0"]) },
      plan: [
        'Warning announceFailed default/web u-1: the interfaces specified by LB IP "10.0.0.1" doesn\'t exist in assigned node "me" with protocol "layer2"',
        "default/web: removed",
      ],
    },
    {
      name: "does not fail again and again",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth9"] }],
      input: { unplaced: new Set(["default/web 10.0.0.1"]) },
      plan: [],
    },
    {
      name: "says of which address it failed where another is announced",
      announced: [{ ip: "10.0.0.1", interfaces: ["eth9"] }, { ip: "fc00::1" }],
      plan: [
        "default/web: []",
        ASSIGNED,
        'Warning announceFailed default/web u-1: the interfaces specified by LB IP "10.0.0.1" doesn\'t exist in assigned node "me" with protocol "layer2"',
      ],
    },
  ];
  for (const row of rows) test(row.name, () => assert.deepEqual(planned(place(row.announced), row.input), row.plan));

  test("fails on a node without any device, whatever the advertisement asks for", () => {
    const placed = place([{ ip: "10.0.0.1" }], []);
    assert.match(planned(placed).join(), /announceFailed .*no interface to announce LB IP "10\.0\.0\.1" on exists/);
    assert.deepEqual([...unplacedOf(placed)], ["default/web 10.0.0.1"]);
  });
});

/** Remembers what is written; refuses while told to. */
class FakeWriter implements NodeStatusWriter {
  readonly statuses = new Map<string, L2StatusWrite>();
  readonly routed = new Map<string, BgpStatusWrite>();
  readonly events: string[] = [];
  refusal: string | undefined;
  closed = false;
  eventRefusal: string | undefined;

  l2Statuses(): ReadonlyMap<string, L2StatusWrite> {
    return this.statuses;
  }
  async writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void> {
    if (this.refusal !== undefined) throw new Error(this.refusal);
    if (status === undefined) this.statuses.delete(service);
    else this.statuses.set(service, status);
  }
  bgpStatuses(): ReadonlyMap<string, BgpStatusWrite> {
    return this.routed;
  }
  async writeBgpStatus(service: string, status: BgpStatusWrite | undefined): Promise<void> {
    if (this.refusal !== undefined) throw new Error(this.refusal);
    if (status === undefined) this.routed.delete(service);
    else this.routed.set(service, status);
  }
  async silentAbout(): Promise<readonly string[]> {
    return [];
  }
  async writeConfigurationState(_status: ConfigurationStateWrite): Promise<void> {}
  async writeEvent({ reason }: EventWrite): Promise<void> {
    if (this.eventRefusal !== undefined) throw new Error(this.eventRefusal);
    this.events.push(reason);
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

describe("the reporter", () => {
  function setUp(): { state: ReturnType<typeof initialState>; writer: FakeWriter; reporter: NodeStatusReporter } {
    const state = initialState({ node: "me", version: "0", maps: memoryMaps() });
    state.world = world({ web: "10.0.0.1" });
    const writer = new FakeWriter();
    return { state, writer, reporter: new NodeStatusReporter(writer) };
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("says nothing until it is known who announces", async () => {
    const { state, writer, reporter } = setUp();
    writer.statuses.set("default/web", { interfaces: [] });
    reporter.report(state);
    await settle();
    assert.equal(writer.statuses.size, 1, "what an earlier run wrote is the better guess");
  });

  test("keeps what was said about routes while what decides about them was not read", async () => {
    const { state, writer, reporter } = setUp();
    writer.routed.set("default/web", { peers: ["tor"] });
    state.bgp = { desired: announcedBy({}) } as unknown as typeof state.bgp;
    state.world = world({ web: "10.0.0.1" }, { unread: new Set(["bgpAdvertisements"]), complete: false });
    reporter.report(state);
    await settle();
    assert.equal(writer.routed.size, 1);
    state.world = world({ web: "10.0.0.1" });
    reporter.report(state);
    await settle();
    assert.equal(writer.routed.size, 0);
  });

  test("catches up with what changed while it was writing", async () => {
    const { state, writer, reporter } = setUp();
    state.placed = place([{ ip: "10.0.0.1" }]);
    reporter.report(state);
    state.placed = [];
    reporter.report(state);
    await settle();
    assert.deepEqual([writer.statuses.size, writer.events], [0, ["nodeAssigned"]]);
  });

  test("tells a hazard once, again only where that failed, and that it is gone", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { state, writer, reporter } = setUp();
    const words = { message: "it has 10.0.0.1", todo: "Take it off.", addresses: [] };
    state.hazards = [{ check: "AddressHeld", level: "problem", subject: "lo", ...words }];
    writer.eventRefusal = "no rights";
    reporter.report(state);
    await settle();
    assert.deepEqual(state.nodeStatusProblems, [{ subject: "Event AddressHeld of Node me", message: "no rights" }]);
    writer.eventRefusal = undefined;
    context.mock.timers.tick(5000);
    await settle();
    reporter.report(state);
    await settle();
    assert.deepEqual([state.nodeStatusProblems, writer.events], [[], ["AddressHeld"]]);
    state.hazards = [];
    reporter.report(state);
    await settle();
    assert.deepEqual(writer.events, ["AddressHeld", "HazardGone"]);
  });

  test("lets others run while it writes thousands", async () => {
    const { state, writer, reporter } = setUp();
    const services = Array.from({ length: 1000 }, (_, index) => `default/s${index}`);
    state.placed = place([{ ip: "10.0.0.1", services }]);
    reporter.report(state);
    await settle();
    assert.ok(writer.statuses.size < 100, `${writer.statuses.size} written in one turn`);
    await reporter.close(false);
    assert.equal(writer.statuses.size, 1000);
  });

  test("makes a problem of what cannot be written, and writes it when it can", async (context) => {
    const { mock } = context;
    mock.timers.enable({ apis: ["setTimeout"] });
    const { state, writer, reporter } = setUp();
    state.placed = place([{ ip: "10.0.0.1" }]);
    writer.refusal = "disk full";
    reporter.report(state);
    await settle();
    assert.deepEqual(state.nodeStatusProblems, [{ subject: "ServiceL2Status of default/web", message: "disk full" }]);
    writer.refusal = undefined;
    // Nothing happens that would be a reason for another pass.
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual([state.nodeStatusProblems, writer.statuses.size, writer.events], [[], 1, ["nodeAssigned"]]);
  });

  test("names nothing that cannot be written while the snapshot says that the API server is away, and writes it then", async (context) => {
    const { mock } = context;
    mock.timers.enable({ apis: ["setTimeout"] });
    const { state, writer, reporter } = setUp();
    assert.ok(state.world !== undefined);
    state.placed = place([{ ip: "10.0.0.1" }]);
    const away = "the API server cannot be reached: it hung up";
    writer.refusal = away;
    // The snapshot does not say it yet.
    reporter.report(state);
    await settle();
    assert.deepEqual(state.nodeStatusProblems, []);
    const { world } = state;
    const problems = [{ subject: "Kubernetes", message: `${away}; what was last read stays in force` }];
    state.world = { ...world, snapshot: { ...world.snapshot, problems } };
    // It is back, and has just started: it knows no roles yet.
    writer.refusal = "forbidden (403)";
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual(state.nodeStatusProblems, []);
    state.world = world;
    writer.refusal = undefined;
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual([state.nodeStatusProblems, writer.statuses.size], [[], 1]);
  });

  for (const withdraw of [false, true]) {
    test(`${withdraw ? "takes everything back" : "leaves everything"} when the node ${withdraw ? "leaves" : "only restarts its agent"}`, async () => {
      const { state, writer, reporter } = setUp();
      state.placed = place([{ ip: "10.0.0.1" }]);
      reporter.report(state);
      await reporter.close(withdraw);
      assert.deepEqual([writer.statuses.size, writer.closed], [withdraw ? 0 : 1, true]);
    });
  }
});
