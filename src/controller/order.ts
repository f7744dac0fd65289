/**
 * In which order Services are written: who gives an address up before who gets it, so that at no moment two Services list an
 * address that they may not share, also when the controller stops in between. And of two that give up the same address, first who had
 * less right to it: after a stop in between it would find the address free, and keep what was not its own.
 */
import { forEach, type Sliced } from "../time/slices.ts";

export interface Change {
  readonly key: string;
  /** Addresses as text. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** A controller of ours gave it its addresses; else its status came from elsewhere. */
  readonly established: boolean;
}

export function released({ before, after }: Change): readonly string[] {
  return before.filter((address) => !after.includes(address));
}

export function taken({ before, after }: Change): readonly string[] {
  return after.filter((address) => !before.includes(address));
}

/** So many changes are put in order between two pauses. */
const CHANGES_A_STEP = 200;

/** As few changes of order as that takes. Of Services that would have to wait for each other, which does not happen, any is first. */
export function* releasesFirst<C extends Change>(changes: readonly C[]): Sliced<readonly C[]> {
  const givers = yield* giversByAddress(changes);
  if (givers.size === 0) return changes;
  const ordered: C[] = [];
  const seen = new Set<C>();
  for (const change of changes) {
    // Depth first, without recursion: a chain may be as long as there are Services.
    const stack = [{ change, entered: false }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      if (top.entered && ordered.push(top.change) % CHANGES_A_STEP === 0) yield;
      if (top.entered || seen.has(top.change)) continue;
      seen.add(top.change);
      stack.push({ change: top.change, entered: true });
      for (const first of [...takeGivers(top.change, givers), ...usurpers(top.change, givers)])
        stack.push({ change: first, entered: false });
    }
  }
  return ordered;
}

function* giversByAddress<C extends Change>(changes: readonly C[]): Sliced<Map<string, C[]>> {
  const givers = new Map<string, C[]>();
  yield* forEach(changes, CHANGES_A_STEP, (change) => {
    for (const address of released(change)) {
      const list = givers.get(address);
      if (list === undefined) givers.set(address, [change]);
      else list.push(change);
    }
  });
  return givers;
}

/** Who gives up what this one gives up, and never had a right to it. */
function usurpers<C extends Change>(change: C, givers: ReadonlyMap<string, readonly C[]>): readonly C[] {
  if (!change.established) return [];
  return released(change).flatMap((address) => (givers.get(address) ?? []).filter((giver) => !giver.established));
}

/** Who gives up what this one gets; each address once, as whoever gets it too comes later. */
function takeGivers<C extends Change>(change: C, givers: Map<string, C[]>): readonly C[] {
  return taken(change).flatMap((address) => {
    const list = givers.get(address) ?? [];
    givers.delete(address);
    return list;
  });
}
