/** `fairlead bpf … list`: the datapath's maps, read from the kernel. What they mean: bpf/README.md. */
import { Command } from "commander";
import type { AnnouncedRow, BackendRow, BackendStateName, DropRow, FlowRow, FrontendRow } from "../observe/status.ts";
import { listingCommand, printListing, type Listing } from "./listing.ts";
import { parseCount, withCommonOptions, withExample, type CommonOptions } from "./options.ts";
import type { Colour, Column, Paint } from "./table.ts";
import type { World } from "./world.ts";
import { duration, endpoint, yesNo } from "./words.ts";

export function bpfCommand(world: World): Command {
  const bpf = withExample(world, new Command("bpf"), "fairlead bpf lb list\nfairlead bpf ct list --limit 20");
  const add = (name: string, summary: string, list: Command): void => {
    const map = new Command(name).description(summary).addCommand(list);
    bpf.addCommand(withExample(world, map, `fairlead bpf ${name} list`));
  };
  add("lb", "frontends and the backends behind them", listingCommand(world, frontends));
  add("ct", "connections", flowsCommand(world));
  add("backends", "backends by number", listingCommand(world, backends));
  add("announced", "addresses this node answers ARP and NDP for", listingCommand(world, announced));
  add("drops", "packets dropped or rejected, by reason and Service", listingCommand(world, drops));
  return bpf;
}

const STATE_COLOURS: Readonly<Record<BackendStateName, Colour>> = {
  active: "green",
  notReady: "yellow",
  terminating: "yellow",
  gone: "red",
};

const frontends: Listing<"/v1/bpf/lb"> = {
  name: "list",
  summary: "list frontends in the order of their addresses",
  example: "fairlead bpf lb list",
  path: "/v1/bpf/lb",
  whenEmpty: "No frontends",
  columns: [
    { title: "SERVICE", cell: (row) => row.service },
    { title: "ID", align: "right", cell: (row) => String(row.serviceId) },
    { title: "FRONTEND", cell: (row) => frontendText(row) },
    { title: "MAGLEV", align: "right", cell: (row) => (row.maglevSize === 0 ? "" : String(row.maglevSize)) },
    { title: "FLAGS", cell: (row) => row.flags.join(",") },
    { title: "BACKENDS", cell: (row, paint) => row.backends.map((each) => slotText(each, paint)).join("\n") },
  ],
};

function frontendText(row: FrontendRow): string {
  return row.port === 0 ? `${row.address} (other ports)` : `${endpoint(row.address, row.port)}/${row.protocol}`;
}

function slotText(row: BackendRow, paint: Paint): string {
  const notes = [row.state === "active" ? "" : paint(STATE_COLOURS[row.state], row.state), row.local ? "here" : ""];
  const noted = notes.filter((note) => note !== "").join(", ");
  return `${row.id}: ${endpoint(row.address, row.port)}${noted === "" ? "" : ` (${noted})`}`;
}

const flowColumns: readonly Column<FlowRow>[] = [
  { title: "PROTOCOL", cell: (row) => row.protocol },
  { title: "SOURCE", cell: (row) => endpoint(row.source, row.sourcePort) },
  { title: "DESTINATION", cell: (row) => endpoint(row.destination, row.destinationPort) },
  { title: "TO SOURCE", cell: (row) => changed(row.toSource, row.toSourcePort, row.source, row.sourcePort) },
  {
    title: "TO DESTINATION",
    cell: (row) => changed(row.toDestination, row.toDestinationPort, row.destination, row.destinationPort),
  },
  { title: "DEVICE", cell: (row) => row.device },
  { title: "SERVICE", cell: (row) => row.service },
  { title: "BACKEND", align: "right", cell: (row) => String(row.backendId) },
  { title: "FLAGS", cell: (row) => row.flags.join(",") },
  { title: "IDLE", align: "right", cell: (row) => duration(row.ageSeconds) },
  { title: "PACKETS", align: "right", cell: (row) => String(row.packets) },
  { title: "BYTES", align: "right", cell: (row) => String(row.bytes) },
];

function changed(to: string, toPort: number, from: string, fromPort: number): string {
  return to === from && toPort === fromPort ? "same" : endpoint(to, toPort);
}

function flowsCommand(world: World): Command {
  const summary = "list connections: one row per direction, with the translation it gets";
  const listing: Listing<"/v1/bpf/ct"> = {
    name: "list",
    example: "fairlead bpf ct list\nfairlead bpf ct list --limit 0 -o json | jq length",
    path: "/v1/bpf/ct",
    whenEmpty: "No connections",
    columns: flowColumns,
  };
  const command = new Command(listing.name).description(summary);
  return withCommonOptions(world, command, listing.example)
    .option("--limit <rows>", "rows at most; 0: all", parseCount, 1000)
    .action((options: CommonOptions & { readonly limit: number }) =>
      printListing(world, listing, options, `?limit=${options.limit}`),
    );
}

const backends: Listing<"/v1/bpf/backends"> = {
  name: "list",
  summary: "list backends in the order of their numbers",
  example: "fairlead bpf backends list",
  path: "/v1/bpf/backends",
  whenEmpty: "No backends",
  columns: [
    { title: "ID", align: "right", cell: (row) => String(row.id) },
    { title: "BACKEND", cell: (row) => endpoint(row.address, row.port) },
    { title: "PROTOCOL", cell: (row) => row.protocol ?? "" },
    { title: "STATE", cell: (row, paint) => paint(STATE_COLOURS[row.state], row.state) },
    { title: "HERE", cell: (row) => yesNo(row.local) },
    { title: "GENERATION", align: "right", cell: (row) => String(row.generation ?? "") },
  ],
};

const announcedColumns: readonly Column<AnnouncedRow>[] = [
  { title: "ADDRESS", cell: (row) => row.address },
  { title: "DEVICE", cell: (row) => row.device },
  { title: "REQUESTS", align: "right", cell: (row) => String(row.requests) },
  { title: "ANSWERS", align: "right", cell: (row) => String(row.answers) },
];

const announced: Listing<"/v1/bpf/announced"> = {
  name: "list",
  summary: "list the addresses this node answers for, by device, with the requests heard and answered",
  example: "fairlead bpf announced list",
  path: "/v1/bpf/announced",
  whenEmpty: "This node answers for no address",
  columns: announcedColumns,
};

const dropColumns: readonly Column<DropRow>[] = [
  { title: "REASON", cell: (row) => row.verdict },
  { title: "SERVICE", cell: (row) => row.service ?? "" },
  { title: "PACKETS", align: "right", cell: (row) => String(row.count) },
];

const drops: Listing<"/v1/bpf/drops"> = {
  name: "list",
  summary: "list drops and rejects since the datapath was loaded",
  example: "fairlead bpf drops list",
  path: "/v1/bpf/drops",
  whenEmpty: "Nothing was dropped or rejected",
  columns: dropColumns,
};
