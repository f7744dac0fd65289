/** The MetalLB of a cluster, as its workloads and ConfigMaps show it, and how far it is handed over. Pure. */
import { parse } from "yaml";
import { z } from "zod";

/** The objects beside the snapshot, as the API server has them. */
export interface RawWorkloads {
  readonly deployments: readonly unknown[];
  readonly daemonSets: readonly unknown[];
  readonly configMaps: readonly unknown[];
  readonly l2Statuses: readonly unknown[];
  /** Of frr-k8s, in all namespaces; empty where there is no such kind. */
  readonly frrConfigurations: readonly unknown[];
  /** Names. */
  readonly validatingWebhooks: readonly string[];
  /** How BGPPeers are converted between their versions. */
  readonly peerConversion: string | undefined;
}

export interface Workload {
  readonly name: string;
  readonly version: string;
  /** Of the container that is the program: `--lb-class=x`, `METALLB_BGP_TYPE=frr`. */
  readonly settings: ReadonlyMap<string, string>;
  /** Wanted, of a Deployment; scheduled, of a DaemonSet. */
  readonly pods: number;
  readonly ready: number;
}

export interface Installation {
  readonly controller: Workload | undefined;
  readonly speaker: Workload | undefined;
  /** Fairlead's. */
  readonly agents: Workload | undefined;
  readonly mode: "native" | "frr" | "frr-k8s";
  readonly loadBalancerClass: string;
  readonly ignoresExcludeLabel: boolean;
  /** The expression of MetalLB's excludel2 ConfigMap; `undefined`: there is none, so nothing is excluded. */
  readonly interfacesExclude: string | undefined;
  /** Configuration of FRR that somebody wrote by hand. */
  readonly rawFrr: readonly string[];
  /** By Service: the nodes that say that they announce it in layer 2. */
  readonly announcers: ReadonlyMap<string, readonly string[]>;
  readonly webhook: string | undefined;
  readonly converts: boolean;
}

const containerSchema = z.object({
  image: z.string().default(""),
  args: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  env: z.array(z.object({ name: z.string(), value: z.string().default("") })).default([]),
});

const workloadSchema = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    replicas: z.number().default(1),
    template: z.object({ spec: z.object({ containers: z.array(containerSchema) }) }),
  }),
  status: z
    .object({
      desiredNumberScheduled: z.number().optional(),
      numberReady: z.number().optional(),
      readyReplicas: z.number().optional(),
    })
    .default({}),
});

const configMapSchema = z.object({
  metadata: z.object({ name: z.string() }),
  data: z.record(z.string(), z.string()).default({}),
});

const excludeSchema = z.object({ announcedInterfacesToExclude: z.array(z.string()) });

const l2StatusSchema = z.object({
  status: z.object({
    node: z.string().default(""),
    serviceName: z.string().default(""),
    serviceNamespace: z.string().default(""),
  }),
});

const namedSchema = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().default("") }) });

export function readInstallation(raw: RawWorkloads): Installation {
  const controller = findWorkload(raw.deployments, /\/controller(:|@|$)/, "controller");
  const speaker = findWorkload(raw.daemonSets, /\/speaker(:|@|$)/, "speaker");
  const flag = (name: string): string => speaker?.settings.get(name) ?? controller?.settings.get(name) ?? "";
  const mode = flag("METALLB_BGP_TYPE");
  const configMaps = parsed(raw.configMaps, configMapSchema);
  const extras = configMaps.find(({ metadata }) => metadata.name === "bgpextras")?.data["extras"] ?? "";
  const byHand = parsed(raw.frrConfigurations, namedSchema).filter(
    ({ metadata }) => !metadata.name.startsWith("metallb-"),
  );
  return {
    controller,
    speaker,
    agents: findWorkload(raw.daemonSets, /(^|\/)fairlead(:|@|$)/, "agent"),
    mode: mode === "frr" || mode === "frr-k8s" ? mode : "native",
    loadBalancerClass: flag("--lb-class"),
    ignoresExcludeLabel: ["true", "1"].includes(speaker?.settings.get("--ignore-exclude-lb") ?? ""),
    interfacesExclude: excludedInterfaces(configMaps),
    rawFrr: [
      ...(extras.trim() === "" ? [] : ["ConfigMap bgpextras"]),
      ...byHand.map(({ metadata }) => `FRRConfiguration ${metadata.namespace}/${metadata.name}`),
    ],
    announcers: announcersOf(raw.l2Statuses),
    webhook: raw.validatingWebhooks.find((name) => name.startsWith("metallb-")),
    converts: raw.peerConversion === "Webhook",
  };
}

function findWorkload(objects: readonly unknown[], image: RegExp, program: string): Workload | undefined {
  for (const { metadata, spec, status } of parsed(objects, workloadSchema)) {
    const container = spec.template.spec.containers.find(
      (each) => image.test(each.image) && (program !== "agent" || each.args.includes("agent")),
    );
    if (container === undefined) continue;
    const words = [...container.command, ...container.args].flatMap((word): [string, string][] => {
      if (!word.startsWith("--")) return [];
      const [name = "", ...value] = word.split("=");
      return [[name, value.length === 0 ? "true" : value.join("=")]];
    });
    return {
      name: metadata.name,
      version: /:v?([^:@/]+)$/.exec(container.image.replace(/@.*/, ""))?.[1] ?? "",
      settings: new Map([...words, ...container.env.map(({ name, value }): [string, string] => [name, value])]),
      pods: status.desiredNumberScheduled ?? spec.replicas,
      ready: status.numberReady ?? status.readyReplicas ?? 0,
    };
  }
  return undefined;
}

/** MetalLB joins the list of its ConfigMap to one expression. */
function excludedInterfaces(configMaps: readonly z.infer<typeof configMapSchema>[]): string | undefined {
  const text = configMaps.find(({ metadata }) => metadata.name === "metallb-excludel2")?.data["excludel2.yaml"];
  if (text === undefined) return undefined;
  const list = excludeSchema.safeParse(parse(text, { logLevel: "silent" }));
  return list.success ? list.data.announcedInterfacesToExclude.join("|") : "";
}

function announcersOf(statuses: readonly unknown[]): ReadonlyMap<string, readonly string[]> {
  const rows = parsed(statuses, l2StatusSchema).map(({ status }) => ({
    service: `${status.serviceNamespace}/${status.serviceName}`,
    node: status.node,
  }));
  const byService = Map.groupBy(rows, ({ service }) => service);
  return new Map([...byService].map(([service, list]) => [service, list.map(({ node }) => node).toSorted()]));
}

/** What cannot be read is somebody else's: it is passed over. */
function parsed<S extends z.ZodType>(objects: readonly unknown[], schema: S): readonly z.output<S>[] {
  return objects.flatMap((object) => {
    const result = schema.safeParse(object);
    return result.success ? [result.data] : [];
  });
}
