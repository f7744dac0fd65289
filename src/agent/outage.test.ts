/** What an agent's log says of an API server that goes away, refuses and comes back: the source and the log as they run, on a virtual clock. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Request, Response, Watching } from "../source/kubernetes/connection.ts";
import { openKubernetesSource } from "../source/kubernetes/source.ts";
import { Unreachable } from "../source/kubernetes/unreachable.ts";
import { aboutKinds } from "../reconcile/configuration-state.ts";
import type { Source } from "../source/source.ts";
import { virtualClock, type VirtualClock } from "../time/clock.ts";
import { ChangeLog } from "./change-log.ts";
import { initialState, type AgentState } from "./state.ts";
import { eth0, memoryMaps } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

const REFUSED = "connect ECONNREFUSED 192.0.2.1:6443";
const STEP_MS = 5;

/** Answers, or does not; `behave` says what a request of a kind meets. Each kind is a path's last word. */
class Server {
  behave: (kind: string) => Response | Error | undefined = () => undefined;
  readonly #watches = new Map<string, (end: Error | undefined) => void>();

  async request({ path }: Request): Promise<Response> {
    const met = this.behave(kindOf(path));
    if (met instanceof Error) throw met;
    const body = { metadata: { resourceVersion: "7" }, items: [] };
    return met ?? { status: 200, retryAfterSeconds: undefined, body };
  }

  async watch({ path }: Request, { onOpen }: Watching): Promise<Response | undefined> {
    const met = this.behave(kindOf(path));
    if (met instanceof Error) throw met;
    if (met !== undefined) return met;
    onOpen();
    const end = await new Promise<Error | undefined>((resolve) => this.#watches.set(kindOf(path), resolve));
    if (end !== undefined) throw end;
    return undefined;
  }

  /** Ends the watches of these kinds, all of them by default. */
  breakOff(isMeant: (kind: string) => boolean = () => true): void {
    for (const [kind, end] of this.#watches) if (isMeant(kind)) end(new Unreachable("the server broke the watch off"));
  }
}

const kindOf = (path: string): string => path.split("/").at(-1) ?? "";
const refusal = (status: number, message: string): Response => {
  return { status, retryAfterSeconds: undefined, body: { message } };
};

let server: Server;
let clock: VirtualClock;
let source: Source;
let state: AgentState;
let lines: string[];
let passes: number;

beforeEach(() => {
  server = new Server();
  clock = virtualClock();
  lines = [];
  passes = 0;
});
afterEach(() => source.close());

/** An agent as far as its log is concerned. */
function start(): void {
  // The same in every run, and different for every watch and retry.
  let seed = 1;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  source = openKubernetesSource({
    connection: { request: (r) => server.request(r), watch: (r, w) => server.watch(r, w), close: () => {} },
    namespace: "metallb-system",
    component: "fairlead-agent",
    instance: "me",
    clock,
    random,
  });
  state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  const log = new ChangeLog((event, fields = {}) => void lines.push([event, ...Object.values(fields)].join(" ")));
  source.subscribe(() => {
    passes += 1;
    const members = seeing([]);
    state.world = { snapshot: source.snapshot(), links: [eth0], endpoints: [], members };
    log.report(state);
  });
}

/** Lets so much time pass, with everything that happens in it. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= STEP_MS) {
    clock.advance(STEP_MS);
    await nextTurn();
    await nextTurn();
  }
}

/** Everything was read, and there is nothing to say. */
async function startWell(): Promise<void> {
  start();
  await pass(2000);
  assert.equal(source.snapshot().complete, true);
  assert.deepEqual(lines, []);
  passes = 0;
}

/** Every try meets another failure than the one before. */
function away(): void {
  let tries = 0;
  server.behave = () => new Unreachable((tries += 1) % 3 === 0 ? "the connection was closed" : REFUSED);
  server.breakOff();
}

const HERE = (): undefined => undefined;

describe("an API server that goes away", () => {
  test("is one line in the log, and one when it is back, however its watches fail", async () => {
    await startWell();
    away();
    await pass(60_000);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(
      lines[0] ?? "",
      /^problem Kubernetes the API server cannot be reached: .*; what was last read stays in/,
    );
    assert.ok(passes <= 2, `${passes} passes of the agent for an outage that changes no object`);
    assert.deepEqual(aboutKinds(source.snapshot().problems, []), [], "no mistake of the configuration");
    server.behave = HERE;
    await pass(3000);
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(lines[1] ?? "", /^problemSolved Kubernetes: the API server cannot be reached/);
  });

  test("and ends its watches one after the other is one line as well", async () => {
    await startWell();
    server.behave = () => new Unreachable(REFUSED);
    for (const kind of ["services", "nodes", "endpointslices", "bgppeers", "communities"]) {
      server.breakOff((each) => each === kind);
      await pass(150);
    }
    server.breakOff();
    await pass(20_000);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", /^problem Kubernetes the API server cannot be reached: connect ECONNREFUSED/);
  });

  test("and takes the next try of every watch is not worth a line", async () => {
    await startWell();
    for (let n = 0; n < 5; n += 1) {
      server.breakOff();
      await pass(3000);
    }
    assert.deepEqual(lines, []);
    assert.equal(passes, 0);
  });

  test("and refuses everybody for a moment when it is back is one line, and one when it does not any more", async () => {
    await startWell();
    away();
    await pass(10_000);
    server.behave = (kind) => refusal(403, `${kind} is forbidden`);
    await pass(1500);
    server.behave = HERE;
    await pass(4000);
    assert.deepEqual(
      lines.map((line) => line.split(" ", 3).join(" ")),
      ["problem Kubernetes the", "problemSolved Kubernetes: the"],
    );
    assert.equal(source.snapshot().problems.length, 0, "what was refused for a moment is asked for again at once");
  });

  test("and asks for five seconds of patience when it is back is one line, and one when it has answered", async () => {
    await startWell();
    away();
    await pass(10_000);
    server.behave = () => ({ ...refusal(503, "not yet"), retryAfterSeconds: 5 });
    await pass(1500);
    server.behave = HERE;
    await pass(8000);
    assert.equal(lines.length, 2, lines.join("\n"));
  });

  test("and goes on refusing some kinds when it is back names these, with the reason of each", async () => {
    await startWell();
    away();
    await pass(10_000);
    server.behave = (kind) =>
      kind === "nodes" || kind === "bgppeers" ? refusal(403, `${kind} is forbidden`) : undefined;
    await pass(20_000);
    assert.deepEqual(
      lines
        .slice(1)
        .map((line) => line.replace(/ \(403\).*| be reached.*/, ""))
        .toSorted(),
      [
        "problem Kubernetes: bgppeers bgppeers is forbidden",
        "problem Kubernetes: nodes nodes is forbidden",
        "problemSolved Kubernetes: the API server cannot",
      ],
    );
  });

  test("is named with the kind when that alone has no answer", async () => {
    await startWell();
    server.behave = (kind) => (kind === "services" ? new Unreachable("no answer within 60 s") : undefined);
    server.breakOff((kind) => kind === "services");
    await pass(30_000);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(
      lines[0] ?? "",
      /^problem Kubernetes: services the API server cannot be reached: no answer within 60 s/,
    );
  });

  test("is named with the reason of most kinds", async () => {
    await startWell();
    server.behave = (kind) => new Unreachable(kind === "services" ? "no answer within 60 s" : REFUSED);
    server.breakOff();
    await pass(5000);
    assert.match(lines.join("\n"), /^problem Kubernetes the API server cannot be reached: connect ECONNREFUSED/);
  });

  test("for another reason than at first is told anew once that reason stands", async () => {
    await startWell();
    away();
    await pass(10_000);
    server.behave = () => new Unreachable("self-signed certificate");
    await pass(15_000);
    assert.equal(lines.length, 3, lines.join("\n"));
    assert.match(lines[1] ?? "", /^problem Kubernetes the API server cannot be reached: self-signed certificate/);
  });

  test("before anything was read takes nothing away", async () => {
    server.behave = () => new Unreachable(REFUSED);
    start();
    await pass(10_000);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", /; nothing is taken away until it was read$/);
    assert.equal(source.snapshot().complete, false);
  });
});

describe("an API server that refuses", () => {
  test("is told of at once", async () => {
    server.behave = (kind) => (kind === "services" ? refusal(403, "services is forbidden") : undefined);
    start();
    await pass(50);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", /^problem Kubernetes: services services is forbidden \(403\); give this program/);
  });

  test("everything in the same words, kind after kind, does not tell it for each", async () => {
    await startWell();
    server.behave = () => refusal(401, "Unauthorized");
    for (const kind of ["services", "nodes", "endpointslices", "bgppeers"]) {
      server.breakOff((each) => each === kind);
      await pass(400);
    }
    server.breakOff();
    await pass(20_000);
    assert.ok(lines.length <= 3, lines.join("\n"));
    assert.match(source.snapshot().problems[0]?.subject ?? "", /^Kubernetes$/);
  });

  test("with a different failure at every try is not told of at every try", async () => {
    await startWell();
    let tries = 0;
    server.behave = () => ((tries += 1) % 2 === 0 ? refusal(500, "leader changed") : refusal(429, "slow down"));
    server.breakOff();
    await pass(30_000);
    assert.ok(lines.length <= 4, lines.join("\n"));
  });

  test("by opening every watch and breaking it off is told of once", async () => {
    await startWell();
    for (let n = 0; n < 100; n += 1) {
      server.breakOff();
      await pass(200);
    }
    assert.equal(lines.length, 1, lines.join("\n"));
  });
});
