/**
 * Which node announces an address, where it is not this one. To do its part an agent need not know (announce/election.ts), so it is found out
 * when somebody asks: the whole election, in slices, of the Services in question.
 */
import { electingAddresses, emptyAddressMemo, type AddressMemo } from "../announce/announcements.ts";
import { ANOTHER } from "../announce/contest.ts";
import { electingAnnouncers, emptyElectionMemo, type ElectionMemo } from "../announce/election.ts";
import type { Service } from "../service/objects.ts";
import { inSlices } from "../time/slices.ts";
import type { Me } from "./desired.ts";
import type { AgentState } from "./state.ts";

/** By address; those that nobody announces are not in it. */
export type AnnouncerNames = ReadonlyMap<string, string>;

interface Memo {
  readonly elections: ElectionMemo;
  readonly addresses: AddressMemo;
}

/** So long after the last question the answer is forgotten. */
const REMEMBER_MS = 300_000;

/** Of all addresses. In a large cluster that takes seconds, so it is remembered as long as it is asked for. */
export class Announcers {
  readonly #state: AgentState;
  readonly #me: Me;
  #memo = emptyMemo();
  #running: Promise<AnnouncerNames> | undefined;
  #forgetting: NodeJS.Timeout | undefined;

  constructor(state: AgentState, me: Me) {
    this.#state = state;
    this.#me = me;
  }

  /** Who asks meanwhile gets the same answer. */
  names(): Promise<AnnouncerNames> {
    clearTimeout(this.#forgetting);
    this.#forgetting = setTimeout(() => (this.#memo = emptyMemo()), REMEMBER_MS).unref();
    const services = this.#state.world?.snapshot.services ?? new Map<string, Service>();
    this.#running ??= named(services, this.#state, this.#me, this.#memo).finally(() => (this.#running = undefined));
    return this.#running;
  }
}

/** Of these, and of others that their Services have. */
export function announcersOf(addresses: readonly string[], state: AgentState, me: Me): Promise<AnnouncerNames> {
  const concerned = new Map<string, Service>();
  for (const { service } of addresses.flatMap((address) => state.announcing.addresses.get(address)?.sharers ?? [])) {
    const object = state.world?.snapshot.services.get(service);
    if (object !== undefined) concerned.set(service, object);
  }
  return named(concerned, state, me, emptyMemo());
}

async function named(
  services: ReadonlyMap<string, Service>,
  { world, announcing: { addresses } }: AgentState,
  { ignoreExcludeLabel, sha256 }: Me,
  memo: Memo,
): Promise<AnnouncerNames> {
  const names = new Map<string, string>();
  let complete = true;
  for (const [address, { announcer }] of addresses) {
    if (announcer === ANOTHER) complete = false;
    else names.set(address, announcer);
  }
  if (world === undefined || complete) return names;
  const { snapshot, members } = world;
  const { alive, away } = members;
  const work = electingAnnouncers(
    { ...snapshot, services },
    { alive, away, ignoreExcludeLabel },
    sha256,
    memo.elections,
  );
  const elections = await inSlices(work);
  for (const [address, { announcer }] of await inSlices(electingAddresses(elections, memo.addresses)))
    if (addresses.get(address)?.announcer === ANOTHER) names.set(address, announcer);
  return names;
}

function emptyMemo(): Memo {
  return { elections: emptyElectionMemo(), addresses: emptyAddressMemo() };
}
