import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { after, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { address, type Address } from "../../net/address.ts";
import { DEFAULT_TIMING, type Timing } from "./config.ts";
import { startMembership, type Membership, type MembershipOptions } from "./driver.ts";
import type { Report, ToWorker } from "./messages.ts";
import { decodeProbe, encodeProbe } from "./packet.ts";
import type { SipKey } from "./siphash.ts";
import type { MembershipView } from "./view.ts";

const KEY: SipKey = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
const HOSTS = { b: address("127.0.0.2"), c: address("127.0.0.3"), six: address("::1") };

/** The responders below share their thread with the tests and this machine with others: give them more time than a kernel needs. */
const PATIENT: Timing = { ...DEFAULT_TIMING, windowMilliseconds: 2000, atOnceMilliseconds: 1000 };

/** A datapath in few lines: answers probes at one address as bpf/probe.h does, while it is told to. */
interface Responder {
  readonly port: number;
  /** As if the agent renewed its stamp all the time … */
  remainingMilliseconds: number;
  /** … or, where this is set, not at all. */
  validUntil: bigint | undefined;
  silent: boolean;
  key: SipKey;
  asked: number;
}

const sockets: Socket[] = [];
const memberships: Membership[] = [];
after(async () => {
  for (const socket of sockets) socket.close();
  await Promise.all(memberships.map((membership) => membership.stop("restart")));
});

async function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.bind(port, host);
  await once(socket, "listening");
  sockets.push(socket);
  return socket;
}

async function respond(host: string, port = 0): Promise<Responder> {
  const socket = await bound(host, port);
  const responder: Responder = {
    port: socket.address().port,
    remainingMilliseconds: 60_000,
    validUntil: undefined,
    silent: false,
    key: KEY,
    asked: 0,
  };
  socket.on("message", (bytes, from) => {
    responder.asked += 1;
    const probe = decodeProbe(bytes, responder.key);
    if (responder.silent || !probe.ok || probe.value.type !== "request") return;
    const { validUntil } = responder;
    const left =
      validUntil === undefined ? undefined : Math.max(0, Number((validUntil - process.hrtime.bigint()) / 1_000_000n));
    const remainingMilliseconds = left ?? responder.remainingMilliseconds;
    socket.send(
      encodeProbe({ ...probe.value, type: "answer", remainingMilliseconds }, responder.key),
      from.port,
      from.address,
    );
  });
  return responder;
}

interface Bench {
  readonly membership: Membership;
  readonly stamp: { validUntil: bigint; writes: number };
  lapses: number;
}

function start(port: number, options: Partial<MembershipOptions> = {}, validUntil = later(60_000)): Bench {
  const stamp = { validUntil, writes: 0 };
  const write = (value: bigint): void => {
    stamp.validUntil = value;
    stamp.writes += 1;
  };
  const counted = { lapses: 0 };
  const onLapsed = (): void => void (counted.lapses += 1);
  const membership = startMembership({
    node: "a",
    port,
    sourcePort: 0,
    key: KEY,
    timing: PATIENT,
    answerMarginMilliseconds: 1000,
    stamp: { read: () => stamp.validUntil, write },
    onLapsed,
    ...options,
  });
  membership.inform();
  memberships.push(membership);
  return Object.assign(counted, { membership, stamp });
}

function later(milliseconds: number): bigint {
  return process.hrtime.bigint() + BigInt(milliseconds) * 1_000_000n;
}

function peer(name: keyof typeof HOSTS): { name: string; address: Address } {
  return { name, address: HOSTS[name] };
}

function stateOf(view: MembershipView, name: string): string | undefined {
  return view.peers.find((each) => each.name === name)?.state;
}

/** Resolves with the first view that is so; a view that never is fails with the last one. */
async function viewThat(membership: Membership, isSo: (view: MembershipView) => boolean): Promise<MembershipView> {
  const deadline = later(20_000);
  for (;;) {
    const view = membership.view();
    if (isSo(view)) return view;
    assert.ok(
      process.hrtime.bigint() < deadline,
      `no such view in 20 s; the last one: ${JSON.stringify(view, (_, value: unknown) => (value instanceof Set ? [...value] : typeof value === "bigint" ? `${value}` : value))}`,
    );
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
}

describe("membership over real sockets", { concurrency: true }, () => {
  test("finds the peers that answer alive, and the others gone", async () => {
    const b = await respond("127.0.0.2");
    const { membership } = start(b.port);
    assert.equal(membership.view().complete, false);
    membership.setPeers([peer("b"), peer("c")]);
    assert.deepEqual(
      [...membership.view().alive].toSorted(),
      ["a", "b", "c"],
      "unknown is alive until the first verdict",
    );
    assert.equal(membership.view().complete, false);
    const view = await viewThat(membership, ({ complete }) => complete);
    assert.deepEqual([[...view.alive].toSorted(), [...view.gone], view.isolated], [["a", "b"], ["c"], false]);
    const row = view.peers.find(({ name }) => name === "b");
    assert.ok(
      row?.remainingMilliseconds !== undefined &&
        row.remainingMilliseconds > 50_000 &&
        row.remainingMilliseconds <= 60_000,
    );
    assert.ok(row.lastAnswerMilliseconds !== undefined);
    assert.equal(view.peers.find(({ name }) => name === "c")?.lastAnswerMilliseconds, undefined);
  });

  test("follows a peer through all states, and calls back for each", async () => {
    const b = await respond("127.0.0.2");
    const { membership } = start(b.port);
    const seen: (string | undefined)[] = [];
    const stop = membership.onChange(() => seen.push(stateOf(membership.view(), "b")));
    membership.setPeers([peer("b")]);
    await viewThat(membership, ({ complete }) => complete);
    b.remainingMilliseconds = 0;
    await viewThat(membership, (view) => stateOf(view, "b") === "abandoned");
    b.silent = true;
    assert.deepEqual([...(await viewThat(membership, ({ gone }) => gone.has("b"))).alive], ["a"]);
    b.silent = false;
    b.remainingMilliseconds = 60_000;
    const back = await viewThat(membership, ({ alive }) => alive.has("b"));
    assert.equal(back.reunions, 1);
    assert.deepEqual(
      seen.filter((state, index) => state !== seen[index - 1]),
      ["alive", "abandoned", "gone", "alive"],
    );
    stop();
  });

  test("asks over IPv6 as well", async () => {
    const six = await respond("::1");
    const { membership } = start(six.port);
    membership.setPeers([peer("six")]);
    const view = await viewThat(membership, ({ complete }) => complete);
    assert.deepEqual([...view.alive].toSorted(), ["a", "six"]);
  });

  test("believes nobody who does not know the key", async () => {
    const b = await respond("127.0.0.2");
    b.key = [KEY[0], KEY[1] + 1n];
    const { membership } = start(b.port);
    membership.setPeers([peer("b")]);
    await viewThat(membership, ({ gone }) => gone.has("b"));
    assert.ok(b.asked > 0);
  });

  test("says why a peer cannot be asked", async () => {
    const { membership } = start(9);
    membership.setPeers([{ name: "b", address: address("255.255.255.255") }]);
    const view = await viewThat(membership, ({ peers }) => peers[0]?.problem !== undefined);
    assert.match(view.peers[0]?.problem ?? "", /^Cannot send a probe to 255\.255\.255\.255: /);
  });

  test("forgets a peer that is no longer one", async () => {
    const b = await respond("127.0.0.2");
    const { membership } = start(b.port);
    membership.setPeers([peer("b"), peer("c")]);
    await viewThat(membership, ({ complete }) => complete);
    membership.setPeers([peer("b")]);
    const view = membership.view();
    assert.deepEqual([view.peers.map(({ name }) => name), [...view.gone]], [["b"], []]);
  });
});

test("a peer whose stamp nobody puts off any more is away, with those who were alive when it went", async () => {
  const [b, timing] = [await respond("127.0.0.2"), { ...PATIENT, awayMilliseconds: 600 }];
  const { membership } = start(b.port, { timing });
  membership.setPeers([peer("b")]);
  await viewThat(membership, ({ complete }) => complete);
  assert.equal(membership.view().away.size, 0);
  b.validUntil = later(50_000);
  const { away, peers } = await viewThat(membership, (view) => view.away.size > 0);
  assert.deepEqual([...(away.get("b") ?? [])].toSorted(), ["a", "b"]);
  assert.equal(peers[0]?.away, true);
  assert.equal(membership.view().away, away, "the same object");
  b.validUntil = undefined;
  await viewThat(membership, (view) => view.away.size === 0);
});

describe("the stamp", { concurrency: true }, () => {
  test("left valid by an earlier run is renewed, and I may announce at once", async () => {
    const bench = start(9);
    assert.deepEqual([bench.stamp.writes, [...bench.membership.view().alive]], [1, ["a"]]);
    bench.membership.setPeers([]);
    assert.equal(bench.membership.view().complete, true);
    const first = bench.stamp.validUntil;
    await viewThat(bench.membership, () => bench.stamp.validUntil > first);
    assert.equal(bench.lapses, 0);
  });

  test("that ran out is renewed only after the announcements are withdrawn, and then I wait", async () => {
    let withdrawn = (): void => {};
    let calls = 0;
    const onLapsed = (): Promise<void> => {
      calls += 1;
      return new Promise((resolve) => (withdrawn = resolve));
    };
    const { membership, stamp } = start(9, { onLapsed }, 0n);
    membership.setPeers([]);
    await viewThat(membership, () => calls === 1);
    await new Promise((resolve) => void setTimeout(resolve, 600));
    assert.deepEqual([stamp.writes, [...membership.view().alive]], [0, []]);
    withdrawn();
    await viewThat(membership, () => stamp.writes > 0);
    assert.deepEqual([...membership.view().alive], []);
    let changes = 0;
    membership.onChange(() => (changes += 1));
    await viewThat(membership, ({ alive }) => alive.has("a"));
    assert.deepEqual([changes, calls], [1, 1]);
  });

  test("that ran out waits for a peer whose agent is away, because it could not withdraw", async () => {
    const b = await respond("127.0.0.2");
    b.validUntil = later(60_000);
    const { membership, stamp } = start(b.port, {}, 0n);
    membership.setPeers([peer("b")]);
    await viewThat(membership, ({ complete }) => complete && stamp.writes > 4);
    assert.deepEqual([...membership.view().alive], ["b"]);
    b.validUntil = undefined;
    await viewThat(membership, ({ alive }) => alive.has("a"));
  });

  const stops = [
    { mode: "restart", from: later(0), validSeconds: 600 },
    { mode: "leave", from: later(0), validSeconds: 0 },
  ] as const;
  for (const { mode, validSeconds } of stops) {
    test(`is ${mode === "leave" ? "over at once" : "ten minutes ahead"} when the agent stops to ${mode}`, async () => {
      const { membership, stamp } = start(9);
      await membership.stop(mode);
      const left = Number(stamp.validUntil - process.hrtime.bigint()) / 1e9;
      if (validSeconds === 0) assert.equal(stamp.validUntil, 0n);
      else assert.ok(left > validSeconds - 30 && left <= validSeconds, `${left} s`);
      const { writes } = stamp;
      await new Promise((resolve) => void setTimeout(resolve, 700));
      assert.equal(stamp.writes, writes, "written after the stop");
    });
  }

  test("is left to run out when the agent stops because it failed", async () => {
    const { membership, stamp } = start(9);
    const { validUntil } = stamp;
    await membership.stop("failed");
    assert.equal(stamp.validUntil, validUntil);
  });

  test("that ran out is not made valid by a stop to restart", async () => {
    const { membership, stamp } = start(9, { onLapsed: () => new Promise(() => {}) }, 0n);
    await membership.stop("restart");
    assert.equal(stamp.validUntil, 0n);
  });

  test("needs a grace longer than its margin", () => {
    assert.throws(() => start(9, { graceSeconds: 1, answerMarginMilliseconds: 1000 }), {
      message: "A grace of 1 s leaves nothing after the margin of 1000 ms",
    });
  });
});

describe("a failure", () => {
  test("of the worker is reported with what to look for", async () => {
    const socket = await bound("0.0.0.0", 0);
    const failure = Promise.withResolvers<Error>();
    const { membership, stamp } = start(9, { sourcePort: socket.address().port, onFailure: failure.resolve });
    membership.setPeers([peer("b")]);
    const { message } = await failure.promise;
    const { validUntil } = stamp;
    assert.match(
      message,
      /^Cannot use UDP port \d+ \(IPv4\) for membership: .*EADDRINUSE.*; does another agent run here\?$/,
    );
    await new Promise((resolve) => void setTimeout(resolve, 700));
    assert.equal(stamp.validUntil, validUntil, "an agent that does not see its peers claimed to be well");
  });

  test("to withdraw is one of the agent", async () => {
    const failure = Promise.withResolvers<Error>();
    const broken = new Error("no map");
    const { stamp } = start(9, { onLapsed: () => Promise.reject(broken), onFailure: failure.resolve }, 0n);
    const error = await failure.promise;
    assert.deepEqual(
      [error.message, error.cause, stamp.writes],
      ["Cannot withdraw the announcements although this node's stamp ran out", broken, 0],
    );
  });
});

// Alone: it keeps this thread, and with it everybody else, busy.
describe("a busy agent", () => {
  test("is told once of all that changed since it last listened", async () => {
    const workerData = { port: 9, sourcePort: 0, key: KEY, timing: PATIENT };
    const worker = new Worker(new URL("./worker/driver.ts", import.meta.url), { workerData });
    const tell = (message: ToWorker): void => worker.postMessage(message);
    const numbers = Array.from({ length: 20 }, (_, number) => number + 1);
    const peersUpTo = (count: number): Extract<ToWorker, { type: "peers" }>["peers"] =>
      numbers.slice(0, count).map((number) => ({ name: `peer-${number}`, address: `127.0.0.${number}` }));
    for (const count of numbers) tell({ type: "peers", peers: peersUpTo(count) });
    tell({ type: "heard" });
    const reports: Report[] = [];
    try {
      for await (const [report] of on(worker, "message") as AsyncIterable<[Report]>)
        if (reports.push(report) === 2) break;
    } finally {
      tell({ type: "stop" });
      await once(worker, "exit");
    }
    assert.deepEqual(
      reports.map(({ peers, changed }) => [peers.length, changed]),
      [
        [1, true],
        [20, true],
      ],
    );
  });

  test("loses nobody while the agent's own thread is busy", async () => {
    const b = await respond("127.0.0.2");
    // The peer must not be busy with us: it gets a thread of its own.
    const code = `
      const { createSocket } = require("node:dgram");
      const { parentPort, workerData } = require("node:worker_threads");
      import(workerData).then(({ decodeProbe, encodeProbe }) => {
        const socket = createSocket("udp4");
        socket.on("message", (bytes, from) => {
          const probe = decodeProbe(bytes, [${KEY[0]}n, ${KEY[1]}n]);
          if (probe.ok) socket.send(encodeProbe({ ...probe.value, type: "answer", remainingMilliseconds: 60000 }, [${KEY[0]}n, ${KEY[1]}n]), from.port, from.address);
        });
        socket.bind(${b.port}, "127.0.0.3", () => parentPort.postMessage("ready"));
      });`;
    const worker = new Worker(code, { eval: true, workerData: new URL("./packet.ts", import.meta.url).href });
    await once(worker, "message");
    const { membership } = start(b.port, { timing: { ...DEFAULT_TIMING, windowMilliseconds: 1000 } });
    let changes = 0;
    membership.setPeers([peer("c")]);
    await viewThat(membership, ({ complete }) => complete);
    membership.onChange(() => (changes += 1));
    const end = later(2500);
    while (process.hrtime.bigint() < end);
    await new Promise((resolve) => void setTimeout(resolve, 50));
    assert.deepEqual([[...membership.view().alive].toSorted(), changes], [["a", "c"], 0]);
    await worker.terminate();
  });
});
