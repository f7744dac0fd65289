/** Logs what changed between two passes: problems that came and went, addresses taken and given up, peers. */
import { formatAddress } from "../net/address.ts";
import { formatProblem, type Problem } from "../net/problem.ts";
import type { Log, LogEvent } from "../observe/log.ts";
import { allProblems, type AgentState } from "./state.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Lines of one kind for one pass: when a thousand Services have the same trouble, ten of them tell it. */
const LINES_MAX = 10;

export class ChangeLog {
  readonly #log: Log;
  #problems: ReadonlySet<string> = new Set();
  #announcements: AgentState["announcing"]["announcements"] | undefined;
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();
  #peers: ReadonlyMap<string, string> = new Map();
  #isolated = false;

  constructor(log: Log) {
    this.#log = log;
  }

  report(state: AgentState): void {
    this.#reportProblems(state);
    this.#reportAddresses(state);
    this.#reportPeers(state);
  }

  #reportProblems(state: AgentState): void {
    const hazards = state.hazards.map(({ check, subject, message }): Problem => {
      return { subject: `Node ${state.node}`, path: `${check} ${subject}`, message };
    });
    const problems = new Map([...allProblems(state), ...hazards].map((problem) => [formatProblem(problem), problem]));
    const fresh = [...problems].filter(([text]) => !this.#problems.has(text));
    const solved = [...this.#problems].filter((text) => !problems.has(text));
    this.#logSome(
      "problem",
      fresh.map(([, problem]) => ({ ...problem })),
    );
    this.#logSome(
      "problemSolved",
      solved.map((problem) => ({ problem })),
    );
    this.#problems = new Set(problems.keys());
  }

  #reportAddresses(state: AgentState): void {
    if (state.announcing.announcements === this.#announcements) return;
    this.#announcements = state.announcing.announcements;
    const addresses = new Map(
      state.announcing.announcements.map(({ address, services }) => [formatAddress(address), services]),
    );
    const asFields = ([address, services]: readonly [string, readonly string[]]): Fields => ({ address, services });
    this.#logSome("addressTaken", [...addresses].filter(([address]) => !this.#addresses.has(address)).map(asFields));
    this.#logSome("addressReleased", [...this.#addresses].filter(([address]) => !addresses.has(address)).map(asFields));
    this.#addresses = addresses;
  }

  #logSome(event: LogEvent, lines: readonly Fields[]): void {
    for (const fields of lines.slice(0, LINES_MAX)) this.#log(event, fields);
    if (lines.length > LINES_MAX) this.#log("omitted", { of: event, count: lines.length - LINES_MAX });
  }

  #reportPeers(state: AgentState): void {
    const view = state.membership();
    const peers = new Map(view.peers.map(({ name, state: is, away }) => [name, away ? `${is}, agent away` : is]));
    for (const [name, now] of peers) {
      const before = this.#peers.get(name);
      if (before !== undefined && before !== now) this.#log("peerChanged", { peer: name, from: before, to: now });
    }
    if (view.isolated !== this.#isolated) this.#log(view.isolated ? "isolated" : "rejoined");
    this.#isolated = view.isolated;
    this.#peers = peers;
  }
}
