/**
 * Who holds which address, who could stand beside whom, and the lowest address of a pool a Service could have.
 * The cost follows the addresses in use, never the size of a pool: ::/0 is as cheap as a /124.
 */
import { compareAddresses, formatAddress, sameAddress, type Address, type Family } from "../net/address.ts";
import { rangeContains, type Range } from "../net/range.ts";
import type { Sharing } from "./claim.ts";
import { poolMayUse, type Pool } from "./pools.ts";

interface Holder {
  readonly service: string;
  readonly sharing: Sharing;
}

/** A Service that can not be read shares with nobody. */
const NO_SHARING: Sharing = { key: "", backends: "", ports: [] };

export class Occupancy {
  readonly #holders = new Map<bigint, Holder[]>();
  readonly #held = new Map<string, { readonly addresses: readonly Address[]; readonly sharing: Sharing }>();
  /** Addresses in use under a sharing key: the only ones that can be had although they are not free. */
  readonly #shared = new Map<string, Map<bigint, Address>>();
  /** Below this nothing of the range is free. */
  readonly #cursor = new Map<Range, bigint>();

  /** Takes the addresses for the Service and gives back what it held before. They must have been found possible. */
  take(service: string, sharing: Sharing, addresses: readonly Address[]): void {
    this.release(service);
    this.#held.set(service, { addresses, sharing });
    for (const address of addresses) {
      const key = addressKey(address);
      this.#holders.set(key, [...(this.#holders.get(key) ?? []), { service, sharing }]);
      if (sharing.key !== "") mapOf(this.#shared, sharing.key).set(key, address);
    }
  }

  /** Keeps an address from everybody, for a Service that cannot be read now. */
  reserve(service: string, address: Address): void {
    const key = addressKey(address);
    if (!this.#holders.has(key)) this.#holders.set(key, [{ service, sharing: NO_SHARING }]);
  }

  release(service: string): void {
    const held = this.#held.get(service);
    if (held === undefined) return;
    this.#held.delete(service);
    for (const address of held.addresses) this.#releaseOne(service, held.sharing, address);
  }

  /** Why the Service cannot have the address, or undefined when it can. Its own holding of it is no hindrance. */
  refusal(service: string, sharing: Sharing, address: Address): string | undefined {
    for (const holder of this.#holders.get(addressKey(address)) ?? []) {
      if (holder.service === service) continue;
      const reason = sharingConflict(sharing, holder.sharing);
      if (reason !== undefined) return `${formatAddress(address)} is in use by ${holder.service}: ${reason}`;
    }
    return undefined;
  }

  /** The lowest address, in the order of the pool's ranges, that is free or can be shared. */
  lowest(pool: Pool, family: Family, service: string, sharing: Sharing): Address | undefined {
    const shareable = this.#shareable(pool, family, service, sharing);
    for (const range of pool.ranges) {
      if (range.family !== family) continue;
      const free = this.#lowestFree(pool, range);
      const joined = shareable.find((address) => rangeContains(range, address));
      if (joined !== undefined && (free === undefined || joined.value < free.value)) return joined;
      if (free !== undefined) return free;
    }
    return undefined;
  }

  #shareable(pool: Pool, family: Family, service: string, sharing: Sharing): readonly Address[] {
    if (sharing.key === "") return [];
    return [...(this.#shared.get(sharing.key)?.values() ?? [])]
      .filter((a) => a.family === family && poolMayUse(pool, a))
      .filter((a) => this.refusal(service, sharing, a) === undefined)
      .toSorted(compareAddresses);
  }

  #lowestFree(pool: Pool, range: Range): Address | undefined {
    const { family } = range;
    let value = this.#cursor.get(range) ?? range.first;
    const taken = (v: bigint): boolean =>
      this.#holders.has(addressKey({ family, value: v })) || !poolMayUse(pool, { family, value: v });
    while (value <= range.last && taken(value)) value += 1n;
    this.#cursor.set(range, value);
    return value <= range.last ? { family, value } : undefined;
  }

  #releaseOne(service: string, sharing: Sharing, address: Address): void {
    const key = addressKey(address);
    const others = (this.#holders.get(key) ?? []).filter((h) => h.service !== service);
    if (others.length > 0) this.#holders.set(key, others);
    else this.#holders.delete(key);
    if (!others.some((h) => h.sharing.key === sharing.key)) this.#shared.get(sharing.key)?.delete(key);
    if (others.length > 0) return;
    for (const [range, cursor] of this.#cursor)
      if (rangeContains(range, address) && address.value < cursor) this.#cursor.set(range, address.value);
  }
}

/** The rules of MetalLB: the same key, the same way to the pods, no common port. */
function sharingConflict(a: Sharing, b: Sharing): string | undefined {
  if (a.key === "" || b.key === "")
    return "to share it, both Services need the annotation metallb.io/allow-shared-ip with the same value";
  if (a.key !== b.key) return `sharing key "${a.key}" does not match its sharing key "${b.key}"`;
  if (a.backends !== b.backends)
    return "Services that share an address need externalTrafficPolicy Cluster, or all Local with the same selector";
  const port = a.ports.find((p) => b.ports.includes(p));
  return port === undefined ? undefined : `port ${port} is already in use there`;
}

/** Numbers as map keys; IPv6 is moved out of the way of IPv4. */
function addressKey(address: Address): bigint {
  return address.family === "IPv4" ? address.value : address.value | (1n << 128n);
}

function mapOf(maps: Map<string, Map<bigint, Address>>, key: string): Map<bigint, Address> {
  const map = maps.get(key) ?? new Map<bigint, Address>();
  maps.set(key, map);
  return map;
}

/** Whether both lists hold the same addresses, in any order. */
export function sameAddresses(a: readonly Address[], b: readonly Address[]): boolean {
  return a.length === b.length && a.every((x) => b.some((y) => sameAddress(x, y)));
}
