/**
 * What MetalLB's speakers know of each other and announce, by their logs: a speaker that has just been started thinks that it is alone, takes every
 * address, and gives back what is not its own when it has met the others - by what it is told at its start, or by its next attempt, a minute later.
 */
import { readFile } from "node:fs/promises";
import type { Lab } from "../../lab.ts";
import { waitFor } from "../../wait.ts";
import { nodesOf } from "./start.ts";

export interface Speaker {
  /** The nodes whose speakers it knows, its own too. */
  readonly knows: ReadonlySet<string>;
  /** It has gone through all Services since it knows them. */
  readonly acted: boolean;
  /** Addresses that it announces by layer 2. */
  readonly announces: ReadonlySet<string>;
}

/** By node. */
export type ReadLogs = () => Promise<ReadonlyMap<string, string>>;

const REJOIN_MILLISECONDS = 60_000;

/**
 * Waits until each speaker knows all others and has acted on it, and each of the addresses has one announcer by layer 2; who announces which.
 * `logs`: by default those of speakers that the lab has started.
 */
export async function waitForSpeakers(
  lab: Lab,
  addresses: readonly string[],
  logs: ReadLogs = () => logsOf(lab),
): Promise<ReadonlyMap<string, string>> {
  const nodes = nodesOf(lab).map(({ name }) => name);
  let wrong: readonly string[] = [];
  return waitFor(
    "MetalLB's speakers to know each other",
    async () => {
      const speakers = new Map([...(await logs())].map(([node, log]) => [node, readSpeaker(log)]));
      wrong = disagreements(speakers, nodes, addresses);
      return wrong.length > 0 ? undefined : announcersOf(speakers, addresses);
    },
    { milliseconds: 2 * REJOIN_MILLISECONDS, every: 200, explain: () => wrong.join("; ") },
  );
}

async function logsOf(lab: Lab): Promise<ReadonlyMap<string, string>> {
  const read = async ({ name }: { readonly name: string }): Promise<[string, string]> => [
    name,
    await readFile(lab.paths.log(name, "metallb-speaker"), "utf8"),
  ];
  return new Map(await Promise.all(nodesOf(lab).map(read)));
}

/** What is not as it should be, for people. */
export function disagreements(
  speakers: ReadonlyMap<string, Speaker>,
  nodes: readonly string[],
  addresses: readonly string[],
): readonly string[] {
  const wrong: string[] = [];
  for (const node of nodes) {
    const { knows, acted } = speakers.get(node) ?? NOBODY;
    const unknown = nodes.filter((each) => !knows.has(each));
    if (unknown.length > 0) wrong.push(`the speaker of ${node} does not know ${unknown.join(", ")}`);
    else if (!acted) wrong.push(`the speaker of ${node} has not acted on whom it knows`);
  }
  for (const address of addresses) {
    const announcers = announcing(speakers, address);
    if (announcers.length !== 1) wrong.push(`${address} is announced by ${announcers.join(" and ") || "nobody"}`);
  }
  return wrong;
}

function announcersOf(
  speakers: ReadonlyMap<string, Speaker>,
  addresses: readonly string[],
): ReadonlyMap<string, string> {
  return new Map(addresses.flatMap((address) => announcing(speakers, address).map((node) => [address, node] as const)));
}

function announcing(speakers: ReadonlyMap<string, Speaker>, address: string): readonly string[] {
  return [...speakers].filter(([, { announces }]) => announces.has(address)).map(([node]) => node);
}

const NOBODY: Speaker = { knows: new Set(), acted: false, announces: new Set() };

/** The log of a speaker that may have been started several times: what counts is the last. */
export function readSpeaker(log: string): Speaker {
  const knows = new Set<string>();
  const announces = new Set<string>();
  let review: "due" | "begun" | "done" = "due";
  for (const line of log.split("\n").flatMap(parseLine)) {
    const { msg = "", "node event": change, "node name": node = "", event, protocol } = line;
    if (msg.startsWith("MetalLB speaker starting") || msg === "leaving memberlist cluster") {
      knows.clear();
      announces.clear();
      review = "due";
    } else if (change !== undefined) {
      if (change === "NodeLeave") knows.delete(node);
      else knows.add(node);
      // One that is under way may have begun without this.
      review = "due";
    } else if (line.controller === "ServiceReconciler - reprocessAll") {
      if ("start reconcile" in line) {
        // It names all that it announces, but not all that it no longer does.
        announces.clear();
        review = "begun";
      } else if ("end reconcile" in line && review === "begun") review = "done";
    } else if (event === "serviceAnnounced" && protocol === "layer2")
      for (const ip of line.ips ?? []) announces.add(ip);
    else if (event === "serviceWithdrawn") for (const ip of line.ip ?? []) announces.delete(ip);
  }
  return { knows, acted: review === "done", announces };
}

interface Line {
  readonly msg?: string;
  readonly "node event"?: string;
  readonly "node name"?: string;
  readonly controller?: string;
  readonly event?: string;
  readonly protocol?: string;
  readonly ips?: readonly string[];
  readonly ip?: readonly string[];
}

/** The last line may be half written, and FRR beside it writes what it likes. */
function parseLine(text: string): readonly Line[] {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === "object" && line !== null ? [line] : [];
  } catch {
    return [];
  }
}
