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

export class Roster {
  #peers: readonly Peer[] | undefined;
  #report: Report = { isolated: false, reunions: 0, changed: false, peers: [] };
  #complete = false;

  /** The peers from now on; the worker's reports follow. */
  expect(peers: readonly Peer[]): void {
    this.#peers = peers;
    this.#completeOnce();
  }

  /** Whether the view has changed by more than its times. */
  hear(report: Report): boolean {
    const wasComplete = this.#complete;
    this.#report = report;
    this.#completeOnce();
    return report.changed || wasComplete !== this.#complete;
  }

  /** `self`: my name, if I may announce. */
  view(self: string | undefined, now: Instant): MembershipView {
    const rows = this.#rows();
    const named = (state: Row["state"]): string[] =>
      rows.filter(({ row }) => (row?.state ?? "alive") === state).map(({ peer }) => peer.name);
    return {
      alive: new Set([...(self === undefined ? [] : [self]), ...named("alive")]),
      gone: new Set(named("gone")),
      complete: this.#complete,
      isolated: this.#report.isolated,
      reunions: this.#report.reunions,
      peers: rows.map(({ peer, row }) => ({
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
  #rows(): readonly { readonly peer: Peer; readonly row: Row | undefined }[] {
    const known = new Map(this.#report.peers.map((row) => [`${row.name} ${row.address}`, row]));
    return (this.#peers ?? []).map((peer) => ({ peer, row: known.get(`${peer.name} ${formatAddress(peer.address)}`) }));
  }

  #completeOnce(): void {
    if (this.#peers === undefined || this.#complete) return;
    this.#complete = this.#rows().every(
      ({ row }) => row !== undefined && (row.lastAnswerAt !== undefined || row.state === "gone"),
    );
  }
}
