/**
 * Whether an operator has drained this node. It is a file beside the socket, so that a restarted agent stays drained; what is in it is for
 * people, that it is there is what counts.
 *
 *     POST /v1/drain ─► file ─► state ─► a pass (bgp.ts)
 */
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { BadRequest } from "../observe/api.ts";
import type { Log } from "../observe/log.ts";
import type { DrainDocument } from "../observe/status.ts";
import { stateFilesOf } from "./state-files.ts";
import type { AgentState } from "./state.ts";

export interface DrainParts {
  readonly state: AgentState;
  readonly socket: string;
  readonly log: Log;
  /** A pass is due. */
  readonly soon: () => void;
}

/** Takes up what an earlier agent was told. */
export function recallDrain(socket: string): Date | undefined {
  return statSync(stateFilesOf(socket).drain, { throwIfNoEntry: false })?.mtime;
}

/** Answers a POST. Throws where the file cannot be written: then nothing has changed. */
export function changeDrain({ state, socket, log, soon }: DrainParts, body: unknown): DrainDocument {
  const draining = parseRequest(body);
  const before = state.drainedSince !== undefined;
  if (draining === before) return drainDocument(state);
  if (draining) remember(socket);
  else rmSync(stateFilesOf(socket).drain, { force: true });
  state.drainedSince = draining ? new Date() : undefined;
  log(draining ? "drained" : "undrained");
  soon();
  return drainDocument(state);
}

export function drainDocument({ node, drainedSince, bgp, announcing }: AgentState): DrainDocument {
  const groups = [...(bgp?.desired.groups.values() ?? [])];
  const sessions = (bgp?.speaker.view() ?? []).filter(({ state }) => state === "established");
  return {
    node,
    draining: drainedSince !== undefined,
    ...(drainedSince === undefined ? {} : { since: drainedSince.toISOString() }),
    bgp: bgp?.leaving.state ?? "starting",
    sessions: sessions.length,
    // Pod CIDRs stay: the pods do.
    routes: groups.filter(({ shares }) => shares.some(({ advertisement }) => !advertisement.podCidrs)).length,
    pending: sessions.reduce((sum, { pending }) => sum + pending, 0),
    layer2Addresses: announcing.announcements.length,
  };
}

function parseRequest(body: unknown): boolean {
  const draining = typeof body === "object" && body !== null && "draining" in body ? body.draining : undefined;
  if (typeof draining !== "boolean") throw new BadRequest('send {"draining": true} or {"draining": false}');
  return draining;
}

function remember(socket: string): void {
  const file = stateFilesOf(socket).drain;
  writeFileSync(`${file}.new`, "This node is drained. `fairlead node undrain` ends it, and removes this file.\n");
  renameSync(`${file}.new`, file);
}
