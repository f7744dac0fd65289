/**
 * Elections of a large cluster as an agent computes them, beside all of them with every name (what an agent did before it knew better): the first,
 * and those after a node went and came back. Both of the product's own code; that they agree is checked on the way.
 */
import { hash } from "node:crypto";
import { ANOTHER } from "../src/announce/contest.ts";
import {
  electingAnnouncers,
  electingOwn,
  emptyElectionMemo,
  type Announcer,
  type Election,
  type ElectionInput,
} from "../src/announce/election.ts";
import { l2AdvertisementSchema } from "../src/announce/objects.ts";
import { ipAddressPoolSchema } from "../src/pool/objects.ts";
import { nodeSchema } from "../src/service/objects.ts";
import type { Sliced } from "../src/time/slices.ts";
import { clusterObjects, type ClusterSize } from "./cluster.ts";

export interface ElectionSample {
  readonly milliseconds: number;
  readonly hashes: number;
  /** Without a place where it could have been paused. */
  readonly longestStepMilliseconds: number;
}

export const ELECTION_EVENTS = ["first", "goes", "comes"] as const;

export interface ElectionResult {
  readonly own: Readonly<Record<(typeof ELECTION_EVENTS)[number], ElectionSample>>;
  readonly all: Readonly<Record<(typeof ELECTION_EVENTS)[number], ElectionSample>>;
  /** Addresses of the node that asks. */
  readonly won: number;
}

const SELF = "node-0";
const system = (name: string): object => ({ namespace: "metallb-system", name });

export interface ElectionSize extends ClusterSize {
  readonly nodes: number;
}

export function measureElection(size: ElectionSize): ElectionResult {
  const input = electionInput(size);
  const names = [...input.nodes.keys()];
  // One that announces a fair share of the addresses, as any other.
  const without = names.toSpliced(Math.floor(names.length / 2), 1);
  const moments = [names, without, names].map((list) => new Set(list));
  let hashes = 0;
  const sha256 = (text: string): Uint8Array => {
    hashes += 1;
    return hash("sha256", text, "buffer");
  };
  const measure = <A extends Announcer>(
    elect: (alive: ReadonlySet<string>) => Sliced<ReadonlyMap<string, Election<A>>>,
  ): { samples: ElectionSample[]; elections: ReadonlyMap<string, Election<A>>[] } => {
    const outcomes = moments.map((alive) => {
      const before = hashes;
      const { result, ...times } = timed(elect(alive));
      return { elections: result, sample: { ...times, hashes: hashes - before } };
    });
    return { samples: outcomes.map(({ sample }) => sample), elections: outcomes.map(({ elections }) => elections) };
  };
  const [ownMemo, allMemo] = [emptyElectionMemo<Announcer>(), emptyElectionMemo()];
  const self = { nodeName: SELF, sha256 };
  const own = measure((alive) => electingOwn(input, { alive }, self, ownMemo));
  const all = measure((alive) => electingAnnouncers(input, { alive }, sha256, allMemo));
  for (const [index, elections] of own.elections.entries()) expectAgreement(elections, all.elections[index]);
  const won = [...(own.elections[0]?.values() ?? [])].filter(({ announcer }) => announcer === SELF).length;
  return { own: byEvent(own.samples), all: byEvent(all.samples), won };
}

function timed<T>(work: Sliced<T>): { readonly result: T } & Omit<ElectionSample, "hashes"> {
  const start = performance.now();
  let longestStepMilliseconds = 0;
  for (let before = start; ;) {
    const step = work.next();
    const now = performance.now();
    longestStepMilliseconds = Math.max(longestStepMilliseconds, now - before);
    before = now;
    if (step.done === true) return { result: step.value, milliseconds: now - start, longestStepMilliseconds };
  }
}

function byEvent(samples: readonly ElectionSample[]): ElectionResult["own"] {
  const [first, goes, comes] = samples;
  if (first === undefined || goes === undefined || comes === undefined) throw new Error("An election was not measured");
  return { first, goes, comes };
}

function expectAgreement(
  own: ReadonlyMap<string, Election<Announcer>>,
  all: ReadonlyMap<string, Election> | undefined,
): void {
  for (const [key, { announcer }] of all ?? []) {
    const expected = announcer === undefined || announcer === SELF ? announcer : ANOTHER;
    if (own.get(key)?.announcer !== expected) throw new Error(`Two elections of ${key} do not agree`);
  }
}

export function electionInput(size: ElectionSize): ElectionInput {
  const nodes = Array.from({ length: size.nodes }, (_, number) => `node-${number}`);
  const pool = ipAddressPoolSchema.parse({ metadata: system("bench"), spec: { addresses: ["172.16.0.0/16"] } });
  const advertisement = l2AdvertisementSchema.parse({ metadata: system("bench"), spec: { ipAddressPools: ["bench"] } });
  return {
    ...clusterObjects(size),
    nodes: new Map(nodes.map((name) => [name, nodeSchema.parse({ metadata: { name } })])),
    ipAddressPools: new Map([["metallb-system/bench", pool]]),
    l2Advertisements: new Map([["metallb-system/bench", advertisement]]),
  };
}
