/** The peers the agent asked for and the worker's latest report, put together into the view. */
import { formatAddress, type Address } from "../../net/address.ts";
import type { Instant } from "../../time/instant.ts";
import type { Report } from "./messages.ts";
import type { MembershipView } from "./view.ts";

export interface Peer {
  readonly name: string;
  readonly address: Address;
}

type Row = Report["peers"][number];

interface KnownPeer {
  readonly peer: Peer;
  readonly row: Row | undefined;
}

export class Roster {
  #peers: readonly { readonly peer: Peer; readonly address: string }[] | undefined;
  #report: Report = { isolated: false, reunions: 0, changed: false, peers: [] };
  #complete = false;
  #known: readonly KnownPeer[] | undefined;
  #names: Pick<MembershipView, "alive" | "gone"> | undefined;

  /** The peers from now on; the worker's reports follow. */
  expect(peers: readonly Peer[]): void {
    this.#peers = peers.map((peer) => ({ peer, address: formatAddress(peer.address) }));
    this.#forget();
    this.#completeOnce();
  }

  /** Whether the view has changed by more than its times. */
  hear(report: Report): boolean {
    const wasComplete = this.#complete;
    this.#report = report;
    this.#known = undefined;
    if (report.changed) this.#names = undefined;
    this.#completeOnce();
    return report.changed || wasComplete !== this.#complete;
  }

  /** `self`: my name, if I may announce. */
  view(self: string | undefined, now: Instant): MembershipView {
    const { alive, gone } = (this.#names ??= this.#named());
    return {
      alive: self === undefined ? alive : new Set([self, ...alive]),
      gone,
      complete: this.#complete,
      isolated: this.#report.isolated,
      reunions: this.#report.reunions,
      peers: this.#rows().map(({ peer, row }) => ({
        ...peer,
        state: row?.state ?? "alive",
        remainingMilliseconds: row?.expiresAt === undefined ? undefined : Math.max(0, Math.round(row.expiresAt - now)),
        lastAnswerMilliseconds:
          row?.lastAnswerAt === undefined ? undefined : Math.max(0, Math.round(now - row.lastAnswerAt)),
        problem: row?.problem,
      })),
    };
  }

  /**
   * Every peer that may announce has an agent that was seen at this moment or later: it has noticed by then what was there
   * to notice. Where nobody can be heard, there is nobody to wait for.
   */
  allSeenSince(moment: Instant): boolean {
    if (this.#report.isolated) return true;
    const alive = this.#rows().filter(({ row }) => row === undefined || row.state === "alive");
    return this.#complete && alive.every(({ row }) => row?.renewedAt !== undefined && row.renewedAt >= moment);
  }

  /** A peer the worker has not heard of yet, or knows at another address, has no row. */
  #rows(): readonly KnownPeer[] {
    this.#known ??= this.#join();
    return this.#known;
  }

  #join(): readonly KnownPeer[] {
    const known = new Map(this.#report.peers.map((row) => [row.name, row]));
    return (this.#peers ?? []).map(({ peer, address }) => {
      const row = known.get(peer.name);
      return { peer, row: row?.address === address ? row : undefined };
    });
  }

  #named(): Pick<MembershipView, "alive" | "gone"> {
    const rows = this.#rows();
    const inState = (state: Row["state"]): ReadonlySet<string> =>
      new Set(rows.filter(({ row }) => (row?.state ?? "alive") === state).map(({ peer }) => peer.name));
    return { alive: inState("alive"), gone: inState("gone") };
  }

  #forget(): void {
    this.#known = undefined;
    this.#names = undefined;
  }

  #completeOnce(): void {
    if (this.#peers === undefined || this.#complete) return;
    this.#complete = this.#rows().every(
      ({ row }) => row !== undefined && (row.lastAnswerAt !== undefined || row.state === "gone"),
    );
  }
}
