/**
 * In which order Services are written: who gives an address up before who gets it, so that at no moment two Services list an
 * address that they may not share, also when the controller stops in between.
 */

export interface Change {
  readonly key: string;
  /** Addresses as text. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** As few changes of order as that takes. Of Services that would have to wait for each other, which does not happen, any is first. */
export function releasesFirst<C extends Change>(changes: readonly C[]): readonly C[] {
  const givers = new Map<string, C[]>();
  for (const change of changes)
    for (const address of change.before)
      if (!change.after.includes(address)) givers.set(address, [...(givers.get(address) ?? []), change]);
  if (givers.size === 0) return changes;
  const ordered: C[] = [];
  const seen = new Set<C>();
  for (const change of changes) {
    // Depth first, without recursion: a chain may be as long as there are Services.
    const stack = [{ change, entered: false }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      if (top.entered) ordered.push(top.change);
      if (top.entered || seen.has(top.change)) continue;
      seen.add(top.change);
      stack.push({ change: top.change, entered: true });
      for (const giver of giversFor(top.change, givers)) stack.push({ change: giver, entered: false });
    }
  }
  return ordered;
}

/** Who gives up what this one gets. */
function giversFor<C extends Change>({ before, after }: C, givers: ReadonlyMap<string, readonly C[]>): readonly C[] {
  return after.filter((address) => !before.includes(address)).flatMap((address) => givers.get(address) ?? []);
}
