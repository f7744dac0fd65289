/** Requests from a host of the lab, and what they show: which pods answered, and how long nobody did. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Lab } from "./lab.ts";
import { memberPlan } from "./lab.ts";
import { enterNamespace } from "./programs.ts";
import type { RequestPlan, RequestResult } from "./requester.ts";

/** Requests under way. */
export interface Requests {
  /** So far, in the order in which they were done. */
  readonly results: readonly RequestResult[];
  /** Asks no more and waits for those that are still out. */
  stop(): Promise<readonly RequestResult[]>;
  /** All are done. */
  readonly done: Promise<readonly RequestResult[]>;
}

/** Starts asking from a host. The asking process ends with ours in any case: its output has no reader then. */
export function startRequests(lab: Lab, from: string, plan: RequestPlan): Requests {
  const { namespace } = memberPlan(lab, from);
  const [file = "", ...rest] = enterNamespace(namespace, [
    process.execPath,
    join(import.meta.dirname, "requester.ts"),
    JSON.stringify(plan),
  ]);
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  const results: RequestResult[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => results.push(JSON.parse(line) as RequestResult));
  const done = new Promise<readonly RequestResult[]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => {
      if (status === 0) resolve(results);
      else
        reject(
          new Error(
            `Cannot ask ${plan.address} from ${from}: the asking program ended with ${status ?? signal ?? ""}\n${errors}`,
          ),
        );
    });
  });
  return {
    results,
    done,
    stop: () => {
      child.kill("SIGTERM");
      return done;
    },
  };
}

/** How many answers each pod gave. */
export function answersPerPod(results: readonly RequestResult[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { pod_name: pod } of results) if (pod !== undefined) counts.set(pod, (counts.get(pod) ?? 0) + 1);
  return counts;
}

export interface Gap {
  /** Between the last answer before the gap and the first one to a request that was sent in it or later. */
  readonly milliseconds: number;
  /** Requests sent in the gap that never were answered. */
  readonly lost: number;
  /** Sent after the gap, in the order of sending: the first one was answered. */
  readonly after: readonly RequestResult[];
}

/**
 * The longest time without an answer that ended after a moment (milliseconds since 1970, as in the results); `undefined` while
 * nothing sent after the moment was answered, or nothing was answered before.
 */
export function gapAround(results: readonly RequestResult[], moment: number): Gap | undefined {
  const answers = results.filter((each) => each.ok).toSorted((a, b) => a.doneAt - b.doneAt);
  if (!answers.some((each) => each.doneAt <= moment)) return undefined;
  let longest: { readonly before: RequestResult; readonly first: RequestResult } | undefined;
  for (const [index, first] of answers.entries()) {
    const before = answers[index - 1];
    // A request from inside the gap that is answered late, when its SYN is sent again, does not end a gap of its own.
    if (before === undefined || first.sentAt <= moment || first.sentAt < before.doneAt) continue;
    const milliseconds = first.doneAt - before.doneAt;
    if (longest === undefined || milliseconds > longest.first.doneAt - longest.before.doneAt)
      longest = { before, first };
  }
  if (longest === undefined) return undefined;
  const { before, first } = longest;
  const sorted = results.toSorted((a, b) => a.sentAt - b.sentAt);
  return {
    milliseconds: first.doneAt - before.doneAt,
    lost: sorted.filter((each) => !each.ok && each.sentAt > before.sentAt && each.sentAt < first.sentAt).length,
    after: sorted.filter((each) => each.sentAt >= first.sentAt),
  };
}
