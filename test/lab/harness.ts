/**
 * Labs for tests. A failing test prints the topology, the end of every log and the last packets on the wire.
 *
 *     withLab("l2", {}, async (lab) => { … })      one lab, one body
 *     labSuite("…", "l2", {}, (it) => { … })       one lab for all tests of a suite, in order
 *
 * Facts are asserted from outside: what a client was answered, whose MAC address it has learned.
 */
import assert from "node:assert/strict";
import { access, readFile, readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { EVERYTHING_READY, type Conditions } from "../../lab/cluster-objects.ts";
import { applyFault } from "../../lab/fault.ts";
import type { Fault } from "../../lab/fault.ts";
import { kubeletHosts } from "../../lab/kubernetes/start.ts";
import { bringUp, memberPlan, takeDown } from "../../lab/lab.ts";
import type { Lab } from "../../lab/lab.ts";
import { runIn } from "../../lab/network.ts";
import {
  agentNodes,
  neighborOf,
  readAgent,
  readServices,
  waitForAddresses,
  waitForAgents,
  waitForAnnouncers,
} from "../../lab/observe.ts";
import type { ServiceAddresses } from "../../lab/observe.ts";
import type { RequestPlan, RequestResult } from "../../lab/requester.ts";
import { routingEnvironment } from "../../lab/routing.ts";
import { routersOf, waitForNextHops } from "../../lab/routes.ts";
import { startRequests } from "../../lab/requests.ts";
import type { Requests } from "../../lab/requests.ts";
import { pathsOf } from "../../lab/run-directory.ts";
import { readScene } from "../../lab/scene-file.ts";
import { primaryAddress, type Scene } from "../../lab/scene.ts";
import { waitFor } from "../../lab/wait.ts";
import { formatAddress } from "../../src/net/address.ts";
import type { ApiDocuments } from "../../src/observe/status.ts";
import type { ClusterAccess, WorkingPod } from "./access.ts";
import { explanation, startCapture } from "./explanation.ts";
import { FolderAccess } from "./folder-access.ts";
import { KubectlAccess } from "./kubectl-access.ts";

export interface LabOptions {
  /** Default true. */
  readonly agents?: boolean;
  readonly agentArguments?: readonly string[];
  /** Default true. A capture costs a lot where a test moves a lot. */
  readonly capture?: boolean;
}

/** Adds a test to a suite. Tests that more than one scene passes are functions of this: test/lab/suites/. */
export type DefineTest = (name: string, body: (lab: TestLab) => Promise<void>) => void;

let counter = 0;

/** A name that no other test process uses at the same time. */
export function uniqueName(): string {
  counter += 1;
  return `t${process.pid.toString(36)}n${counter}`;
}

export async function loadScene(nameOrPath: string): Promise<Scene> {
  const read = await readScene(nameOrPath);
  assert.ok(read.ok, read.ok ? "" : JSON.stringify(read.problems));
  return read.scene;
}

/** Everything on the machine that carries a lab's name. */
export async function traces(name: string): Promise<readonly string[]> {
  const namespaces = (await readdir("/run/netns")).filter((each) => each.startsWith(`fl-${name}-`));
  const mounts = (await readFile("/proc/self/mounts", "utf8"))
    .split("\n")
    .filter((line) => line.includes(`/lab/${name}/`));
  const folder = await access(pathsOf(name).root).then(
    () => [pathsOf(name).root],
    () => [],
  );
  return [...namespaces, ...mounts, ...folder];
}

/** Brings a lab up for one body and takes it down again, whatever happens. */
export async function withLab(
  scene: string,
  options: LabOptions,
  body: (lab: TestLab) => Promise<void>,
): Promise<void> {
  const lab = await raise(scene, options);
  try {
    await body(lab).catch((error: unknown) => lab.explain(error));
  } finally {
    await takeDown(lab.lab.name);
  }
}

/** Tests that share a lab and run in order. The lab's agents are ready and all Services have their addresses before the first. */
export function labSuite(name: string, scene: string, options: LabOptions, define: (it: DefineTest) => void): void {
  describe(name, () => {
    let lab: TestLab | undefined;
    before(async () => {
      lab = await raise(scene, options);
    });
    after(async () => {
      if (lab !== undefined) await takeDown(lab.lab.name);
    });
    define((title, body) => {
      test(title, async () => {
        assert.ok(lab !== undefined, "the lab did not come up");
        const up = lab;
        await body(up).catch((error: unknown) => up.explain(error));
      });
    });
  });
}

async function raise(sceneName: string, options: LabOptions): Promise<TestLab> {
  const agents = options.agents ?? true;
  const scene = await loadScene(sceneName);
  const lab = new TestLab(
    await bringUp({
      name: uniqueName(),
      scene,
      agents,
      agentArguments: options.agentArguments ?? [],
      owner: "self",
      report: () => undefined,
    }),
  );
  try {
    if (options.capture ?? true) await startCapture(lab.lab);
    if (agents) await lab.settle();
    return lab;
  } catch (error) {
    const explained = await lab.explain(error).catch((each: unknown) => each);
    await takeDown(lab.lab.name);
    throw explained;
  }
}

/** A lab with what tests ask of it. */
export class TestLab {
  readonly lab: Lab;
  readonly client: string;
  /** The nodes with an agent. */
  readonly nodes: readonly string[];
  /** Its cluster, real or played. */
  readonly cluster: ClusterAccess;

  constructor(lab: Lab) {
    this.lab = lab;
    this.nodes = agentNodes(lab);
    this.cluster = kubeletHosts(lab).length > 0 ? new KubectlAccess(lab) : new FolderAccess(lab);
    this.client = lab.scene.hosts.find((host) => host.role === "client")?.name ?? "";
  }

  /**
   * Every agent ready, every Service with its addresses, each of them announced by one node: agents wait for each other at first. Where
   * there are routers, the one that faces the client has a route to every node for each of them.
   */
  async settle(): Promise<void> {
    await waitForAgents(this.lab);
    const services = await waitForAddresses(this.lab);
    const addresses = services.flatMap((each) => each.addresses);
    const [router] = routersOf(this.lab);
    await (router === undefined
      ? waitForAnnouncers(this.lab, addresses)
      : waitForNextHops(this.lab, router, addresses, agentNodes(this.lab)));
  }

  exec(
    host: string,
    ...command: readonly string[]
  ): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
    return runIn(memberPlan(this.lab, host).namespace, command, { environment: routingEnvironment(this.lab, host) });
  }

  /** Requests from a host, by default one; all results. */
  requests(plan: RequestPlan, from = this.client): Promise<readonly RequestResult[]> {
    return startRequests(this.lab, from, plan).done;
  }

  start(plan: RequestPlan, from = this.client): Requests {
    return startRequests(this.lab, from, plan);
  }

  /** One request that must be answered. */
  async ask(plan: RequestPlan, from = this.client): Promise<RequestResult> {
    const [result] = await this.requests({ ...plan, count: 1 }, from);
    assert.ok(
      result?.ok === true,
      `${from} asked ${plan.protocol} ${plan.address} port ${plan.port} from port ${result?.sourcePort ?? "(unknown)"}: ${result?.error ?? "no result"}`,
    );
    return result;
  }

  /** Asks until an answer is as wanted; the last answer is in the failure. */
  async askUntil(
    what: string,
    plan: RequestPlan,
    wanted: (result: RequestResult) => boolean,
    milliseconds = 10_000,
  ): Promise<RequestResult> {
    let last: RequestResult | undefined;
    return waitFor(
      what,
      async () => {
        [last] = await this.requests({ timeoutMilliseconds: 500, ...plan, count: 1 });
        return last !== undefined && wanted(last) ? last : undefined;
      },
      { milliseconds, explain: () => `last: ${JSON.stringify(last)}` },
    );
  }

  services(): Promise<readonly ServiceAddresses[]> {
    return readServices(this.lab);
  }

  async service(name: string): Promise<ServiceAddresses> {
    const found = (await this.services()).find((each) => each.name === name);
    assert.ok(found !== undefined, `no Service ${name}`);
    return found;
  }

  /** The Service's address of a family. */
  async address(name: string, family: "IPv4" | "IPv6" = "IPv4"): Promise<string> {
    const { addresses } = await this.service(name);
    const found = addresses.find((each) => each.includes(":") === (family === "IPv6"));
    assert.ok(found !== undefined, `Service ${name} has no ${family} address: ${addresses.join(" ")}`);
    return found;
  }

  async fault(host: string, fault: Fault, device?: string): Promise<void> {
    await applyFault(this.lab, host, fault, device);
    await this.cluster.settleAfter(host, fault);
  }

  /** Applies a manifest of the test's own. */
  write(file: string, text: string): Promise<void> {
    return this.cluster.write(file, text);
  }

  remove(file: string): Promise<void> {
    return this.cluster.remove(file);
  }

  /** What becomes of pods and nodes; without a word they are as they were. */
  conditions(conditions: Partial<Conditions>): Promise<void> {
    return this.cluster.conditions({ ...EVERYTHING_READY, ...conditions });
  }

  pods(): Promise<readonly WorkingPod[]> {
    return this.cluster.pods();
  }

  /** A host's own address on the first segment. */
  hostAddress(host: string, family: "IPv4" | "IPv6"): string {
    const found = this.lab.scene.hosts.find(({ name }) => name === host);
    const own = found === undefined ? undefined : primaryAddress(found, family);
    assert.ok(own !== undefined, `${host} has no ${family} address`);
    return formatAddress(own.address);
  }

  /** One request from a pod that must be answered. */
  async askFromPod(plan: RequestPlan, pod: string): Promise<RequestResult> {
    const said = await this.cluster.inPod(pod, [...this.cluster.requester, JSON.stringify({ ...plan, count: 1 })]);
    const result = JSON.parse(said) as RequestResult;
    assert.ok(result.ok, `${pod} asked ${plan.protocol} ${plan.address} port ${plan.port}: ${result.error ?? ""}`);
    return result;
  }

  agent<P extends keyof ApiDocuments>(node: string, path: P, query = ""): Promise<ApiDocuments[P] | undefined> {
    return readAgent(this.lab, node, path, query);
  }

  /** The host that answers when a client asks anew who has this address. */
  async announcer(address: string, port: number): Promise<string> {
    await this.exec(this.client, "ip", "neigh", "flush", "to", address);
    return waitFor(`somebody to answer for ${address}`, async () => {
      await this.requests({ protocol: "TCP", address, port, timeoutMilliseconds: 300 });
      return neighborOf(this.lab, this.client, address);
    });
  }

  /** Throws the error again with all that helps to understand it. */
  async explain(error: unknown): Promise<never> {
    const parts = await explanation(this.lab, this.client);
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${parts.join("\n\n")}`, {
      cause: error,
    });
  }
}
