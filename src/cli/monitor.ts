/** `fairlead monitor`: drops and sampled packets as the datapath reports them, one a line, until Ctrl-C. */
import { Command } from "commander";
import { stringify } from "yaml";
import type { MonitorEvent } from "../observe/status.ts";
import { monitorEvents } from "./agent-api.ts";
import type { Agent } from "./agent-api.ts";
import { findAgents } from "./agents.ts";
import { parseCount, withCommonOptions, type CommonOptions, type Format } from "./options.ts";
import { paintFor, type Paint } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";
import { endpoint } from "./words.ts";

const PROBE = "answered_probe";
/** Most names are shorter; longer ones move their line. */
const NODE_WIDTH = 16;

interface MonitorOptions extends CommonOptions {
  readonly flows: number;
  readonly drops: number;
  readonly count: number;
  readonly probes?: true;
}

export function monitorCommand(world: World): Command {
  const command = new Command("monitor");
  const example = "fairlead monitor --flows 1\nfairlead monitor --flows 0 -o json | jq .verdict";
  return withCommonOptions(world, command, example)
    .option("--flows <n>", "show one carried packet in n; 0: none", parseCount, 100)
    .option("--drops <n>", "show one dropped or rejected packet in n; 0: none", parseCount, 1)
    .option("--probes", "show the nodes' liveness probes too: a dozen a second")
    .option("--count <n>", "end after n events; 0: go on until Ctrl-C", parseCount, 0)
    .action((options: MonitorOptions) => monitor(world, options));
}

async function monitor(world: World, options: MonitorOptions): Promise<void> {
  const found = await findAgents(world, options);
  const enough = new AbortController();
  const stop = AbortSignal.any([world.stop, enough.signal]);
  const paint = paintFor(world);
  let shown = 0;
  const show = async (agent: Agent, node: string | undefined): Promise<void> => {
    for await (const event of monitorEvents(agent, options, stop)) {
      if (event.verdict === PROBE && options.probes !== true) continue;
      if (enough.signal.aborted) return;
      world.stdout.write(eventText(node === undefined ? event : { node, ...event }, options.output, paint));
      shown += 1;
      if (shown === options.count) enough.abort();
    }
  };
  if (found.type === "one") return show(found.agent, undefined);
  // One that cannot be watched is told, and the others go on.
  const ends = await Promise.all(
    found.agents.map((agent) => show(agent, agent.node).catch((error: unknown) => fail(world, error))),
  );
  if (!ends.includes(undefined)) throw new CommandFailure(EXIT.unreachable, "No agent can be watched any more");
}

function fail(world: World, error: unknown): "failed" {
  if (!(error instanceof CommandFailure)) throw error;
  world.stderr.write(`${error.message}\n`);
  world.exitCode = error.exitCode;
  return "failed";
}

/** Over a cluster: with the node it happened on. */
type Shown = MonitorEvent & { readonly node?: string };

/** JSON: one line an event, as every tool for streams expects it. YAML: one document an event. */
function eventText(event: Shown, format: Format, paint: Paint): string {
  switch (format) {
    case "json":
      return `${JSON.stringify(event)}\n`;
    case "yaml":
      return `---\n${stringify(event, { lineWidth: 0 })}`;
    case "table":
      return `${drawEvent(event, paint)}\n`;
  }
}

/** Fields of fixed width instead of a table: the next line is not known yet. */
function drawEvent(event: Shown, paint: Paint): string {
  const way = `${endpoint(event.source, event.sourcePort)} → ${endpoint(event.destination, event.destinationPort)}`;
  const verdict = event.verdict.padEnd(21);
  const fields = [
    event.time.slice(11, 23),
    event.node?.padEnd(NODE_WIDTH) ?? "",
    event.verdict.toLowerCase().startsWith("drop") ? paint("red", verdict) : verdict,
    event.hook.padEnd(14),
    event.device.padEnd(8),
    event.protocol.padEnd(4),
    way,
    `${event.length} bytes`,
    event.service ?? "",
    event.backend === undefined ? "" : `backend ${event.backend}`,
  ];
  return fields.filter((field) => field !== "").join("  ");
}
