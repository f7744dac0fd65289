/**
 * Writes the chart's files/dashboard.json, a dashboard for Grafana, from the panels below. What it writes is of Grafana's own types.
 *   node tools/generate-dashboard.ts
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  VariableRefresh,
  type Dashboard,
  type DataSourceRef,
  type Panel as PanelModel,
  type RowPanel,
  type VariableModel,
} from "@grafana/schema";
import { ROOT } from "./tree.ts";

export const DASHBOARD = "deploy/helm/fairlead/files/dashboard.json";

interface Panel {
  readonly title: string;
  /** What somebody reads who does not know it. */
  readonly about: string;
  /** Expression → legend. `$node` is what is chosen above: instances. */
  readonly queries: Readonly<Record<string, string>>;
  readonly unit?: "short" | "pps" | "s" | "ms" | "bytes" | "percentunit" | "ops" | "dateTimeFromNow";
  /** One number instead of lines over time. */
  readonly type?: "stat" | "table";
  /** Of 24. */
  readonly width?: number;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const ROWS: readonly Row[] = [
  {
    title: "At a glance",
    panels: [
      stat("Acting controllers", "One acts; none: new Services get no address.", "sum(fairlead_controller_leading)"),
      stat(
        "Services without address",
        "Their conditions say why.",
        "max(fairlead_controller_services_without_address)",
      ),
      stat("Services nobody answers for", "fairlead explain says why.", "max(fairlead_services_unserved)"),
      stat("Nodes gone", "Silent to their peers.", 'max(fairlead_peers{state="gone"})'),
      stat(
        "Nodes without agent",
        "Their datapath goes on by itself, for a while.",
        'max(fairlead_peers{state="abandoned"})',
      ),
      stat("Problems", "fairlead status lists them.", "sum(fairlead_problems)"),
    ],
  },
  {
    title: "Addresses",
    panels: [
      {
        title: "Addresses in use, by pool",
        about: "A share of the usable addresses.",
        queries: {
          "max by (pool) (metallb_allocator_addresses_in_use_total) / max by (pool) (metallb_allocator_addresses_total)":
            "{{pool}}",
        },
        unit: "percentunit",
      },
      {
        title: "Addresses left, by pool and family",
        about: "That can be given now; those that cool down are not among them.",
        queries: {
          "max by (pool, family) (fairlead_pool_addresses_available)": "{{pool}} {{family}}",
          "max by (pool) (fairlead_pool_addresses_resting)": "{{pool}} resting",
        },
      },
      {
        title: "Services, by what they have",
        about: "assigned: all they ask for; unmet: an address, but not as they ask; waiting: none.",
        queries: {
          "max by (state) (fairlead_controller_services)": "{{state}}",
          "max by (reason) (fairlead_controller_services_unmet)": "for {{reason}}",
        },
      },
    ],
  },
  {
    title: "Announcements and election",
    panels: [
      {
        title: "Addresses announced, by node",
        about: "Each address once for each protocol.",
        queries: { "count by (node, protocol) (metallb_speaker_announced)": "{{node}} {{protocol}}" },
      },
      {
        title: "Asked for and answered",
        about:
          "ARP requests and neighbor solicitations. A gap: the datapath keeps silent, because no agent renews its stamp.",
        queries: {
          "sum(rate(metallb_layer2_requests_received[$__rate_interval]))": "asked",
          "sum(rate(metallb_layer2_responses_sent[$__rate_interval]))": "answered",
          "sum(rate(metallb_layer2_gratuitous_sent[$__rate_interval]))": "gratuitous",
        },
        unit: "pps",
      },
      {
        title: "Peers, as each node sees them",
        about: "The election is among those alive.",
        queries: { 'fairlead_peers{instance=~"$node"}': "{{instance}} {{state}}", "sum(fairlead_isolated)": "cut off" },
      },
      {
        title: "Stamp",
        about: "How long peers will believe in a node's agent. At 0 its addresses move.",
        queries: { 'fairlead_stamp_seconds{instance=~"$node"}': "{{instance}}" },
        unit: "s",
      },
      {
        title: "Who announces what",
        about: "Now.",
        queries: { "metallb_speaker_announced == 1": "" },
        type: "table",
        width: 16,
      },
    ],
  },
  {
    title: "BGP and BFD",
    panels: [
      {
        title: "Sessions",
        about: "1: established, BFD: up.",
        queries: {
          'metallb_bgp_session_up{instance=~"$node"}': "BGP {{instance}} {{peer}} {{vrf}}",
          'metallb_bfd_session_up{instance=~"$node"}': "BFD {{instance}} {{peer}} {{vrf}}",
        },
      },
      {
        title: "Routes told to peers",
        about: "And those that they should be told and have not been yet.",
        queries: {
          'metallb_bgp_announced_prefixes_total{instance=~"$node"}': "{{instance}} {{peer}}",
          'metallb_bgp_pending_prefixes_total{instance=~"$node"} > 0': "{{instance}} {{peer}} pending",
        },
      },
      {
        title: "Sessions that came up, and BFD that went down",
        about: "More than a few in an hour: something flaps.",
        queries: {
          'increase(fairlead_bgp_established_total{instance=~"$node"}[1h])': "BGP {{instance}} {{peer}}",
          'increase(metallb_bfd_session_down_events{instance=~"$node"}[1h])': "BFD {{instance}} {{peer}}",
        },
      },
      {
        title: "Faults",
        about: "By name; fairlead bgp log has the words.",
        queries: {
          'increase(fairlead_bgp_faults_total{instance=~"$node"}[1h]) > 0': "{{instance}} {{peer}} {{fault}}",
          'increase(fairlead_bfd_discarded_packets_total{instance=~"$node"}[1h]) > 0': "BFD {{peer}} {{reason}}",
          'increase(fairlead_tcp_dropped_segments_total{instance=~"$node"}[1h]) > 0': "TCP {{reason}}",
        },
      },
      {
        title: "Longest pause of a BFD peer",
        about: "Near the detection time, the session is in danger.",
        queries: { 'fairlead_bfd_longest_gap_milliseconds{instance=~"$node"}': "{{instance}} {{peer}}" },
        unit: "ms",
      },
    ],
  },
  {
    title: "Datapath",
    panels: [
      {
        title: "Packets, by what became of them",
        about: "docs/api.md has the verdicts.",
        queries: {
          'sum by (verdict) (rate(fairlead_packets_total{instance=~"$node"}[$__rate_interval]))': "{{verdict}}",
        },
        unit: "pps",
      },
      {
        title: "Refused packets, by Service",
        about: "Dropped or rejected.",
        queries: {
          'topk(10, sum by (verdict, service) (rate(fairlead_refused_packets_total{instance=~"$node"}[$__rate_interval])))':
            "{{service}} {{verdict}}",
        },
        unit: "pps",
      },
      {
        title: "Flows",
        about: "Rows of the flow table, two for each connection.",
        queries: { 'fairlead_flows{instance=~"$node"}': "{{instance}}" },
      },
      {
        title: "What is programmed",
        about: "The same on every node but for endpoints and announced addresses.",
        queries: { 'max by (kind) (fairlead_objects{instance=~"$node"})': "{{kind}}" },
      },
    ],
  },
  {
    title: "The programs",
    panels: [
      {
        title: "Passes",
        about: "Over the desired state; failed: something cannot be written to the kernel.",
        queries: {
          'sum by (result) (rate(fairlead_reconciles_total{instance=~"$node"}[$__rate_interval]))': "{{result}}",
        },
        unit: "ops",
      },
      {
        title: "Duration of the last pass",
        about: "Others have their turn meanwhile.",
        queries: { 'fairlead_last_reconcile_duration_seconds{instance=~"$node"}': "{{instance}}" },
        unit: "s",
      },
      {
        title: "Resident memory",
        about: "64 MB of it are files of Node.js.",
        queries: {
          'process_resident_memory_bytes{instance=~"$node"} and on(instance) fairlead_build_info': "{{instance}}",
        },
        unit: "bytes",
      },
      {
        title: "Configuration",
        about: "stale: some of it cannot be used.",
        queries: {
          metallb_k8s_client_config_stale_bool: "{{instance}} stale",
          "1 - metallb_k8s_client_config_loaded_bool": "{{instance}} not loaded",
        },
      },
      {
        title: "Webhook's certificate expires",
        about: "It is renewed long before.",
        queries: { "1000 * max(fairlead_webhook_certificate_expiry_timestamp_seconds)": "" },
        type: "stat",
        unit: "dateTimeFromNow",
      },
      {
        title: "Versions",
        about: "Agents.",
        queries: { "count by (version) (fairlead_build_info)": "{{version}}" },
      },
    ],
  },
];

function stat(title: string, about: string, query: string): Panel {
  return { title, about, queries: { [query]: "" }, type: "stat", width: 4 };
}

/** The text of the file. */
export function dashboardText(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}

const DATASOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };
const GRID_WIDTH = 24;
const HEIGHT = 8;

function dashboard(): Dashboard {
  let id = 0;
  let y = 0;
  const panels = ROWS.flatMap((row) => {
    const placed: (PanelModel | RowPanel)[] = [
      {
        id: (id += 1),
        type: "row",
        title: row.title,
        collapsed: false,
        gridPos: { x: 0, y, w: GRID_WIDTH, h: 1 },
        panels: [],
      },
    ];
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      const w = panel.width ?? HEIGHT;
      const h = panel.type === "stat" ? HEIGHT / 2 : HEIGHT;
      if (x + w > GRID_WIDTH) [x, y, height] = [0, y + height, 0];
      placed.push(panelObject(panel, (id += 1), { x, y, w, h }));
      [x, height] = [x + w, Math.max(height, h)];
    }
    y += height;
    return placed;
  });
  return {
    uid: "fairlead",
    title: "Fairlead",
    tags: ["fairlead", "metallb", "load-balancer"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: { list: [DATASOURCE_VARIABLE, NODE_VARIABLE] },
    panels,
  };
}

const DATASOURCE_VARIABLE: VariableModel = {
  name: "datasource",
  label: "Data source",
  type: "datasource",
  query: "prometheus",
};
const NODE_VARIABLE: VariableModel = {
  name: "node",
  label: "Node",
  type: "query",
  datasource: DATASOURCE,
  query: { query: "label_values(fairlead_build_info, instance)", refId: "node" },
  refresh: VariableRefresh.onTimeRangeChanged,
  includeAll: true,
  multi: true,
  allValue: ".*",
  current: { text: "All", value: "$__all" },
};

function panelObject(
  { title, about, queries, unit = "short", type }: Panel,
  id: number,
  gridPos: NonNullable<PanelModel["gridPos"]>,
): PanelModel {
  const targets = Object.entries(queries).map(([expr, legendFormat], index) => ({
    refId: String.fromCodePoint(65 + index),
    datasource: DATASOURCE,
    expr,
    legendFormat,
    ...(type === "table" ? { instant: true, format: "table" } : {}),
  }));
  const fieldConfig = { defaults: { unit, min: 0 }, overrides: [] };
  return {
    id,
    type: type ?? "timeseries",
    title,
    description: about,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig,
    targets,
  };
}

if (import.meta.main) writeFileSync(join(ROOT, DASHBOARD), dashboardText());
