/**
 * What goes on in a lab, from outside: its Services as the manifest folders and the controller's state have them, the agents' local API,
 * and who really answers for an address - the neighbour table of a client, not what an agent says about itself.
 */
import { get } from "node:http";
import { readdir } from "node:fs/promises";
import type { ApiDocuments } from "../src/observe/status.ts";
import { openFolderSource } from "../src/source/manifests/folder.ts";
import type { Service } from "../src/service/objects.ts";
import { endedPrograms } from "./lab.ts";
import type { Lab } from "./lab.ts";
import { LabError } from "./lab-error.ts";
import { runIn } from "./network.ts";
import { namespaceOf } from "./plan.ts";
import { listPrograms, sameProcess } from "./programs.ts";
import { waitFor } from "./wait.ts";
import type { Waiting } from "./wait.ts";

export interface ServiceAddresses {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly name?: string; readonly port: number; readonly protocol: string }[];
  readonly externalTrafficPolicy: string;
  readonly wanted: number;
}

export interface LabStatus {
  readonly name: string;
  readonly scene: string;
  readonly startedAt: string;
  readonly phase: string;
  readonly detached: boolean;
  readonly hosts: readonly {
    readonly name: string;
    readonly role: string;
    readonly state: "up" | "down";
    readonly addresses: readonly string[];
    readonly programs: readonly {
      readonly program: string;
      readonly pid: number;
      readonly state: "running" | "ended";
    }[];
  }[];
  readonly services: readonly ServiceAddresses[];
}

/** The LoadBalancer Services with the addresses they have got. */
export async function readServices(lab: Lab): Promise<readonly ServiceAddresses[]> {
  const source = await openFolderSource({
    manifests: [...lab.scene.manifests, lab.paths.manifests],
    state: lab.paths.state,
  });
  try {
    return [...source.snapshot().services.values()]
      .filter((each) => each.spec.type === "LoadBalancer")
      .map(serviceAddresses);
  } finally {
    await source.close();
  }
}

export async function readStatus(lab: Lab): Promise<LabStatus> {
  const programs = await Promise.all(
    (await listPrograms(lab.paths.programs)).map(async (each) => ({
      ...each,
      state: (await sameProcess(each)) ? ("running" as const) : ("ended" as const),
    })),
  );
  const down = await readdir(lab.paths.down);
  const programsOf = (host: string) =>
    programs.filter((each) => each.host === host).map(({ program, pid, state }) => ({ program, pid, state }));
  const members = lab.plan.namespaces.filter((each) => each.kind !== "segment");
  const { name, record } = lab;
  return {
    name,
    scene: lab.scene.name,
    startedAt: record.startedAt,
    phase: record.phase,
    detached: record.owner === undefined,
    hosts: members.map(({ member, kind }) => {
      const node = lab.scene.pods.find((pod) => pod.name === member)?.node ?? member;
      return {
        name: member,
        role: kind,
        state: down.includes(node) ? "down" : "up",
        addresses: addressesOf(lab, member),
        programs: programsOf(member),
      };
    }),
    services: await readServices(lab),
  };
}

/** One document of an agent's local API; `undefined` while it does not answer. */
export async function readAgent<P extends keyof ApiDocuments>(
  lab: Lab,
  node: string,
  path: P,
  query = "",
): Promise<ApiDocuments[P] | undefined> {
  const text = await new Promise<string | undefined>((resolve) => {
    const request = get({ socketPath: lab.paths.socket(node), path: `${path}${query}`, timeout: 2000 }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve(response.statusCode === 200 ? body : undefined));
      response.on("error", () => resolve(undefined));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
  return text === undefined ? undefined : (JSON.parse(text) as ApiDocuments[P]);
}

/** As it stands in the nodes' maps: for each address the nodes that answer for it. */
export async function readAnnouncers(lab: Lab): Promise<ReadonlyMap<string, readonly string[]>> {
  const announcers = new Map<string, string[]>();
  for (const node of agentNodes(lab)) {
    for (const { address } of (await readAgent(lab, node, "/v1/bpf/announced")) ?? []) {
      const nodes = announcers.get(address) ?? [];
      if (!nodes.includes(node)) announcers.set(address, [...nodes, node]);
    }
  }
  return announcers;
}

/** Waits until each of the addresses is announced, by one node: agents that have just started wait for each other first. */
export async function waitForAnnouncers(lab: Lab, addresses: readonly string[], waiting: Waiting = {}): Promise<void> {
  let missing: readonly string[] = addresses;
  await waitFor(
    "every address to be announced by one node",
    async () => {
      const announcers = await readAnnouncers(lab);
      missing = addresses.filter((each) => announcers.get(each)?.length !== 1);
      return missing.length === 0 ? true : undefined;
    },
    { ...waiting, explain: () => `not so: ${missing.join(" ")}` },
  );
}

/** The names of the nodes with an agent. */
export function agentNodes(lab: Lab): readonly string[] {
  return lab.scene.hosts.filter((host) => host.agent).map((host) => host.name);
}

/** Waits until every agent has its tables in the kernel. A program that ends meanwhile ends the waiting, with its last words. */
export async function waitForAgents(lab: Lab, waiting: Waiting = {}): Promise<void> {
  const nodes = agentNodes(lab);
  let missing: readonly string[] = nodes;
  await waitFor(
    `the agents on ${nodes.join(", ")}`,
    async () => {
      await requireRunning(lab);
      const ready = await Promise.all(
        nodes.map(async (node) => (await readAgent(lab, node, "/v1/status"))?.ready === true),
      );
      missing = nodes.filter((_node, index) => ready[index] !== true);
      return missing.length === 0 ? true : undefined;
    },
    { milliseconds: 60_000, ...waiting, explain: () => `not ready: ${missing.join(", ")}` },
  );
}

/** Waits until every LoadBalancer Service has as many addresses as it asks for. */
export async function waitForAddresses(lab: Lab, waiting: Waiting = {}): Promise<readonly ServiceAddresses[]> {
  let services: readonly ServiceAddresses[] = [];
  return waitFor(
    "addresses of all Services",
    async () => {
      await requireRunning(lab);
      services = await readServices(lab);
      return services.every((each) => each.addresses.length >= each.wanted) ? services : undefined;
    },
    {
      ...waiting,
      explain: () =>
        `without: ${services
          .filter((each) => each.addresses.length < each.wanted)
          .map((each) => `${each.namespace}/${each.name}`)
          .join(", ")}`,
    },
  );
}

/** The host whose MAC address a client has for an address; `undefined` while it has none. */
export async function neighborOf(lab: Lab, client: string, address: string): Promise<string | undefined> {
  const { stdout } = await runIn(namespaceOf(lab.name, client), ["ip", "-j", "neigh", "show", "to", address]);
  const rows = JSON.parse(stdout === "" ? "[]" : stdout) as readonly {
    readonly lladdr?: string;
    readonly state: readonly string[];
  }[];
  const mac = rows.find((row) => row.lladdr !== undefined && !row.state.includes("FAILED"))?.lladdr;
  return mac === undefined ? undefined : hostOfMac(lab, mac);
}

/** The host that has this MAC address on one of its cables. */
export function hostOfMac(lab: Lab, mac: string): string | undefined {
  return lab.plan.cables.flatMap(({ near, far }) => [near, far]).find((end) => end.mac === mac)?.member;
}

async function requireRunning(lab: Lab): Promise<void> {
  const ended = await endedPrograms(lab);
  if (ended.length > 0) throw new LabError(ended.join("\n\n"));
}

function addressesOf(lab: Lab, member: string): readonly string[] {
  const host = lab.scene.hosts.find((each) => each.name === member);
  if (host !== undefined) return host.interfaces.flatMap((each) => each.addresses.map((one) => one.text));
  const lines = lab.plan.namespaces.find((each) => each.member === member)?.configure ?? [];
  return lines.flatMap((line) => (line.startsWith("addr replace ") ? [line.split(" ")[2] ?? ""] : []));
}

function serviceAddresses(service: Service): ServiceAddresses {
  const { metadata, spec, status } = service;
  const dual = spec.ipFamilyPolicy === "RequireDualStack" || spec.ipFamilies.length > 1;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    addresses: status.loadBalancer.ingress.flatMap((each) => each.ip ?? []),
    ports: spec.ports.map((each) => ({
      ...(each.name === undefined ? {} : { name: each.name }),
      port: each.port,
      protocol: each.protocol,
    })),
    externalTrafficPolicy: spec.externalTrafficPolicy,
    wanted: dual ? 2 : 1,
  };
}
