/** `fairlead status`: the agent of this node on one screen. Exits with 1 when something is wrong with it. */
import { Command } from "commander";
import { formatProblem } from "../net/problem.ts";
import type { BmpStatus, DeviceStatus, DrainDocument, HazardRow, StatusDocument } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { askAll, findAgents, tellFailures } from "./agents.ts";
import { withCommonOptions, type CommonOptions } from "./options.ts";
import { print } from "./output.ts";
import { drawTogether } from "./status-together.ts";
import { paintFor, renderTable, type Column, type Paint } from "./table.ts";
import { EXIT, type World } from "./world.ts";
import { duration } from "./words.ts";

export function statusCommand(world: World): Command {
  const command = new Command("status");
  const example = "fairlead status\nfairlead status -o json | jq .verdicts";
  return withCommonOptions(world, command, example).action(async (options: CommonOptions) => {
    const found = await findAgents(world, options);
    if (found.type === "all") {
      const asked = await askAll(found.agents, "/v1/status");
      const all = asked.answers.map(({ document }) => document);
      print(world, options.output, all, () => drawTogether(all, asked.failures, world.now(), paintFor(world)));
      if (all.some(isTroubled)) world.exitCode = EXIT.problem;
      tellFailures(world, asked);
      return;
    }
    const status = await getDocument(found.agent, "/v1/status");
    print(world, options.output, status, () => drawStatus(status, world.now(), paintFor(world)));
    if (isTroubled(status)) world.exitCode = EXIT.problem;
  });
}

function isTroubled(status: StatusDocument): boolean {
  const { ready, membership, stamp, problems, hazards } = status;
  const harmed = problems.length > 0 || hazards.some(({ level }) => level === "problem");
  return !ready || membership.isolated || stamp.validUntilSeconds <= 0 || harmed;
}

function drawStatus(status: StatusDocument, now: Date, paint: Paint): string {
  const parts = [
    renderTable(factColumns, facts(status, now, paint), paint)
      .split("\n")
      .slice(1)
      .join("\n"),
    section("Devices", renderTable(deviceColumns, status.devices, paint), status.devices.length),
    section("Packets", renderTable(verdictColumns, verdictRows(status), paint), verdictRows(status).length),
    section("Services nobody answers for", unservedText(status.unserved), status.unserved.count),
    section(
      "Hazards of this node",
      status.hazards.map((each) => hazardText(each, paint)).join(""),
      status.hazards.length,
    ),
    section("Problems", status.problems.map((each) => `  ${formatProblem(each)}\n`).join(""), status.problems.length),
  ];
  return parts.filter((part) => part !== "").join("\n");

  function section(title: string, body: string, size: number): string {
    return size === 0 ? "" : `${paint("bold", title)}\n${body}`;
  }
}

function unservedText({ count, first }: StatusDocument["unserved"]): string {
  const lines = first.map(({ service, reason }) => `  ${service}: ${reason}\n`);
  const more = count - first.length;
  return [...lines, ...(more > 0 ? [`  and ${more} more; \`fairlead services\` lists all\n`] : [])].join("");
}

function hazardText({ check, level, subject, message, todo }: HazardRow, paint: Paint): string {
  const word = level === "problem" ? paint("red", check) : paint("yellow", `${check} (advice)`);
  return `  ${word} ${subject}: ${message}\n    → ${todo}\n`;
}

type Fact = readonly [name: string, value: string];

const factColumns: readonly Column<Fact>[] = [
  { title: "", cell: ([name]) => name },
  { title: "", cell: ([, value]) => value },
];

function facts(status: StatusDocument, now: Date, paint: Paint): readonly Fact[] {
  const { counts, membership, stamp, reconcile, bmp } = status;
  const up = (now.getTime() - Date.parse(status.startedAt)) / 1000;
  const { drain } = status;
  return [
    ["Node", paint("bold", status.node)],
    ...(drain === undefined ? [] : [["Drained", paint("yellow", drainText(drain, now))] as const]),
    ["Agent", `${status.version}, up ${duration(up)}, ${readiness(status.ready, paint)}`],
    [
      "Peers",
      membership.isolated ? paint("red", `${membership.peers}, all silent: isolated`) : String(membership.peers),
    ],
    ["Stamp", stampText(stamp.validUntilSeconds, paint)],
    ["Services", `${counts.services} with ${counts.frontends} frontends and ${counts.backends} backends`],
    ["Announced", `${counts.announced} addresses here`],
    ["Endpoints", `${counts.endpoints} pods attached`],
    ["Reconciled", reconcileText(reconcile, now)],
    ...(bmp === undefined ? [] : [["BMP", bmpText(bmp, paint)] as const]),
  ];
}

function drainText({ since, routes }: DrainDocument, now: Date): string {
  const ago = since === undefined ? "" : `for ${duration((now.getTime() - Date.parse(since)) / 1000)}, `;
  return `${ago}${routes} routes by BGP left; layer 2 as ever (\`fairlead node undrain\` ends it)`;
}

function readiness(ready: boolean, paint: Paint): string {
  return ready ? paint("green", "ready") : paint("yellow", "not ready: its objects are not in the kernel yet");
}

function stampText(seconds: number, paint: Paint): string {
  if (seconds <= 0) return paint("red", "run out: ARP and NDP are not answered");
  return `valid for ${duration(seconds)}`;
}

function reconcileText(reconcile: StatusDocument["reconcile"], now: Date): string {
  if (reconcile.lastAt === undefined) return "not yet";
  const ago = duration((now.getTime() - Date.parse(reconcile.lastAt)) / 1000);
  const took = reconcile.lastMilliseconds === undefined ? "" : `, took ${reconcile.lastMilliseconds.toFixed(1)} ms`;
  const rows = reconcile.lastOperations === undefined ? "" : `, ${reconcile.lastOperations} rows written`;
  return `${reconcile.passes} times, ${ago} ago${took}${rows}`;
}

function bmpText({ collector, connected, lastReason = "no answer yet" }: BmpStatus, paint: Paint): string {
  return `${collector}, ${connected ? paint("green", "connected") : paint("yellow", `not connected: ${lastReason}`)}`;
}

const deviceColumns: readonly Column<DeviceStatus>[] = [
  { title: "  DEVICE", cell: (row) => `  ${row.name}` },
  { title: "MAC", cell: (row) => row.mac },
  { title: "XDP", cell: (row, paint) => (row.xdp === "native" ? row.xdp : paint("yellow", row.xdp)) },
  { title: "TC", cell: (row, paint) => (row.tc ? "yes" : paint("yellow", "no")) },
  { title: "ADDRESSES", cell: (row) => row.addresses.join("\n") },
];

const verdictColumns: readonly Column<Fact>[] = [
  { title: "  VERDICT", cell: ([name]) => `  ${name}` },
  { title: "PACKETS", align: "right", cell: ([, count]) => count },
];

function verdictRows(status: StatusDocument): readonly Fact[] {
  return Object.entries(status.verdicts).map(([name, count]) => [name, String(count)] as const);
}
