/** Looks for hazards from time to time, and soon after links or addresses of this node changed. */
import { isDeepStrictEqual } from "node:util";
import { listNeighbors } from "../../kernel/routes.ts";
import { formatAddress, sameAddress, type Address } from "../../net/address.ts";
import type { Log } from "../../observe/log.ts";
import type { AgentState } from "../state.ts";
import type { ForeignAnswer } from "./facts.ts";
import { findHazards } from "./find.ts";
import { gatherFacts } from "./gather.ts";
import { probeAddresses, type Answer, type Probe } from "./probe.ts";

/** Before the first pass has ended there is nothing to look at. */
const EARLY_MS = 500;
/** Links change in bursts where pods come and go, and each look starts a few processes. */
const SOON_MS = 2000;
/** Addresses asked about in one round, on all devices together; the next round goes on with others. */
const PROBES_MAX = 64;

export interface HazardWatchOptions {
  readonly state: AgentState;
  readonly log: Log;
  readonly everySeconds: number;
  /** The hazards are others than before. */
  readonly onChange: () => void;
  /** `asks`: the segments are asked as well. True when something changed. */
  readonly look?: (asks: boolean) => Promise<boolean>;
}

export interface HazardWatch {
  /** Something of this node has changed. Others on the segments are not asked for that. */
  soon(): void;
  stop(): void;
}

export function startHazardWatch(options: HazardWatchOptions): HazardWatch {
  const { state, log, everySeconds, onChange } = options;
  const answers = new AnswerBook();
  const { look = (asks) => lookAround(state, answers, asks) } = options;
  let stopped = false;
  let running = false;
  /** Something changed while it was looked. */
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let wakesAt = 0;
  let dueAt = 0;
  const schedule = (milliseconds: number): void => {
    if (stopped) return;
    clearTimeout(timer);
    wakesAt = performance.now() + milliseconds;
    timer = setTimeout(turn, milliseconds).unref();
  };
  const turn = (): void => {
    if (state.lastPass === undefined || state.placed === undefined) {
      schedule(EARLY_MS);
      return;
    }
    running = true;
    again = false;
    const asks = performance.now() >= dueAt;
    if (asks) dueAt = performance.now() + everySeconds * 1000;
    void look(asks)
      .then((changed) => changed && !stopped && onChange())
      .catch((error: unknown) => log("problem", { message: "Cannot look for hazards", cause: String(error) }))
      .finally(() => {
        running = false;
        const wait = Math.max(dueAt - performance.now(), 0);
        schedule(again ? Math.min(wait, SOON_MS) : wait);
      });
  };
  schedule(EARLY_MS);
  return {
    soon: () => {
      again = true;
      // Never later than it would have been: where pods come and go all the time, so does this.
      if (!running && wakesAt > performance.now() + SOON_MS) schedule(SOON_MS);
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** True when something came, went or changed. */
async function lookAround(state: AgentState, book: AnswerBook, asks: boolean): Promise<boolean> {
  const probes = probesOf(state);
  if (asks) {
    const chosen = book.choose(probes);
    book.note(chosen, await probeAddresses(chosen, ownMacs(state)));
  }
  const found = findHazards(await gatherFacts(state, await named(book.answers(probes), state)));
  if (isDeepStrictEqual(found, state.hazards)) return false;
  state.hazards = found;
  return true;
}

function probesOf({ placed = [] }: AgentState): readonly Probe[] {
  return placed.flatMap(({ address, devices }) => devices.map((device) => ({ address, device })));
}

function ownMacs({ world }: AgentState): ReadonlySet<string> {
  return new Set(world?.links.map(({ mac }) => mac));
}

/** Whose MAC addresses they are, as far as this node's neighbor cache knows its peers. */
async function named(answers: readonly Answer[], { world }: AgentState): Promise<readonly ForeignAnswer[]> {
  if (answers.length === 0) return [];
  const addresses = new Map((await listNeighbors()).map(({ address, mac }) => [address, mac]));
  const nodes = new Map(
    [...(world?.snapshot.nodes.values() ?? [])].flatMap(({ metadata, status }) =>
      status.addresses.map(({ address }) => [addresses.get(address), metadata.name] as const),
    ),
  );
  return answers.map((answer) => ({ ...answer, node: nodes.get(answer.mac) }));
}

/** Who answered for what, over the rounds it takes to ask about everything. */
class AnswerBook {
  #answers: readonly Answer[] = [];
  #lastAsked: Address | undefined;

  /** The next ones in turn. */
  choose(probes: readonly Probe[]): readonly Probe[] {
    const last = this.#lastAsked;
    const from = last === undefined ? 0 : probes.findLastIndex(({ address }) => sameAddress(address, last)) + 1;
    const chosen = [...probes.slice(from), ...probes.slice(0, from)].slice(0, PROBES_MAX);
    this.#lastAsked = chosen.at(-1)?.address;
    return chosen;
  }

  /** What was asked about is known anew. */
  note(asked: readonly Probe[], answers: readonly Answer[]): void {
    const keys = new Set(asked.map(placeOf));
    this.#answers = [...this.#answers.filter((answer) => !keys.has(`${answer.address} ${answer.device}`)), ...answers];
  }

  /** Of what is still announced. */
  answers(probes: readonly Probe[]): readonly Answer[] {
    const places = new Set(probes.map(placeOf));
    this.#answers = this.#answers.filter(({ address, device }) => places.has(`${address} ${device}`));
    return this.#answers;
  }
}

function placeOf({ address, device }: Probe): string {
  return `${formatAddress(address)} ${device.name}`;
}
