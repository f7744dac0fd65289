/** The peers the agent asked for and the worker's latest report, put together into the view. */
import { formatAddress, type Address } from "../../net/address.ts";
import { later, type Instant } from "../../time/instant.ts";
import { LAST_WORK_MILLISECONDS } from "./config.ts";
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
  #away: MembershipView["away"] = new Map();

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

  /** `self`: my name, if I may announce; `mayTake`: also more than I do. */
  view(self: string | undefined, mayTake: boolean, now: Instant): MembershipView {
    const { alive, gone } = (this.#names ??= this.#named());
    const announcers = self === undefined ? alive : new Set([self, ...alive]);
    this.#away = this.#awayAmong(announcers);
    return {
      alive: announcers,
      away: this.#away,
      gone,
      complete: this.#complete,
      mayTake,
      isolated: this.#report.isolated,
      reunions: this.#report.reunions,
      peers: this.#rows().map(({ peer, row }) => ({
        ...peer,
        state: row?.state ?? "alive",
        away: isAway(row),
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

  /** Who is away, and who was alive when it went, is remembered for as long as it is. */
  #awayAmong(alive: ReadonlySet<string>): MembershipView["away"] {
    const rows = this.#rows();
    const before = this.#away;
    const away = rows.flatMap(({ peer: { name }, row }) => (isAway(row) ? [{ name, row }] : []));
    if (away.length === before.size && away.every(({ name }) => before.has(name))) return before;
    return new Map(
      away.map(({ name, row }) => [name, before.get(name) ?? alive.union(leftSince(lastWork(row), rows))]),
    );
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

function isAway(row: Row | undefined): row is Row {
  return row !== undefined && row.state === "alive" && row.away;
}

/** Until then its agent may have heard of others' ends, and taken over from them. */
function lastWork({ idleSince }: Row): Instant {
  return later(idleSince, LAST_WORK_MILLISECONDS);
}

function leftSince(moment: Instant, rows: readonly KnownPeer[]): ReadonlySet<string> {
  return new Set(rows.flatMap(({ peer: { name }, row }) => ((row?.leftAt ?? 0) > moment ? [name] : [])));
}
