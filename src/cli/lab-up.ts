/**
 * `fairlead lab up`: in the foreground with its story and a live table until Ctrl-C or SIGTERM, then everything is removed; or detached.
 */
import { styleText } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { bringUp, takeDown } from "../../lab/lab.ts";
import type { Lab } from "../../lab/lab.ts";
import { LabError } from "../../lab/lab-error.ts";
import { liveTable } from "../../lab/live-table.ts";
import { waitForAddresses, waitForAgents } from "../../lab/observe.ts";
import { readScene } from "../../lab/scene-file.ts";
import { tellStory, tellTopology } from "../../lab/story.ts";
import type { Teller } from "../../lab/telling.ts";
import { formatProblem } from "../net/problem.ts";

export interface UpOptions {
  readonly detach?: true;
  readonly name?: string;
  readonly withoutAgents?: true;
}

const REFRESH_MILLISECONDS = 1000;

/** The exit status: 0 also after Ctrl-C, which is how it is meant to end. */
export async function labUp(nameOrPath: string, options: UpOptions): Promise<number> {
  const read = await readScene(nameOrPath);
  if (!read.ok) throw new LabError(read.problems.map(formatProblem).join("\n"));
  const { scene } = read;
  const name = options.name ?? scene.name;
  const detached = options.detach === true;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());

  tellTopology(teller, { name, scene });
  const lab = await bringUp({
    name,
    scene,
    agents: options.withoutAgents !== true,
    owner: detached ? "nobody" : "self",
    report: (step) => teller.line(step),
  });
  try {
    if (detached) return await finishDetached(lab, stop.signal);
    await Promise.race([foreground(lab, stop.signal), aborted(stop.signal)]);
    return 0;
  } finally {
    if (!detached || stop.signal.aborted) {
      teller.line();
      teller.line("Taking everything down");
      await takeDown(name);
    }
  }
}

async function finishDetached(lab: Lab, signal: AbortSignal): Promise<number> {
  if (lab.record.agents) {
    teller.line("Waiting for agents and addresses");
    await Promise.race([waitForAgents(lab, { signal }).then(() => waitForAddresses(lab, { signal })), aborted(signal)]);
  }
  if (!signal.aborted)
    teller.line(
      `Lab "${lab.name}" is up: "fairlead lab status --name ${lab.name}" shows it, "fairlead lab down --name ${lab.name}" removes it`,
    );
  return 0;
}

async function foreground(lab: Lab, signal: AbortSignal): Promise<void> {
  await tellStory(teller, lab, signal);
  teller.title(`Lab ${lab.name} is up. Ctrl-C removes it. In another terminal:`);
  const name = lab.name === lab.scene.name ? "" : ` --name ${lab.name}`;
  const client = lab.scene.hosts.find((host) => host.role === "client")?.name ?? lab.scene.hosts[0]?.name ?? "";
  teller.line(`  bin/fairlead lab exec${name} ${client} -- curl -s http://ADDRESS:PORT/`);
  teller.line(`  bin/fairlead lab capture${name} ${lab.scene.segments[0] ?? client} | tcpdump -nr -`);
  teller.line(`  bin/fairlead lab fault${name} HOST node-down`);
  teller.line();
  await showLiveTable(lab, signal);
}

/** On a terminal the table is drawn over itself every second; otherwise it is printed once. */
async function showLiveTable(lab: Lab, signal: AbortSignal): Promise<void> {
  let height = 0;
  while (!signal.aborted) {
    const lines = fitted(await liveTable(lab));
    if (height > 0) process.stdout.write(`\x1b[${height}A\x1b[J`);
    process.stdout.write(`${lines.join("\n")}\n`);
    height = lines.length;
    if (!process.stdout.isTTY) return untilAborted(signal);
    await sleep(REFRESH_MILLISECONDS, undefined, { signal }).catch(() => undefined);
  }
}

/** A line that the terminal wraps would be counted as one when the table is drawn over itself. */
function fitted(lines: readonly string[]): readonly string[] {
  const { isTTY, columns } = process.stdout;
  // A terminal that does not know its width says 0.
  return isTTY && columns > 0 ? lines.map((line) => line.slice(0, columns)) : lines;
}

/** Does not keep the process alive by itself: who waits for nothing but the signal uses {@link untilAborted}. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  const alive = setInterval(() => undefined, 1 << 30);
  await aborted(signal);
  clearInterval(alive);
}

const teller: Teller = {
  title: (text) => void process.stdout.write(`${styleText("bold", text, { stream: process.stdout })}\n`),
  line: (text = "") => void process.stdout.write(`${text}\n`),
};
