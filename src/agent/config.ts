/** What an agent is told on its command line, checked and completed. */
import { parseListen, type ListenAddress } from "../net/listen.ts";
import type { Problem } from "../net/problem.ts";
import { parseOrigin, type Origin, type OriginOptions } from "../source/open.ts";

/** As the command line has it; whatever is absent takes the default beside it. */
export interface AgentOptions extends OriginOptions {
  readonly nodeName: string;
  /** Where this agent says what its node does: ServiceL2Status, events; absent: nowhere. */
  readonly nodeState?: string | undefined;
  /** The pod this runs in: what it writes about itself in Kubernetes goes with it. */
  readonly podName?: string | undefined;
  readonly podUid?: string | undefined;
  /** That this is a pod of: when it is deleted, everything is given up and taken away. */
  readonly daemonset?: string | undefined;
  /** A folder with one file per pod whose veth is ours. */
  readonly endpoints?: string | undefined;
  /** /run/fairlead/bpf/NODE */
  readonly bpffs?: string | undefined;
  /** /run/fairlead/NODE.sock */
  readonly socket?: string | undefined;
  /** A regular expression; MetalLB's list of interfaces that never announce. */
  readonly interfacesExclude?: string | undefined;
  /** Only these devices. */
  readonly devices?: readonly string[] | undefined;
  /** HOST:PORT for Prometheus; absent: only on the unix socket. */
  readonly metricsListen?: string | undefined;
  /** HOST:PORT of /healthz and /readyz; absent: nowhere. */
  readonly healthListen?: string | undefined;
  /** HOST:PORT of the API for `kubectl fairlead`; absent: only on the unix socket. */
  readonly apiListen?: string | undefined;
  /** HOST:PORT of a BMP collector; absent: none. */
  readonly bmp?: string | undefined;
  /** How long this node's addresses stay its own while no agent runs: 60. */
  readonly graceSeconds?: number | undefined;
  /** 7956 */
  readonly membershipPort?: number | undefined;
  readonly membershipKeyFile?: string | undefined;
  /** How often this node's settings and segments are looked at for hazards: 30. */
  readonly checkSeconds?: number | undefined;
  /** Rows of the flow table, two a connection: as compiled. */
  readonly flowsMax?: number | undefined;
  /** A stop gives everything up at once instead of leaving it to a restart. */
  readonly leaveOnStop?: boolean | undefined;
  /** Nodes excluded from external load balancers by their label announce all the same. */
  readonly ignoreExcludeLb?: boolean | undefined;
  /** Beside another load balancer: nothing is done on this node before its label asks for it. */
  readonly handover?: boolean | undefined;
  readonly logLevel?: string | undefined;
}

export interface AgentConfig {
  readonly nodeName: string;
  readonly origin: Origin;
  readonly nodeState: string | undefined;
  readonly pod: { readonly name: string; readonly uid: string } | undefined;
  readonly daemonSet: string | undefined;
  readonly endpoints: string | undefined;
  readonly bpffs: string;
  readonly socket: string;
  readonly interfacesExclude: RegExp;
  readonly devices: readonly string[] | undefined;
  readonly metricsListen: ListenAddress | undefined;
  readonly healthListen: ListenAddress | undefined;
  readonly apiListen: ListenAddress | undefined;
  /** A BMP collector. */
  readonly bmp: ListenAddress | undefined;
  readonly graceSeconds: number;
  readonly membershipPort: number;
  readonly membershipKeyFile: string | undefined;
  readonly checkSeconds: number;
  readonly flowsMax: number | undefined;
  readonly leaveOnStop: boolean;
  readonly ignoreExcludeLabel: boolean;
  readonly handover: boolean;
  readonly logLevel: LogLevel;
}

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** MetalLB's shipped exclusion list (ConfigMap metallb-excludel2). */
export const EXCLUDED_INTERFACES =
  "^docker.*|^cbr.*|^dummy.*|^virbr.*|^lxcbr.*|^veth.*|^lo$|^cali.*|^tunl.*|^flannel.*|^kube-ipvs.*|^cni.*|^nodelocaldns.*|^lxc.*";

const NODE_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const GRACE_SECONDS_MIN = 2;

/** Every problem at once, or the configuration. */
export function parseOptions(options: AgentOptions): AgentConfig | { readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const complain = (option: string, message: string): undefined => void problems.push({ subject: option, message });
  const { nodeName, graceSeconds = 60, membershipPort = 7956, checkSeconds = 30, flowsMax } = options;
  // The name becomes part of file names.
  if (!NODE_NAME.test(nodeName)) complain("--node-name", `${JSON.stringify(nodeName)} is not the name of a node`);
  const origin = parseOrigin(options);
  if ("problems" in origin) problems.push(...origin.problems);
  else if (options.daemonset !== undefined && origin.type !== "kubernetes")
    complain("--daemonset", "is for agents in a Kubernetes cluster");
  if (!(graceSeconds >= GRACE_SECONDS_MIN))
    complain("--grace-seconds", `${graceSeconds} is less than ${GRACE_SECONDS_MIN}`);
  if (!(checkSeconds >= 1)) complain("--check-seconds", `${checkSeconds} is less than 1`);
  if (!isPort(membershipPort)) complain("--membership-port", `${membershipPort} is not a port (1-65535)`);
  if (flowsMax !== undefined && !(Number.isInteger(flowsMax) && flowsMax >= 1024)) {
    complain("--flows-max", `${flowsMax} is not a whole number of at least 1024`);
  }
  const interfacesExclude = parseExpression(options.interfacesExclude ?? EXCLUDED_INTERFACES);
  if (interfacesExclude === undefined)
    complain("--interfaces-exclude", `${JSON.stringify(options.interfacesExclude)} is not a regular expression`);
  const metricsListen = options.metricsListen === undefined ? undefined : parseListen(options.metricsListen);
  if (options.metricsListen !== undefined && metricsListen === undefined) {
    complain("--metrics-listen", `${JSON.stringify(options.metricsListen)} is not HOST:PORT`);
  }
  const healthListen = options.healthListen === undefined ? undefined : parseListen(options.healthListen);
  if (options.healthListen !== undefined && healthListen === undefined)
    complain("--health-listen", `${JSON.stringify(options.healthListen)} is not HOST:PORT`);
  const apiListen = parseApiListen(options, complain);
  const bmp = options.bmp === undefined ? undefined : parseListen(options.bmp);
  if (options.bmp !== undefined && (bmp === undefined || bmp.port === 0))
    complain("--bmp", `${JSON.stringify(options.bmp)} is not HOST:PORT of a collector`);
  const logLevel = LOG_LEVELS.find((level) => level === (options.logLevel ?? "info"));
  if (logLevel === undefined)
    complain("--log-level", `${JSON.stringify(options.logLevel)} is none of ${LOG_LEVELS.join(", ")}`);
  if (problems.length > 0 || "problems" in origin || interfacesExclude === undefined || logLevel === undefined)
    return { problems };
  return {
    nodeName,
    origin,
    nodeState: options.nodeState,
    pod: podOf(options),
    daemonSet: options.daemonset,
    endpoints: options.endpoints,
    bpffs: options.bpffs ?? `/run/fairlead/bpf/${nodeName}`,
    socket: options.socket ?? `/run/fairlead/${nodeName}.sock`,
    interfacesExclude,
    devices: options.devices !== undefined && options.devices.length > 0 ? options.devices : undefined,
    metricsListen,
    healthListen,
    apiListen,
    bmp,
    graceSeconds,
    membershipPort,
    membershipKeyFile: options.membershipKeyFile,
    checkSeconds,
    flowsMax,
    ...flagsOf(options),
    logLevel,
  };
}

function parseApiListen(
  { apiListen, kubernetes = false, kubeconfig }: AgentOptions,
  complain: (option: string, message: string) => void,
): ListenAddress | undefined {
  if (apiListen === undefined) return undefined;
  const parsed = parseListen(apiListen);
  if (parsed === undefined) complain("--api-listen", `${JSON.stringify(apiListen)} is not HOST:PORT`);
  if (!kubernetes && kubeconfig === undefined)
    complain("--api-listen", "needs Kubernetes: its API server says who asks, and what they may");
  return parsed;
}

function flagsOf(options: AgentOptions): Pick<AgentConfig, "leaveOnStop" | "ignoreExcludeLabel" | "handover"> {
  const { leaveOnStop = false, ignoreExcludeLb: ignoreExcludeLabel = false, handover = false } = options;
  return { leaveOnStop, ignoreExcludeLabel, handover };
}

function podOf({ podName, podUid }: AgentOptions): AgentConfig["pod"] {
  return podName === undefined || podUid === undefined ? undefined : { name: podName, uid: podUid };
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65535;
}

function parseExpression(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}
