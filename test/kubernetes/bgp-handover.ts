/**
 * A cluster whose Services MetalLB's own programs tell a router with FRR is handed over and back, under transfers that began before and
 * requests all the time, as `fairlead migrate next` says: sessions first, then packets. A router takes one session from a node, so for a moment
 * it has no route to it.
 *
 *     native   there: the router sends to the others meanwhile    transfers stand still and go on; what begins in this moment may be lost
 *              back:  the router has static routes meanwhile      nothing is lost
 *     frr, frr-k8s, with graceful restart: there and back         the router sees a session end and begin, its kernel nothing; nothing is lost
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Mode } from "../../lab/kubernetes/metallb/frr.ts";
import { startFrrK8s, startSpeaker } from "../../lab/kubernetes/metallb/start.ts";
import { waitForNextHops } from "../../lab/routes.ts";
import { primaryAddress } from "../../lab/scene.ts";
import { waitFor } from "../../lab/wait.ts";
import { formatAddress } from "../../src/net/address.ts";
import type { TestLab } from "../lab/harness.ts";
import { frrPeers, routeChangesDuring } from "../lab/routers.ts";
import { startTransfer, type Transfer } from "../lab/transfers.ts";
import {
  addressesOf,
  end,
  nextStep,
  startFairlead,
  steady,
  typed,
  verdict,
  waitForStage,
  withMetallb,
} from "./migration.ts";

const ROUTER = "router";
const PORT = 18081;
const SETTLED_MS = 500;
const WAITING = { milliseconds: 60_000 };

/** With graceful restart where MetalLB's own programs can do it. `bfd`: between nodes and router as well, and not back. */
export async function bgpHandover(mode: Mode, { bfd = false }: { readonly bfd?: boolean } = {}): Promise<void> {
  const peers = { enableGracefulRestart: true, ...(bfd ? { bfdProfile: PROFILE } : {}) } as const;
  await withMetallb(
    "bgpcluster",
    async (lab, nodes) => {
      const address = await lab.address("web");
      if (bfd) await startBfd(lab, nodes);
      await waitForNextHops(lab.lab, ROUTER, [address], nodes, WAITING);
      const plan = { protocol: "HTTP", address, port: PORT } as const;
      await lab.askUntil("an answer through MetalLB and kube-proxy", plan, ({ ok }) => ok, 30_000);
      await handOverAndBack(new Handover(lab, nodes, address, mode), bfd);
    },
    { mode, ...(mode === "native" ? {} : { peers }) },
  );
}

const PROFILE = "watched";

/** A busy machine must not end it. Resolves when the router sees every node by it. */
async function startBfd(lab: TestLab, nodes: readonly string[]): Promise<void> {
  const spec = { receiveInterval: 300, transmitInterval: 300, detectMultiplier: 5 };
  const metadata = { name: PROFILE, namespace: "metallb-system" };
  const profile = JSON.stringify({ apiVersion: "metallb.io/v1beta1", kind: "BFDProfile", metadata, spec });
  await typed(lab, `echo '${profile}' | kubectl apply -f -`);
  const addresses = nodes.map((node) => addressOf(lab, node));
  const lines = ["configure terminal", "router bgp 7675", ...addresses.map((each) => `neighbor ${each} bfd`)];
  const { status, stdout } = await lab.exec(ROUTER, "vtysh", ...lines.flatMap((line) => ["-c", line]));
  assert.equal(status, 0, stdout);
  await waitFor(
    "BFD with every node",
    async () => {
      const text = (await lab.exec(ROUTER, "vtysh", "-c", "show bfd peers json")).stdout;
      const up = (JSON.parse(text) as readonly { readonly status: string }[]).filter((each) => each.status === "up");
      return up.length === nodes.length ? true : undefined;
    },
    WAITING,
  );
}

async function handOverAndBack(handover: Handover, bfd: boolean): Promise<void> {
  const { lab, nodes, mode } = handover;
  const kept = mode !== "native";
  const before = await addressesOf(lab);
  await handover.take(/scale deployment controller --replicas=0/);
  await end(lab, "metallb-controller");
  await handover.take(/helm install fairlead/);
  await startFairlead(lab);
  await handover.take(/patch daemonset speaker/);

  const old = await Promise.all(Array.from({ length: 4 }, () => begun(lab, handover.address)));
  const requests = steady(lab, [handover.address, handover.address], PORT);
  const failed = (): readonly number[] =>
    requests.flatMap(({ results }) => results.filter(({ ok }) => !ok).map(({ sentAt }) => sentAt));
  const isWell = async (when: string, transfers: readonly Transfer[]): Promise<void> => {
    await sleep(SETTLED_MS);
    const broken = transfers.filter((each) => !each.isRunning()).length;
    assert.equal(broken, 0, `${when}: ${broken} of ${transfers.length} transfers have ended`);
    assert.deepEqual(await addressesOf(lab), before, when);
  };
  await isWell("agents stand by", old);

  const metallbs = await sessionsBegun(lab);
  let changes = 0;
  for (const node of nodes) {
    // Where the agent is quick enough, the router's kernel sees nothing here either.
    const seen = await handover.exchange(node, async () => {
      await handover.take(/handover=bgp .*speaker=gone/, () => handover.endMetallb(node));
    });
    if (kept) assert.deepEqual(seen, [], `${node}: the router has kept the routes`);
    changes += seen.length;
    await isWell(`${node}: sessions exchanged`, old);
  }
  if (!kept) await handOverPackets(handover, (when) => isWell(when, old));
  const begunOnce = metallbs.map((count) => count + 1);
  if (kept) assert.deepEqual(await sessionsBegun(lab), begunOnce, "the agents' sessions, once begun, stay");
  const lost = failed();
  const outside = lost.filter((at) => !handover.exchanges.some(([from, to]) => at >= from && at <= to));
  assert.deepEqual(outside, [], "requests failed that did not begin while a session was exchanged");
  if (kept) assert.deepEqual(lost, [], "a request failed although the router has kept the routes");

  const ours = await begun(lab, handover.address);
  const all = [...old, ours];
  if (!kept) await handBackPackets(handover, (when) => isWell(when, all));
  // FRR takes its time to start: one node tells. With BFD, MetalLB's first session has no graceful restart yet, whoever had it before.
  const back = nodes.toReversed().slice(0, bfd ? 0 : kept ? 1 : nodes.length);
  for (const node of back) {
    const seen = await handover.exchange(node, async () => {
      await handover.takeBack(/handover- .*speaker-/);
      await waitForStage(lab, node, undefined);
      await handover.startMetallb(node);
    });
    if (kept) assert.deepEqual(seen, [], `${node}: the router has kept the routes`);
    await isWell(`${node}: handed back`, all);
  }
  if (!kept) await handover.pin(false);
  if (!kept) await handover.takeBack(/patch daemonset speaker/);
  await isWell("the end", all);
  const results = (await Promise.all(requests.map((each) => each.stop()))).flat();
  assert.equal(failed().length, lost.length, "a request failed although the routes were held still");
  const stalls = await Promise.all(all.map(async (each) => (await each.stop()).longestStallMilliseconds));
  process.stdout.write(
    `# BGP of mode ${mode} there${back.length === 0 ? "" : " and back"}: ${results.length} requests, ${lost.length} lost (only such as began while a session was exchanged; routes changed ${changes} times); ${all.length} transfers went on, and stood still for at most ${Math.max(...stalls).toFixed(0)} ms\n`,
  );
}

/** As the router counts them, by peer. */
async function sessionsBegun(lab: TestLab): Promise<readonly number[]> {
  return Object.values(await frrPeers(lab, ROUTER)).map((each) => each.connectionsEstablished);
}

async function handOverPackets(handover: Handover, isWell: (when: string) => Promise<void>): Promise<void> {
  const { lab, nodes } = handover;
  for (const node of nodes) {
    await handover.take(/handover=active/);
    await waitForStage(lab, node, "active");
    await isWell(`${node}: handed over`);
  }
  const left = await Promise.all(nodes.map((node) => verdict(lab, node, "left_to_stack")));
  assert.ok(Math.max(...left) > 100, `the transfers are kube-proxy's: ${left.join(", ")} packets left to the stack`);
}

/** Back, with routes that stay whatever BGP says. */
async function handBackPackets(handover: Handover, isWell: (when: string) => Promise<void>): Promise<void> {
  const { lab, nodes } = handover;
  await handover.pin(true);
  for (const node of nodes.toReversed()) {
    await handover.takeBack(/handover=bgp/);
    await waitForStage(lab, node, "bgp");
    await isWell(`${node}: packets handed back`);
  }
}

async function begun(lab: TestLab, address: string): Promise<Transfer> {
  const transfer = startTransfer(lab, { address, port: PORT, bytes: 4e9, bytesPerSecond: 1e6 });
  await transfer.started;
  return transfer;
}

/** Types what `fairlead migrate next` says, and remembers what takes it back. */
class Handover {
  readonly lab: TestLab;
  readonly nodes: readonly string[];
  readonly address: string;
  readonly mode: Mode;
  /** From when to when sessions were exchanged, in milliseconds since 1970. */
  readonly exchanges: [number, number][] = [];
  readonly #undo: string[][] = [];
  #held = false;

  constructor(lab: TestLab, nodes: readonly string[], address: string, mode: Mode) {
    this.lab = lab;
    this.nodes = nodes;
    this.address = address;
    this.mode = mode;
  }

  /** `then`: what the cluster's own controllers do after the first command. */
  async take(expected: RegExp, then: () => Promise<void> = async () => undefined): Promise<void> {
    const { commands, onEveryNode = [], undo } = await nextStep(this.lab);
    assert.match(commands.join("\n"), expected);
    for (const line of onEveryNode) for (const node of this.nodes) await this.lab.exec(node, "sh", "-ec", line);
    for (const [index, line] of commands.entries()) {
      await typed(this.lab, withoutKubelets(line));
      if (index === 0) await then();
    }
    this.#undo.push([...undo]);
  }

  /** The last step that was not taken back yet. */
  async takeBack(expected: RegExp): Promise<void> {
    const undo = this.#undo.pop() ?? [];
    assert.match(undo.join("\n"), expected);
    for (const line of undo) if (!line.startsWith("#")) await typed(this.lab, line);
  }

  /** As kubelets do where the node's label keeps the pods away. */
  async endMetallb(node: string): Promise<void> {
    await end(this.lab, "metallb-speaker", node);
    if (this.mode === "frr-k8s") await end(this.lab, "frr-k8s", node);
  }

  async startMetallb(node: string): Promise<void> {
    await startSpeaker(this.lab.lab, node, this.mode);
    if (this.mode === "frr-k8s") await startFrrK8s(this.lab.lab, node);
  }

  /** Until the router has another session with the node, and its routes; what the router's kernel saw. */
  async exchange(node: string, act: () => Promise<void>): Promise<readonly string[]> {
    const from = Date.now();
    const peer = addressOf(this.lab, node);
    const ended = async (): Promise<number> => (await frrPeers(this.lab, ROUTER))[peer]?.connectionsDropped ?? 0;
    const before = await ended();
    const changes = await routeChangesDuring(this.lab, ROUTER, this.address, async () => {
      await act();
      await waitFor(
        `${ROUTER} to have a new session with ${node}`,
        async () => {
          const session = (await frrPeers(this.lab, ROUTER))[peer];
          const isNew = session !== undefined && session.connectionsDropped > before;
          return isNew && session.state === "Established" && session.pfxRcd === 1 ? true : undefined;
        },
        WAITING,
      );
      if (!this.#held) await waitForNextHops(this.lab.lab, ROUTER, [this.address], this.nodes, WAITING);
    });
    this.exchanges.push([from, Date.now()]);
    return changes;
  }

  /**
   * The same next hops in the same order, whatever BGP says from now on. Static routes of FRR would be a group of their own, in an order of
   * its own: connections move to other nodes then, and end.
   */
  async pin(held: boolean): Promise<void> {
    if (held) {
      const { stdout } = await this.lab.exec(ROUTER, "ip", "-j", "route", "show", this.address);
      const [{ nexthops } = { nexthops: [] }] = JSON.parse(stdout) as readonly {
        readonly nexthops: readonly NextHop[];
      }[];
      assert.equal(nexthops.length, this.nodes.length, stdout);
      const words = nexthops.flatMap(({ gateway, dev }) => ["nexthop", "via", gateway, "dev", dev]);
      await this.#onRouter("route", "add", this.address, "table", HELD, ...words);
      await this.#onRouter("rule", "add", "to", this.address, "lookup", HELD);
    } else {
      await this.#onRouter("rule", "del", "to", this.address, "lookup", HELD);
      await this.#onRouter("route", "flush", "table", HELD);
    }
    this.#held = held;
  }

  async #onRouter(...words: readonly string[]): Promise<void> {
    const { status, stderr } = await this.lab.exec(ROUTER, "ip", ...words);
    assert.equal(status, 0, `ip ${words.join(" ")}: ${stderr}`);
  }
}

interface NextHop {
  readonly gateway: string;
  readonly dev: string;
}

/** A table of the router. */
const HELD = "100";

/** Nobody starts pods here: of what Helm installs, the DaemonSet is enough to be seen. */
function withoutKubelets(line: string): string {
  if (!line.startsWith("helm install ")) return line;
  return `${line.replace("helm install ", "helm template --kube-version 1.36.0 --show-only templates/agent.yaml ").replace(" --wait", "")} | kubectl apply -f -`;
}

function addressOf(lab: TestLab, node: string): string {
  const host = lab.lab.scene.hosts.find(({ name }) => name === node);
  const found = host === undefined ? undefined : primaryAddress(host, "IPv4");
  return found === undefined ? assert.fail(`${node} has no address`) : formatAddress(found.address);
}
