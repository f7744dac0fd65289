/** Whether an agent that is stopped is to come back: one of a DaemonSet that is deleted is not, and leaves nothing behind. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import { daemonSetState } from "../source/kubernetes/daemon-set.ts";
import type { Opened } from "../source/open.ts";

/** A kubelet does not wait for ever. */
const ANSWER_MS_MAX = 10_000;

/**
 * False as long as nobody knows better: an agent that is exchanged keeps its addresses and connections, and that is what nearly every
 * stop is for.
 */
export async function isRemoved(
  kubernetes: Opened["kubernetes"],
  daemonSet: string | undefined,
  log: Log,
): Promise<boolean> {
  if (kubernetes === undefined || daemonSet === undefined) return false;
  const { connection, namespace } = kubernetes;
  const late = new AbortController();
  try {
    const state = await Promise.race([
      daemonSetState({ connection, namespace, name: daemonSet }),
      sleep(ANSWER_MS_MAX, undefined, { signal: late.signal }).then(() => {
        throw new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`);
      }),
    ]);
    return state !== "present";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `Cannot ask whether DaemonSet ${namespace}/${daemonSet} is deleted: ${reason}; the datapath stays`;
    log("problem", { message });
    return false;
  } finally {
    late.abort();
  }
}
