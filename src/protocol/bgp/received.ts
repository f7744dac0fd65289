/**
 * What a peer has told us. A speaker that originates needs none of it: it is counted, a little is kept to be looked at, and
 * a configured limit ends the session (RFC 4486 §4). Memory does not grow with what a peer sends.
 */
import { formatAddress, type Family } from "../../net/address.ts";
import { formatPrefix } from "../../net/prefix.ts";
import { Writer } from "../../bytes/writer.ts";
import { bgpError, type BgpError } from "./error.ts";
import { afiSafiNumbers } from "./family.ts";
import { routesOf, type Update } from "./update.ts";

/** Beyond these, routes are no longer told apart and not shown. */
const KEPT_MAX = 1000;

export class ReceivedRoutes {
  readonly #kept: Record<Family, Map<string, string>> = { IPv4: new Map(), IPv6: new Map() };
  /** Announced less withdrawn, of those not kept. */
  readonly #others: Record<Family, number> = { IPv4: 0, IPv6: 0 };

  /** Returns the error that a peer over its limit gets. */
  add(update: Update, limit: number | undefined): BgpError | undefined {
    const { announced, withdrawn } = routesOf(update);
    for (const { prefix, nextHop } of announced) {
      const kept = this.#kept[prefix.family];
      const name = formatPrefix(prefix);
      if (kept.has(name) || kept.size < Math.max(KEPT_MAX, limit ?? 0)) kept.set(name, formatAddress(nextHop.address));
      else this.#others[prefix.family] += 1;
      if (limit !== undefined && this.count(prefix.family) > limit) return overLimit(prefix.family, limit);
    }
    for (const prefix of withdrawn) {
      if (this.#kept[prefix.family].delete(formatPrefix(prefix))) continue;
      // What was announced twice counted twice: an estimate, and never below nothing.
      this.#others[prefix.family] = Math.max(0, this.#others[prefix.family] - 1);
    }
    return undefined;
  }

  count(family: Family): number {
    return this.#kept[family].size + this.#others[family];
  }

  rows(): readonly { readonly prefix: string; readonly nextHop: string }[] {
    return [...this.#kept.IPv4, ...this.#kept.IPv6].map(([prefix, nextHop]) => ({ prefix, nextHop }));
  }
}

function overLimit(family: Family, limit: number): BgpError {
  const [afi, safi] = afiSafiNumbers(family);
  const data = new Writer(7).u16(afi).u8(safi).u32(limit).finish();
  return bgpError("cease", "maximumPrefixes", `the peer sent more than ${limit} ${family} routes`, data);
}
