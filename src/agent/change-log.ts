/** Logs what changed between two passes: problems that came and went, addresses taken and given up, peers. */
import { formatAddress } from "../net/address.ts";
import { formatProblem } from "../net/problem.ts";
import type { Log } from "../observe/log.ts";
import { allProblems, type AgentState } from "./state.ts";

export class ChangeLog {
  readonly #log: Log;
  #problems: ReadonlySet<string> = new Set();
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
    const problems = new Map(allProblems(state).map((problem) => [formatProblem(problem), problem]));
    for (const [text, problem] of problems) if (!this.#problems.has(text)) this.#log("problem", { ...problem });
    for (const problem of this.#problems) if (!problems.has(problem)) this.#log("problemSolved", { problem });
    this.#problems = new Set(problems.keys());
  }

  #reportAddresses(state: AgentState): void {
    const addresses = new Map(
      state.announcing.announcements.map(({ address, services }) => [formatAddress(address), services]),
    );
    for (const [address, services] of addresses)
      if (!this.#addresses.has(address)) this.#log("addressTaken", { address, services });
    for (const [address, services] of this.#addresses)
      if (!addresses.has(address)) this.#log("addressReleased", { address, services });
    this.#addresses = addresses;
  }

  #reportPeers(state: AgentState): void {
    const view = state.membership();
    const peers = new Map(view.peers.map((peer) => [peer.name, peer.state as string]));
    for (const [name, now] of peers) {
      const before = this.#peers.get(name);
      if (before !== undefined && before !== now) this.#log("peerChanged", { peer: name, from: before, to: now });
    }
    if (view.isolated !== this.#isolated) this.#log(view.isolated ? "isolated" : "rejoined");
    this.#isolated = view.isolated;
    this.#peers = peers;
  }
}
