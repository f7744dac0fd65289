/** One session's routes on their way out: what it should tell, what it has told, what is still to be said. */
import type { Family } from "../../net/address.ts";
import { emptyMap } from "../../reconcile/persistent-map.ts";
import { advertise, endOfRibs, NOTHING_TOLD, refresh, type Told, type Withheld } from "./adjacency-out.ts";
import { GRACEFUL_SHUTDOWN } from "./community.ts";
import type { Routes, Sender } from "./route.ts";

/** A few milliseconds' worth. */
const SLICE_ROUTES = 2000;

export class Outbound {
  #desired: Routes = emptyMap();
  /** The same, as routes of last resort. */
  #lastResort: Routes | undefined;
  #draining = false;
  #told: Told = NOTHING_TOLD;
  #announced: Readonly<Record<Family, number>> | undefined;
  /** Something may be unsaid. */
  #dirty = true;
  #senderKey = "";
  #endOfRibsDue = true;
  /** Announced or withdrawn, all in all. */
  updates = 0;

  /** The same again costs nothing. */
  set(routes: Routes): void {
    if (routes === this.#desired) return;
    this.#desired = routes;
    this.#lastResort = undefined;
    this.#dirty = true;
  }

  /** Routers prefer every other path then: GRACEFUL_SHUTDOWN (RFC 8326), and the lowest LOCAL_PREF for those of our own AS. */
  set draining(draining: boolean) {
    this.#dirty ||= draining !== this.#draining;
    this.#draining = draining;
  }

  /** The peer knows nothing any more. */
  lost(): void {
    this.#told = NOTHING_TOLD;
    this.#announced = undefined;
    this.#dirty = true;
    this.#endOfRibsDue = true;
  }

  /** What to send now. `complete`: what should be told is all there is, so that End-of-RIB is true. */
  due(sender: Sender, complete: boolean): readonly Uint8Array[] {
    const senderKey = JSON.stringify(sender, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    const messages: Uint8Array[] = [];
    if (this.#dirty || senderKey !== this.#senderKey) {
      const advertisement = advertise(this.#told, this.#routes(), sender);
      this.#told = advertisement.told;
      this.#announced = undefined;
      this.updates += advertisement.announced + advertisement.withdrawn;
      this.#dirty = false;
      this.#senderKey = senderKey;
      messages.push(...advertisement.messages);
    }
    if (complete && this.#endOfRibsDue) {
      this.#endOfRibsDue = false;
      messages.push(...endOfRibs(sender));
    }
    return messages;
  }

  /** What the peer asked for once more. */
  again(family: Family, sender: Sender): readonly Uint8Array[] {
    return refresh(this.#told, family, sender);
  }

  /** All of it in slices. What changes meanwhile is as it is by then, or has been told in the meantime. */
  *anew(sender: Sender): Generator<readonly Uint8Array[], void, void> {
    const keys = [...this.#told.routes.keys()];
    for (let at = 0; at < keys.length; at += SLICE_ROUTES) {
      const routes = keys.slice(at, at + SLICE_ROUTES).flatMap((key) => {
        const route = this.#told.routes.get(key)?.route;
        return route === undefined ? [] : [[key, route] as const];
      });
      yield advertise(NOTHING_TOLD, new Map(routes), sender).messages;
    }
  }

  /** Asked for often, and by everybody who looks: counted when it changes. */
  get announced(): Readonly<Record<Family, number>> {
    this.#announced ??= countByFamily(this.#told);
    return this.#announced;
  }

  /** Routes that should have been told and are not. */
  get pending(): number {
    return Math.max(0, this.#desired.size - this.#told.routes.size);
  }

  get withheld(): readonly Withheld[] {
    return [...this.#told.withheld.values()];
  }

  #routes(): Routes {
    if (!this.#draining) return this.#desired;
    this.#lastResort ??= new Map(
      [...this.#desired].map(([key, route]) => {
        const communities = [...(route.communities ?? []), GRACEFUL_SHUTDOWN];
        return [key, { ...route, localPref: 0, communities }];
      }),
    );
    return this.#lastResort;
  }
}

function countByFamily(told: Told): Readonly<Record<Family, number>> {
  const counts = { IPv4: 0, IPv6: 0 };
  for (const { route } of told.routes.values()) counts[route.prefix.family] += 1;
  return counts;
}
