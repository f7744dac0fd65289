/** `fairlead bgp …`: sessions with routers, the routes they are told, and what became of them. */
import { Command } from "commander";
import type { BgpBfdRow, BgpChangeRow, BgpPeerRow, BgpReceivedRow, BgpRouteRow } from "../observe/bgp-status.ts";
import type { ApiDocuments } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { askAll, findAgents, tellFailures, type Answer } from "./agents.ts";
import { pcapCommand } from "./bgp-pcap.ts";
import { printRows, rowsByNode, rowsOf } from "./listing.ts";
import { withCommonOptions, withExample, type CommonOptions } from "./options.ts";
import type { Colour, Column } from "./table.ts";
import type { World } from "./world.ts";
import { duration } from "./words.ts";

export function bgpCommand(world: World): Command {
  return withExample(world, new Command("bgp"), "fairlead bgp peers\nfairlead bgp log --peer router")
    .addCommand(viewCommand(world, peers))
    .addCommand(viewCommand(world, routes))
    .addCommand(viewCommand(world, received))
    .addCommand(viewCommand(world, capabilities))
    .addCommand(viewCommand(world, bfd))
    .addCommand(viewCommand(world, log))
    .addCommand(pcapCommand(world));
}

type BgpPath = "/v1/bgp/peers" | "/v1/bgp/routes" | "/v1/bgp/received" | "/v1/bgp/bfd";

/** A list made of one document of the agent. */
interface View<P extends BgpPath, Row extends { readonly peer: string }> {
  readonly name: string;
  readonly summary: string;
  readonly path: P;
  /** `peer`: the BGPPeer's name, which `--peer` asks for. */
  readonly rows: (document: ApiDocuments[P]) => readonly Row[];
  readonly columns: (now: Date) => readonly Column<Row>[];
  readonly whenEmpty: string;
}

interface ViewOptions extends CommonOptions {
  readonly peer?: string;
}

/** With `-o json` the rows of the table, with all that the agent says. */
function viewCommand<P extends BgpPath, Row extends { readonly peer: string }>(
  world: World,
  view: View<P, Row>,
): Command {
  const command = new Command(view.name).description(view.summary);
  return withCommonOptions(world, command, `fairlead bgp ${view.name}\nfairlead bgp ${view.name} --peer router -o json`)
    .option("--peer <name>", "of one BGPPeer only")
    .action((options: ViewOptions) => printView(world, view, options));
}

async function printView<P extends BgpPath, Row extends { readonly peer: string }>(
  world: World,
  view: View<P, Row>,
  options: ViewOptions,
): Promise<void> {
  const { peer } = options;
  const whenEmpty = `${view.whenEmpty}${peer === undefined ? "" : ` of peer ${peer}`}`;
  const rowsIn = (document: ApiDocuments[P]): readonly Row[] => {
    const all = view.rows(document);
    return peer === undefined ? all : all.filter((row) => row.peer === peer || row.peer.startsWith(`${peer}/`));
  };
  const columns = view.columns(world.now());
  const found = await findAgents(world, options);
  if (found.type === "one") {
    const rows = rowsIn(await getDocument(found.agent, view.path));
    printRows(world, options, rowsOf(rows, columns), whenEmpty);
    return;
  }
  const asked = await askAll(found.agents, view.path);
  const answers: readonly Answer<readonly Row[]>[] = asked.answers.map(({ node, document }) => ({
    node,
    document: rowsIn(document),
  }));
  printRows(world, options, rowsByNode(answers, columns), whenEmpty);
  tellFailures(world, asked);
}

/** The peer's name under the word that all rows have for it; its address keeps a word of its own. */
type PeerRow = Omit<BgpPeerRow, "name" | "peer"> & { readonly peer: string; readonly location: string };

function peerRows(document: readonly BgpPeerRow[]): readonly PeerRow[] {
  return document.map(({ name, peer, ...row }) => ({ peer: name, location: peer, ...row }));
}

const STATE_COLOURS: Readonly<Record<BgpPeerRow["state"], Colour>> = {
  idle: "red",
  connect: "yellow",
  active: "yellow",
  openSent: "yellow",
  openConfirm: "yellow",
  established: "green",
};

const peers: View<"/v1/bgp/peers", PeerRow> = {
  name: "peers",
  summary: "sessions with their state, and why one is not up",
  path: "/v1/bgp/peers",
  rows: peerRows,
  whenEmpty: "No BGP session",
  columns: (now) => [
    { title: "PEER", cell: (row) => row.peer },
    { title: "ADDRESS", cell: (row) => (row.port === 179 ? row.location : `${row.location} port ${row.port}`) },
    { title: "AS", align: "right", cell: (row) => String(row.peerAsn) },
    { title: "OUR AS", align: "right", cell: (row) => String(row.localAsn) },
    { title: "STATE", cell: (row, paint) => paint(STATE_COLOURS[row.state], row.state) },
    { title: "FOR", align: "right", cell: (row) => duration((now.getTime() - Date.parse(row.since)) / 1000) },
    { title: "FAMILIES", cell: (row) => row.families.join(" ") },
    {
      title: "HOLD",
      align: "right",
      cell: (row) => (row.holdTimeSeconds === undefined ? "" : `${row.holdTimeSeconds}s`),
    },
    { title: "ANNOUNCED", align: "right", cell: announcedText },
    { title: "RECEIVED", align: "right", cell: (row) => String(row.received.IPv4 + row.received.IPv6) },
    { title: "PROBLEMS", cell: (row, paint) => row.problems.map((each) => paint("red", each)).join("\n") },
  ],
};

const routes: View<"/v1/bgp/routes", BgpRouteRow> = {
  name: "routes",
  summary: "routes this node announces, by peer, with their attributes and the Services they are for",
  path: "/v1/bgp/routes",
  rows: (document) => document,
  whenEmpty: "No routes",
  columns: () => [
    { title: "PEER", cell: (row) => row.peer },
    { title: "PREFIX", cell: (row) => row.prefix },
    { title: "LOCAL_PREF", align: "right", cell: (row) => optional(row.localPref) },
    { title: "MED", align: "right", cell: (row) => optional(row.med) },
    { title: "PREPEND", align: "right", cell: (row) => optional(row.asPathPrepend) },
    { title: "COMMUNITIES", cell: (row) => row.communities.join("\n") },
    { title: "SERVICES", cell: servicesText },
    { title: "TOLD", cell: (row, paint) => (row.told ? "yes" : paint("yellow", "no: session is down")) },
  ],
};

const LEAVING = { leaving: " as last resort: leaving", gone: ": drained or excluded" } as const;

function announcedText({ announced, leaving }: PeerRow): string {
  return `${announced.IPv4 + announced.IPv6}${leaving === undefined ? "" : LEAVING[leaving]}`;
}

/** An aggregate may stand for thousands. */
const SERVICES_SHOWN = 5;

function servicesText({ services }: BgpRouteRow): string {
  const shown = services.slice(0, SERVICES_SHOWN);
  const more = services.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

const received: View<"/v1/bgp/received", BgpReceivedRow> = {
  name: "received",
  summary: "routes that peers have told us; none is used",
  path: "/v1/bgp/received",
  rows: (document) => document,
  whenEmpty: "No routes received",
  columns: () => [
    { title: "PEER", cell: (row) => row.peer },
    { title: "PREFIX", cell: (row) => row.prefix },
    { title: "NEXT HOP", cell: (row) => row.nextHop },
  ],
};

interface CapabilityRow {
  readonly peer: string;
  readonly capability: string;
  readonly sent: boolean;
  readonly received: boolean;
}

const capabilities: View<"/v1/bgp/peers", CapabilityRow> = {
  name: "capabilities",
  summary: "what both sides said in their OPEN messages",
  path: "/v1/bgp/peers",
  rows: (document) => document.flatMap(capabilityRows),
  whenEmpty: "No capabilities: no session is up",
  columns: () => [
    { title: "PEER", cell: (row) => row.peer },
    { title: "CAPABILITY", cell: (row) => row.capability },
    { title: "OURS", cell: (row) => (row.sent ? "yes" : "") },
    { title: "THEIRS", cell: (row) => (row.received ? "yes" : "") },
  ],
};

function capabilityRows({ name, capabilities: { sent, received: theirs } }: BgpPeerRow): readonly CapabilityRow[] {
  return [...new Set([...sent, ...theirs])].map((capability) => ({
    peer: name,
    capability,
    sent: sent.includes(capability),
    received: theirs.includes(capability),
  }));
}

const BFD_COLOURS: Readonly<Record<BgpBfdRow["state"], Colour>> = {
  adminDown: "yellow",
  down: "red",
  init: "yellow",
  up: "green",
};

const bfd: View<"/v1/bgp/bfd", BgpBfdRow> = {
  name: "bfd",
  summary: "BFD beside the sessions: states, pace, and how near to its limit it runs",
  path: "/v1/bgp/bfd",
  rows: (document) => document,
  whenEmpty: "No BFD session",
  columns: (now) => [
    { title: "PEER", cell: (row) => row.peer },
    { title: "ADDRESS", cell: (row) => `${row.address}${row.multihop ? " (multihop)" : ""}` },
    { title: "STATE", cell: (row, paint) => paint(BFD_COLOURS[row.state], stateText(row)) },
    { title: "THEIRS", cell: (row) => row.remoteState },
    { title: "FOR", align: "right", cell: (row) => duration((now.getTime() - Date.parse(row.since)) / 1000) },
    { title: "FLAPS", align: "right", cell: (row) => String(row.flaps) },
    { title: "INTERVAL", align: "right", cell: (row) => `${Math.round(row.transmitIntervalMilliseconds)}ms` },
    { title: "DETECTION", align: "right", cell: (row) => milliseconds(row.detectionMilliseconds) },
    { title: "LONGEST PAUSE", align: "right", cell: (row) => milliseconds(row.longestGapMilliseconds) },
    { title: "ECHO", cell: (row) => echoText(row) },
    { title: "DISCARDED", cell: (row) => discardedText(row) },
    { title: "PROBLEM", cell: (row, paint) => (row.problem === undefined ? "" : paint("red", row.problem)) },
  ],
};

function stateText({ state, diagnostic }: BgpBfdRow): string {
  return state === "up" || diagnostic === "none" ? state : `${state}: ${diagnostic}`;
}

function milliseconds(value: number): string {
  return value === 0 ? "" : `${Math.round(value)}ms`;
}

/** What has not come back yet is not lost for that. */
function echoText({ echo }: BgpBfdRow): string {
  if (echo === undefined) return "";
  const pace = echo.intervalMilliseconds === 0 ? "stopped" : `${Math.round(echo.intervalMilliseconds)}ms`;
  return `${pace}, ${echo.returned} of ${echo.sent} back`;
}

function discardedText({ discarded }: BgpBfdRow): string {
  return Object.entries(discarded)
    .map(([reason, count]) => `${count} ${reason}`)
    .join("\n");
}

type LogRow = BgpChangeRow & { readonly peer: string };

const log: View<"/v1/bgp/peers", LogRow> = {
  name: "log",
  summary: "what became of each session, oldest first, with the reasons",
  path: "/v1/bgp/peers",
  rows: (document) =>
    document
      .flatMap(({ name, history }) => history.map((change) => ({ peer: name, ...change })))
      .toSorted((a, b) => (a.at < b.at ? -1 : 1)),
  whenEmpty: "Nothing has happened yet",
  columns: () => [
    { title: "TIME", cell: (row) => row.at.replace("T", " ").replace(/\.(\d{3})\d*Z$/, ".$1Z") },
    { title: "PEER", cell: (row) => row.peer },
    { title: "FROM", cell: (row) => row.from },
    { title: "TO", cell: (row) => row.to },
    { title: "REASON", cell: (row) => (row.times === 1 ? row.reason : `${row.reason} (${row.times} times)`) },
  ],
};

function optional(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}
