/**
 * Structured logs: every event the agent can log stands here with its level, so that the list in docs/ and alerts on it can
 * be complete. One line of JSON an event on standard output; `event` is the stable name, `msg` is for people.
 */
import { pino } from "pino";

const EVENTS = {
  starting: { level: "info", message: "Starting" },
  datapathLoaded: { level: "info", message: "Datapath loaded" },
  ready: { level: "info", message: "Ready: the tables are in the kernel" },
  deviceAttached: { level: "info", message: "Device carries the datapath" },
  deviceDetached: { level: "info", message: "Device no longer carries the datapath" },
  endpointAttached: { level: "info", message: "Pod is reached directly" },
  endpointDetached: { level: "info", message: "Pod is no longer reached directly" },
  xdpGeneric: { level: "warn", message: "The driver does not support XDP: packets are handled later and more slowly" },
  addressTaken: { level: "info", message: "This node announces the address" },
  addressReleased: { level: "info", message: "This node no longer announces the address" },
  bgpSessionUp: { level: "info", message: "A BGP session is up" },
  bgpSessionDown: { level: "warn", message: "A BGP session went down" },
  bgpCaptured: { level: "info", message: "A capture of BGP sessions ended" },
  drained: { level: "warn", message: "An operator drained this node: its routes by BGP are withdrawn" },
  undrained: { level: "info", message: "An operator ended the drain of this node" },
  peerChanged: { level: "info", message: "A peer's state changed" },
  isolated: {
    level: "warn",
    message: "All peers fell silent at once: this node is cut off, everything stays as it is",
  },
  rejoined: { level: "info", message: "Peers answer again" },
  stampLapsed: {
    level: "warn",
    message: "The liveness stamp had run out: all announcements were withdrawn before renewing it",
  },
  reconciled: { level: "debug", message: "Tables reconciled" },
  reconcileFailed: { level: "error", message: "Cannot bring the kernel's tables to what is wanted; trying again" },
  problem: { level: "warn", message: "Problem" },
  problemSolved: { level: "info", message: "Problem solved" },
  omitted: { level: "info", message: "More of the same was left out" },
  remoteChange: { level: "info", message: "Somebody asks for a change through the API server" },
  requestFailed: { level: "error", message: "A request to the local API failed" },
  stopping: { level: "info", message: "Stopping" },
  stopped: { level: "info", message: "Stopped: the datapath stays" },
  left: { level: "info", message: "Stopped: this node gave its addresses up" },
} as const satisfies Record<string, { level: "debug" | "info" | "warn" | "error"; message: string }>;

export type LogEvent = keyof typeof EVENTS;

/** Writes one event; `fields` must not be called `event`, `level`, `time` or `msg`. */
export type Log = (event: LogEvent, fields?: Readonly<Record<string, unknown>>) => void;

export interface LogOptions {
  readonly node: string;
  /** pino's level names, or "silent". */
  readonly level: string;
  /** Default: standard output. */
  readonly write?: (line: string) => void;
}

export function openLog({ node, level, write }: LogOptions): Log {
  const options = {
    level,
    base: { node },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // Synchronous: the last lines before the end are those that are needed most.
  const logger =
    write === undefined ? pino(options, pino.destination({ dest: 1, sync: true })) : pino(options, { write });
  return (event, fields = {}) => {
    const { level: at, message } = EVENTS[event];
    logger[at]({ event, ...fields }, message);
  };
}
