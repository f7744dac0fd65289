/**
 * Pools that give a Service addresses by themselves, best first: those with a scope it is in, by priority, then the others.
 * Lists are made once for each namespace, and each remembers how far from its start nothing is left.
 */
import type { Claim } from "./claim.ts";
import { poolAllows, type Pool, type PoolSet } from "./pools.ts";

export interface Candidates {
  readonly scoped: Shortlist;
  readonly plain: Shortlist;
  /** All that allow the Service. */
  allowed(claim: Claim): readonly Pool[];
  /** Those of them that have addresses of every family of the Service, in use or not. */
  suitable(claim: Claim): readonly Pool[];
}

export class CandidateIndex {
  readonly #scoped: readonly Pool[];
  readonly #plain: Shortlist;
  readonly #byNamespace = new Map<string, Candidates>();

  constructor({ pools }: PoolSet) {
    const open = pools.filter((pool) => pool.autoAssign && pool.closedBecause === undefined);
    // toSorted is stable: pools of one priority, and pools without a scope, keep the order of the set.
    this.#scoped = open.filter((pool) => pool.scope !== undefined).toSorted((a, b) => rank(a) - rank(b));
    this.#plain = new Shortlist(open.filter((pool) => pool.scope === undefined));
  }

  of({ namespace }: Claim): Candidates {
    const known = this.#byNamespace.get(namespace);
    if (known !== undefined) return known;
    const pools = this.#scoped.filter(({ scope }) => scope?.namespaces?.has(namespace) !== false);
    const candidates = candidatesOf(new Shortlist(pools), this.#plain);
    this.#byNamespace.set(namespace, candidates);
    return candidates;
  }
}

/** Many Services get the same lists where their labels do not matter: there may be thousands of each. */
function candidatesOf(scoped: Shortlist, plain: Shortlist): Candidates {
  const all = [...scoped.pools, ...plain.pools];
  const selective = scoped.pools.some(({ scope }) => scope?.serviceSelectors !== undefined);
  const byFamilies = new Map<string, readonly Pool[]>();
  const allowed = ({ namespace, labels }: Claim): readonly Pool[] =>
    selective ? all.filter((pool) => poolAllows(pool, namespace, labels)) : all;
  const suitable = (claim: Claim): readonly Pool[] => {
    const key = claim.families.join();
    const known = selective ? undefined : byFamilies.get(key);
    if (known !== undefined) return known;
    const pools = allowed(claim).filter(({ families }) => claim.families.every((family) => families.has(family)));
    byFamilies.set(key, pools);
    return pools;
  };
  return { scoped, plain, allowed, suitable };
}

/** An ordered list of pools. `releases` is what {@link Occupancy} counts: when it has grown, nothing is known any more. */
export class Shortlist {
  readonly pools: readonly Pool[];
  readonly #useless = new Map<string, { readonly count: number; readonly releases: number }>();

  constructor(pools: readonly Pool[]) {
    this.pools = pools;
  }

  /** So many pools, from the first, have nothing for Services of this kind. */
  useless(kind: string, releases: number): number {
    const known = this.#useless.get(kind);
    return known?.releases === releases ? known.count : 0;
  }

  remember(kind: string, releases: number, count: number): void {
    this.#useless.set(kind, { count, releases });
  }
}

/** 0, the default, comes after every positive priority. */
function rank(pool: Pool): number {
  const priority = pool.scope?.priority ?? 0;
  return priority > 0 ? priority : Number.MAX_SAFE_INTEGER;
}
