/** Clears expired rows out of the flow table every half minute, a little at a time, and counts the living. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { viewOf } from "../datapath/encode.ts";
import { FLOW_TIMEOUTS, flowExpired } from "../datapath/flows.ts";
import { SWEEP_ROWS, sweepFlows } from "../datapath/garbage.ts";
import type { Log } from "../observe/log.ts";
import type { AgentState } from "./state.ts";

const SWEEP_MS = 30_000;

/** Returns the way to stop; a sweep under way ends at its next pause. */
export function startSweeping(state: AgentState, log: Log): () => void {
  let stopped = false;
  const pause = async (): Promise<void> => {
    await nextTurn();
    if (stopped) throw new Stopped();
  };
  const timer = setInterval(() => {
    sweep(state, pause).catch((error: unknown) => {
      if (!(error instanceof Stopped)) log("problem", { message: "Cannot sweep the flow table", cause: String(error) });
    });
  }, SWEEP_MS);
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

class Stopped extends Error {}

async function sweep(state: AgentState, pause: () => Promise<void>): Promise<void> {
  const nowSeconds = Number(state.nowNs() / 1_000_000_000n);
  await sweepFlows(state.maps.flows, { nowSeconds, timeouts: FLOW_TIMEOUTS, pause });
  let live = 0;
  let seen = 0;
  for (const row of state.maps.allFlows()) {
    seen += 1;
    if (row !== undefined && !flowExpired(viewOf(row[0]), viewOf(row[1]), nowSeconds, FLOW_TIMEOUTS)) live += 1;
    if (row === undefined || seen % SWEEP_ROWS === 0) await pause();
  }
  state.flows = live;
}
