/** Who keeps a place in the flow table when it is full, and who gives way. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, beforeEach, describe, test } from "node:test";
import { FLOW_WAYS } from "../../src/datapath/abi.generated.ts";
import { frame, read, type Frame } from "./frame.ts";
import { openWorld, type World } from "./world.ts";

const ADDRESS = "192.168.10.0";
const NODE = "192.168.10.201";
const REMOTE = "10.244.2.5";
/** Sixteen pairs of cells, and more than enough tags for them. */
const SMALL = { flow_cell_mask: 31, flow_bucket_mask: 63 };
const PAIRS = 16;

// A CPU takes cells a chunk at a time: which are the oldest is only certain on one.
before(() => execFileSync("taskset", ["--pid", "--cpu-list", "0", String(process.pid)]));
const CLIENT = "192.168.10.250";

let world: World;

/** The tests of a block share a world of these constants, empty but for a frontend at each. */
function inWorld(name: string, constants: Readonly<Record<string, number>>, define: () => void): void {
  describe(name, () => {
    before(() => {
      world = openWorld({ ...SMALL, ...constants });
    });
    after(() => {
      world.close();
    });
    beforeEach(() => {
      world.reset();
      for (const protocol of ["tcp", "udp"] as const)
        world.frontend({ address: ADDRESS, port: 80, protocol, backends: [{ address: REMOTE, port: 8080 }] });
    });
    define();
  });
}

type Protocol = "tcp" | "udp";

const PLACE = 0xffff_ffffn;

function fromClient(source: string, more: Partial<Frame> = {}): Uint8Array {
  return frame({ source, destination: ADDRESS, sourcePort: 40000, destinationPort: 80, flags: "S", ...more });
}

function fromBackend(destinationPort: number, more: Partial<Frame> = {}): Uint8Array {
  return frame({ source: REMOTE, destination: NODE, sourcePort: 8080, destinationPort, flags: "SA", ...more });
}

/** The source port towards the backend that a client's packet gets. */
function portOf(source: string, more: Partial<Frame> = {}): number {
  const outcome = world.run(fromClient(source, more));
  assert.equal(outcome.verdict, "VERDICT_FORWARDED");
  return read(outcome.frame).sourcePort ?? 0;
}

/** Whom a backend's packet to this port reaches; undefined: it is nobody's. */
function clientBehind(port: number, more: Partial<Frame> = {}): string | undefined {
  const outcome = world.run(fromBackend(port, more));
  return outcome.verdict === "VERDICT_REPLIED" ? read(outcome.frame).destination : undefined;
}

/** SYN, SYN-ACK, ACK: the backend has not sent anything else yet. */
function connect(source: string): number {
  const port = portOf(source);
  assert.equal(clientBehind(port), source);
  assert.equal(portOf(source, { flags: "A" }), port);
  return port;
}

function flood(flows: number, protocol: Protocol = "tcp"): void {
  for (let n = 0; n < flows; n += 1) portOf(`172.20.${n >> 8}.${n & 255}`, { protocol });
}

inWorld("a flood of SYNs", {}, () => {
  test("does not move a connection whose handshake is complete, though the backend is silent", () => {
    const port = connect(CLIENT);
    flood(20 * PAIRS);
    assert.equal(clientBehind(port, { flags: "A" }), CLIENT);
    assert.equal(portOf(CLIENT, { flags: "A" }), port);
    assert.equal(world.overflow(), 0, "rows in the LRU hash");
  });

  test("does not move a UDP flow that was answered", () => {
    const port = portOf(CLIENT, { protocol: "udp" });
    assert.equal(clientBehind(port, { protocol: "udp" }), CLIENT);
    flood(20 * PAIRS, "udp");
    assert.equal(clientBehind(port, { protocol: "udp" }), CLIENT);
    assert.equal(portOf(CLIENT, { protocol: "udp" }), port);
    assert.equal(world.overflow(), 0, "rows in the LRU hash");
  });

  test("evicts itself, the oldest first", () => {
    const clients = Array.from({ length: 3 * PAIRS }, (_, n) => `172.20.0.${n}`);
    const ports = clients.map((source) => portOf(source));
    const found = clients.filter((source, n) => clientBehind(ports[n] ?? 0) === source);
    assert.deepEqual(found, clients.slice(-PAIRS));
  });

  test("of packets that begin in the middle of a connection evicts itself too", () => {
    const port = connect(CLIENT);
    for (let n = 0; n < 20 * PAIRS; n += 1) portOf(`172.20.${n >> 8}.${n & 255}`, { flags: "A" });
    assert.equal(clientBehind(port, { flags: "A" }), CLIENT);
    assert.equal(world.overflow(), 0, "rows in the LRU hash");
  });
});

inWorld("a connection that is opened again from its port", { snat_port_min: 20000, snat_port_mask: 3 }, () => {
  test("keeps the port towards a backend that rested on it: the client's reset has woken that", () => {
    const port = portOf(CLIENT);
    assert.equal(clientBehind(port, { flags: "A" }), CLIENT);
    assert.equal(portOf(CLIENT, { flags: "R" }), port);
    assert.equal(portOf(CLIENT), port);
    assert.equal(clientBehind(port), CLIENT);
  });

  test("gets another port where somebody has taken that one meanwhile", () => {
    const port = portOf(CLIENT);
    assert.equal(clientBehind(port, { flags: "A" }), CLIENT);
    portOf(CLIENT, { flags: "R" });
    for (let n = 1; n <= 3; n += 1) portOf(`172.20.4.${n}`);
    assert.equal(connect("172.20.4.4"), port);
    const other = portOf(CLIENT);
    assert.notEqual(other, port);
    assert.equal(clientBehind(port, { flags: "A" }), "172.20.4.4");
    assert.equal(clientBehind(other), CLIENT);
  });

  test("gets another port after a connection that both ends have closed: the backend may rest on that one", () => {
    const port = connect(CLIENT);
    assert.equal(portOf(CLIENT, { flags: "FA" }), port);
    assert.equal(clientBehind(port, { flags: "FA" }), CLIENT);
    assert.notEqual(portOf(CLIENT), port);
  });
});

inWorld("a table full of connections", {}, () => {
  test("more connections than there are cells all work: the LRU hash takes the rest", () => {
    const clients = Array.from({ length: 2 * PAIRS }, (_, n) => `172.20.1.${n}`);
    const ports = clients.map((source) => connect(source));
    assert.ok(world.overflow() >= 2 * PAIRS, `${world.overflow()} rows in the LRU hash`);
    clients.forEach((source, n) => {
      assert.equal(clientBehind(ports[n] ?? 0, { flags: "A" }), source);
      assert.equal(portOf(source, { flags: "A" }), ports[n]);
    });
  });

  test("connections that were reset give way", () => {
    const clients = Array.from({ length: PAIRS }, (_, n) => `172.20.1.${n}`);
    for (const source of clients) {
      connect(source);
      portOf(source, { flags: "RA" });
    }
    for (let n = 0; n < PAIRS; n += 1) connect(`172.20.2.${n}`);
    assert.equal(world.overflow(), 0, "rows in the LRU hash");
  });
});

inWorld("four source ports", { snat_port_min: 20000, snat_port_mask: 3 }, () => {
  test("a client whose port was given away gets another one, and neither hears the other's replies", () => {
    const [first = 0] = [1, 2, 3, 4].map((n) => portOf(`172.20.3.${n}`));
    assert.equal(portOf("172.20.3.5"), first);
    assert.equal(clientBehind(first), "172.20.3.5");
    const second = portOf("172.20.3.1");
    assert.notEqual(second, first);
    assert.equal(clientBehind(second), "172.20.3.1");
    assert.equal(clientBehind(first), "172.20.3.5");
  });
});

inWorld("a single bucket", { flow_bucket_mask: 0 }, () => {
  test("gives away the oldest tags first", async () => {
    const clients = Array.from({ length: 8 }, (_, n) => `172.20.4.${n}`);
    const ports: number[] = [];
    for (const source of clients) {
      ports.push(portOf(source));
      await sleep(40); // tags that wait for an answer count in steps of 17 ms
    }
    const found = clients.filter((source, n) => clientBehind(ports[n] ?? 0) === source);
    assert.deepEqual(found, clients.slice(-FLOW_WAYS / 2));
  });

  test("in which another CPU just claims what looks like the same reply makes a flow take the next port", () => {
    const first = portOf(CLIENT);
    const reply = world.tags.find((tag) => tag !== 0n && tag % 2n === 0n) ?? 0n; // the second place of a pair is even
    world.reset();
    world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
    world.tags[0] = (reply & ~PLACE) | (PLACE >> 1n); // a cell there is not
    assert.equal(portOf(CLIENT), first + 1);
    assert.equal(clientBehind(first + 1), CLIENT);
  });
});

inWorld("a timeout of less than a second", { tcp_established_seconds: 0 }, () => {
  test("connections past it give way", async () => {
    for (let n = 0; n < PAIRS; n += 1) connect(`172.20.1.${n}`);
    await sleep(2200); // tags count in steps of 1.07 s
    for (let n = 0; n < PAIRS; n += 1) portOf(`172.20.2.${n}`);
    assert.equal(world.overflow(), 0, "rows in the LRU hash");
  });
});
