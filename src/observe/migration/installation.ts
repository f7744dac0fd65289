/** The MetalLB of a cluster, as its workloads and ConfigMaps show it, and how far it is handed over. Pure. */
import { parse } from "yaml";
import { z } from "zod";
import { frrConfigurationSchema, sortFrrConfigurations, type FrrConfigurations } from "./frr-configurations.ts";

/** The objects beside the snapshot, as the API server has them. */
export interface RawWorkloads {
  readonly deployments: readonly unknown[];
  readonly daemonSets: readonly unknown[];
  readonly configMaps: readonly unknown[];
  readonly l2Statuses: readonly unknown[];
  /** Of frr-k8s, in all namespaces; empty where there is no such kind. Its own programs may be in any of them as well. */
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
  /** The release of Helm it is part of. */
  readonly release: string | undefined;
  /** Its pods, as kubectl's --selector has it. */
  readonly selector: string;
  /** Where its pods may be, as the object says it. */
  readonly affinity: Affinity;
}

/** Core v1; whatever else is in it is kept. */
export interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly { readonly matchExpressions?: readonly unknown[] }[];
    };
  };
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
  /** There is a ConfigMap with configuration of FRR that somebody wrote by hand. */
  readonly frrExtras: boolean;
  readonly frrConfigurations: FrrConfigurations;
  /** Of frr-k8s, where it came with MetalLB: its DaemonSet, in which FRR runs, and what judges its objects. */
  readonly frrK8s: Workload | undefined;
  readonly frrK8sJudge: Workload | undefined;
  readonly frrK8sWebhook: string | undefined;
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

const affinitySchema = z.looseObject({
  nodeAffinity: z
    .looseObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .looseObject({
          nodeSelectorTerms: z.array(z.looseObject({ matchExpressions: z.array(z.unknown()).exactOptional() })),
        })
        .exactOptional(),
    })
    .exactOptional(),
});

const workloadSchema = z.object({
  metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({
    replicas: z.number().default(1),
    selector: z.object({ matchLabels: z.record(z.string(), z.string()).default({}) }).default({ matchLabels: {} }),
    template: z.object({
      spec: z.object({ containers: z.array(containerSchema), affinity: affinitySchema.default({}) }),
    }),
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

export function readInstallation(raw: RawWorkloads): Installation {
  const controller = findWorkload(raw.deployments, /\/controller(:|@|$)/, "controller");
  const speaker = findWorkload(raw.daemonSets, /\/speaker(:|@|$)/, "speaker");
  const flag = (name: string): string => speaker?.settings.get(name) ?? controller?.settings.get(name) ?? "";
  const mode = flag("METALLB_BGP_TYPE");
  const configMaps = parsed(raw.configMaps, configMapSchema);
  const extras = configMaps.find(({ metadata }) => metadata.name === "bgpextras")?.data["extras"] ?? "";
  return {
    controller,
    speaker,
    agents: findWorkload(raw.daemonSets, /(^|\/)fairlead(:|@|$)/, "agent"),
    mode: mode === "frr" || mode === "frr-k8s" ? mode : "native",
    loadBalancerClass: flag("--lb-class"),
    ignoresExcludeLabel: ["true", "1"].includes(speaker?.settings.get("--ignore-exclude-lb") ?? ""),
    interfacesExclude: excludedInterfaces(configMaps),
    frrExtras: extras.trim() !== "",
    frrConfigurations: sortFrrConfigurations(parsed(raw.frrConfigurations, frrConfigurationSchema)),
    frrK8s: findWorkload(raw.daemonSets, /\/frr-k8s(:|@|$)/, "frr-k8s"),
    frrK8sJudge: findWorkload(raw.deployments, /\/frr-k8s(:|@|$)/, "frr-k8s"),
    frrK8sWebhook: raw.validatingWebhooks.find((name) => name.startsWith("frr-k8s-")),
    announcers: announcersOf(raw.l2Statuses),
    webhook: raw.validatingWebhooks.find((name) => name.startsWith("metallb-")),
    converts: raw.peerConversion === "Webhook",
  };
}

/** FRR has nobody else to speak for: its pods go where speakers go. */
export function goesWithSpeakers({ mode, frrK8s, frrConfigurations }: Installation): boolean {
  return mode === "frr-k8s" && frrK8s !== undefined && frrConfigurations.others.length === 0;
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
      release: metadata.annotations["meta.helm.sh/release-name"],
      selector: Object.entries(spec.selector.matchLabels)
        .map((each) => each.join("="))
        .join(),
      affinity: spec.template.spec.affinity,
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
