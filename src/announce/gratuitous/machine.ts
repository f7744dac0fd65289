/**
 * When to tell a segment, unasked, where an address lives: at once when it is taken, then every 1.1 s for 5 s (MetalLB's
 * cadence: some switches and hosts ignore more than one such packet a second). Nothing is sent when an address is given
 * up. Pure: the driver sends what comes out and wakes the machine at `deadline(state)`.
 */
import { formatAddress, type Address } from "../../net/address.ts";
import { earliest, later, type Instant } from "../../time/instant.ts";

const INTERVAL_MILLISECONDS = 1100;
const WINDOW_MILLISECONDS = 5000;
/** Sent in one go; a thousand addresses taken at once must not keep the agent from its other work. */
const BATCH = 256;

/** An address on a device of this node. */
export interface Place {
  readonly address: Address;
  readonly ifindex: number;
  readonly mac: Uint8Array;
}

interface Repeating {
  readonly place: Place;
  /** No more after this moment. */
  readonly until: Instant;
  /** Undefined: done. */
  readonly nextAt: Instant | undefined;
  readonly lastAt: Instant | undefined;
}

export type State = ReadonlyMap<string, Repeating>;

export type Event =
  /** Everything this node announces from now on. New places, and those with a new MAC, are announced. */
  | { readonly type: "places"; readonly places: readonly Place[] }
  /** The same, as far as it is others than the last time. A place that is in both has stayed. */
  | { readonly type: "changes"; readonly left: readonly Place[]; readonly joined: readonly Place[] }
  /** Others may have announced the same meanwhile: announce everything anew. What is being repeated is repeated for longer. */
  | { readonly type: "again" }
  | { readonly type: "clock" };

export const INITIAL_STATE: State = new Map();

/** Returns the places to announce now. */
export function step(state: State, event: Event, now: Instant): readonly [State, readonly Place[]] {
  switch (event.type) {
    case "places":
      return due(new Map(event.places.map((place) => [keyOf(place), known(state, place) ?? taken(place, now)])), now);
    case "changes": {
      const next = new Map(state);
      for (const place of event.left) next.delete(keyOf(place));
      for (const place of event.joined) next.set(keyOf(place), known(state, place) ?? taken(place, now));
      return due(next, now);
    }
    case "again":
      return due(new Map([...state].map(([key, repeating]) => [key, extended(repeating, now)])), now);
    case "clock":
      return due(state, now);
  }
}

/** The one moment at which the driver must send a `clock` event; undefined: never. */
export function deadline(state: State): Instant | undefined {
  return earliest(Array.from(state.values(), ({ nextAt }) => nextAt));
}

function known(state: State, place: Place): Repeating | undefined {
  const found = state.get(keyOf(place));
  return found !== undefined && sameMac(found.place.mac, place.mac) ? found : undefined;
}

function taken(place: Place, now: Instant): Repeating {
  return { place, until: later(now, WINDOW_MILLISECONDS), nextAt: now, lastAt: undefined };
}

/** As taken now, but no sooner after the last time than the interval. */
function extended({ place, lastAt }: Repeating, now: Instant): Repeating {
  const anew = taken(place, now);
  if (lastAt === undefined) return anew;
  const nextAt = later(lastAt, INTERVAL_MILLISECONDS);
  return { ...anew, lastAt, nextAt: nextAt > now ? nextAt : now };
}

function due(state: State, now: Instant): readonly [State, readonly Place[]] {
  const places: Place[] = [];
  const changed: (readonly [string, Repeating])[] = [];
  for (const [key, repeating] of state) {
    if (repeating.nextAt === undefined || repeating.nextAt > now) continue;
    if (places.length === BATCH) break;
    places.push(repeating.place);
    const nextAt = later(now, INTERVAL_MILLISECONDS);
    changed.push([key, { ...repeating, lastAt: now, nextAt: nextAt <= repeating.until ? nextAt : undefined }]);
  }
  return [changed.length === 0 ? state : new Map([...state, ...changed]), places];
}

function keyOf({ address, ifindex }: Place): string {
  return `${formatAddress(address)} ${ifindex}`;
}

function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
