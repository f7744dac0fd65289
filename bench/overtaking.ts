/**
 * How long an endpoint that changes while thousands of addresses are elected takes until it is in the map: as an agent's pass goes, between two slices of
 * the election, and as it would be if it waited for the end of that. The product's own pass on real maps; the clock stops when the map says so.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { openDatapath } from "../src/agent/datapath.ts";
import { emptyMemo, type World } from "../src/agent/desired.ts";
import { passing, runPass, type PassParts } from "../src/agent/pass.ts";
import { initialState } from "../src/agent/state.ts";
import { openPinnedMap } from "../src/kernel/map.ts";
import { withChanges } from "../src/reconcile/layered-map.ts";
import { endpointSliceSchema, nodeSchema } from "../src/service/objects.ts";
import type { Snapshot } from "../src/source/source.ts";
import { inSlices } from "../src/time/slices.ts";
import { waitForSlots } from "./agent.ts";
import { serviceKey, sliceManifest } from "./cluster.ts";
import { electionInput, type ElectionSize } from "./election.ts";
import { removeBpffs } from "./leftovers.ts";
import { seeing } from "../src/protocol/swim/view.fixture.ts";

export interface OvertakingResult {
  readonly electionMilliseconds: number;
  /** From the change to the map. */
  readonly overtaking: readonly number[];
  readonly waiting: readonly number[];
}

const SELF = "node-0";
const NONE: ReadonlyMap<string, never> = new Map<string, never>();
/** Into the election. */
const CHANGE_AFTER_MS = 20;

export async function measureOvertaking(size: ElectionSize, rounds: number): Promise<OvertakingResult> {
  const bpffs = `/run/fairlead/bpf-fl-bench-${process.pid}`;
  const datapath = openDatapath({ bpffs, flowsMax: 4096 });
  try {
    using map = openPinnedMap(join(bpffs, "maps", "frontends"));
    const bench = { ...forwardingPass(size, datapath.maps), map, size };
    const [overtaking, waiting, elections]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round += 1)
      for (const [samples, overtakes] of [
        [overtaking, true],
        [waiting, false],
      ] as const) {
        const { changed, elected } = await changeWhileElecting(bench, round * 2 + Number(overtakes), overtakes);
        samples.push(changed);
        if (!overtakes) elections.push(elected);
      }
    return { electionMilliseconds: Math.max(...elections), overtaking, waiting };
  } finally {
    datapath.close();
    removeBpffs(bpffs);
  }
}

interface Bench {
  readonly parts: PassParts;
  readonly world: World;
  readonly map: Parameters<typeof waitForSlots>[0];
  readonly size: ElectionSize;
}

/** Everything is forwarded already, and nothing elected: as when an agent learns who else is there. */
function forwardingPass(
  size: ElectionSize,
  maps: Parameters<typeof initialState>[0]["maps"],
): Pick<Bench, "parts" | "world"> {
  const input = electionInput(size);
  // The node that the endpoints are on.
  const nodes = new Map(input.nodes).set("elsewhere", nodeSchema.parse({ metadata: { name: "elsewhere" } }));
  const snapshot: Snapshot = {
    ...input,
    nodes,
    ...{
      namespaces: NONE,
      secrets: NONE,
      bgpAdvertisements: NONE,
      bgpPeers: NONE,
      bfdProfiles: NONE,
      communities: NONE,
    },
    ...{ reserved: NONE, problems: [], complete: true, unread: new Set<never>() },
  };
  const members = seeing(nodes.keys());
  const world: World = { snapshot, links: [], endpoints: [], members };
  const state = initialState({ node: SELF, version: "bench", maps });
  state.membership = () => ({ ...members, complete: false, mayTake: false });
  const parts: PassParts = {
    state,
    me: {
      nodeName: SELF,
      sha256: (text) => createHash("sha256").update(text).digest(),
      devices: { exclude: /^$/, only: undefined },
      ignoreExcludeLabel: false,
      handover: false,
    },
    memo: emptyMemo(),
    attacher: { apply: () => ({ devices: [], problems: [] }) },
    announce: () => {},
  };
  runPass(parts, world);
  state.membership = () => members;
  return { parts, world };
}

async function changeWhileElecting(
  { parts: first, world, map, size }: Bench,
  number: number,
  overtakes: boolean,
): Promise<{ readonly changed: number; readonly elected: number }> {
  const { frontends, nodes } = first.memo;
  const memo = { ...emptyMemo(), frontends, nodes };
  const slice = endpointSliceSchema.parse(sliceManifest(number, size, 0));
  const endpointSlices = withChanges(world.snapshot.endpointSlices, new Map([[serviceKey(number), slice]]));
  const snapshot = { ...world.snapshot, endpointSlices };
  let news: Snapshot | undefined;
  const take = (): Snapshot | undefined => {
    const taken = news;
    news = undefined;
    return taken;
  };
  const parts: PassParts = { ...first, memo, ...(overtakes ? { news: take } : {}) };
  const start = performance.now();
  const passes = inSlices(passing(parts, world)).then(async () => {
    const elected = performance.now() - start;
    await inSlices(passing(parts, { ...world, snapshot }));
    return elected;
  });
  await sleep(CHANGE_AFTER_MS);
  const at = performance.now();
  news = snapshot;
  await waitForSlots(map, number, size.endpoints - 1);
  const changed = performance.now() - at;
  const elected = await passes;
  // And back, for the next.
  runPass(parts, world);
  return { changed, elected };
}
