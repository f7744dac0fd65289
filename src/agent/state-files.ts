/** What an agent remembers for the next one, in files beside its socket. */
import { rmSync } from "node:fs";

export interface StateFiles {
  /** Which BGP peers keep routes of ours over a restart. */
  readonly bgp: string;
  /** BFD sessions that a planned restart left waiting. */
  readonly bfd: string;
  /** There while an operator has drained the node. */
  readonly drain: string;
}

export function stateFilesOf(socket: string): StateFiles {
  return { bgp: `${socket}.bgp`, bfd: `${socket}.bfd`, drain: `${socket}.drain` };
}

/** The next agent starts as if there had been none. */
export function removeStateFiles(socket: string): void {
  const { bgp, bfd, drain } = stateFilesOf(socket);
  for (const file of [bgp, bfd, drain]) rmSync(file, { force: true });
}
