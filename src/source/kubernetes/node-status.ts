/** What an agent says about its own node, in objects of its own: ServiceL2Status, ServiceBGPStatus, ConfigurationState, events. */
import { z } from "zod";
import { systemClock } from "../../time/clock.ts";
import {
  BGP_STATUS,
  L2_STATUS,
  statusFields,
  statusLabels,
  statusName,
  type ServiceStatusKind,
} from "../service-statuses.ts";
import type {
  BgpStatusWrite,
  ConfigurationStateWrite,
  EventWrite,
  L2StatusWrite,
  NodeStatusWriter,
} from "../source.ts";
import type { Connection } from "./connection.ts";
import { EventWriter } from "./event-writer.ts";
import { startReflector, type Reflector } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";
import { applyOwn, refusalOf } from "./writer.ts";

export interface NodeStatusOptions {
  readonly connection: Connection;
  /** Where the objects lie: our configuration's namespace. */
  readonly namespace: string;
  readonly node: string;
  /** The pod this runs in: its objects go with it. Absent: they stay until they are removed. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

const COMPONENT = "fairlead-agent";
const METALLB = "metallb.io/v1beta1";

const nameSchema = z.object({ metadata: z.object({ name: z.string() }) });
const objectSchema = z.object({
  status: z.looseObject({ serviceName: z.string(), serviceNamespace: z.string() }),
});

const listSchema = z.object({
  items: z
    .array(z.unknown())
    .nullish()
    .transform((items) => items ?? []),
});

export function openNodeStatus(options: NodeStatusOptions): NodeStatusWriter {
  return new NodeStatusObjects(options);
}

class NodeStatusObjects implements NodeStatusWriter {
  readonly #options: NodeStatusOptions;
  readonly #events: EventWriter;
  readonly #l2: StatusObjects<L2StatusWrite>;
  readonly #bgp: StatusObjects<BgpStatusWrite>;

  constructor(options: NodeStatusOptions) {
    this.#options = options;
    const { connection, node } = options;
    this.#events = new EventWriter(connection, COMPONENT, options.pod?.name ?? node);
    this.#l2 = new StatusObjects(L2_STATUS, options);
    this.#bgp = new StatusObjects(BGP_STATUS, options);
  }

  l2Statuses(): ReadonlyMap<string, L2StatusWrite> | undefined {
    return this.#l2.written();
  }

  async writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void> {
    await this.#l2.write(service, status);
  }

  bgpStatuses(): ReadonlyMap<string, BgpStatusWrite> | undefined {
    return this.#bgp.written();
  }

  async writeBgpStatus(service: string, status: BgpStatusWrite | undefined): Promise<void> {
    await this.#bgp.write(service, status);
  }

  async silentAbout(service: string, nodes: readonly string[]): Promise<readonly string[]> {
    const { connection } = this.#options;
    const { "metallb.io/node": _, ...labels } = statusLabels("", service);
    const labelSelector = Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join();
    const path = pathOf(this.#options, BGP_STATUS.resource);
    const response = await connection.request({ method: "GET", path, query: { labelSelector } });
    if (response.status !== 200) throw new Error(refusalOf(response));
    const { items } = listSchema.parse(response.body);
    const told = items.flatMap((item) => {
      const { success, data } = objectSchema.safeParse(item);
      if (!success || `${data.status.serviceNamespace}/${data.status.serviceName}` !== service) return [];
      return [data.status["node"]];
    });
    return nodes.filter((node) => !told.includes(node));
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const { connection, node } = this.#options;
    const name = `speaker-${node}`;
    const labels = { "metallb.io/component-type": "speaker", "metallb.io/node-name": node };
    const object = objectOf(this.#options, "ConfigurationState", name, labels, { ...status });
    await applyOwn(connection, `${pathOf(this.#options, "configurationstates")}/${name}`, object, COMPONENT);
  }

  async writeEvent(event: EventWrite): Promise<void> {
    await this.#events.write(event, Date.now());
  }

  async close(): Promise<void> {
    this.#l2.stop();
    this.#bgp.stop();
  }
}

/** The objects of one kind about this node, as the API server has them. */
class StatusObjects<Write> {
  readonly #kind: ServiceStatusKind<Write>;
  readonly #options: NodeStatusOptions;
  readonly #reflector: Reflector;
  /** By name of the object. */
  readonly #found = new Map<string, { readonly service: string; readonly write: Write }>();
  #synced = false;
  #written: ReadonlyMap<string, Write> | undefined;

  constructor(kind: ServiceStatusKind<Write>, options: NodeStatusOptions) {
    this.#kind = kind;
    this.#options = options;
    this.#reflector = startReflector({
      connection: options.connection,
      path: pathOf(options, kind.resource),
      selectors: { labelSelector: `metallb.io/node=${options.node}` },
      clock: systemClock,
      random: Math.random,
      onEffects: (changes, { synced }) => {
        this.#synced = synced;
        this.#written = undefined;
        for (const change of changes) {
          if (change.type === "replace") this.#found.clear();
          for (const object of change.type === "replace" ? change.items : [change.object])
            this.#note(object, change.type !== "remove");
        }
      },
    });
  }

  /** The same map as long as nothing changed in it. */
  written(): ReadonlyMap<string, Write> | undefined {
    if (!this.#synced) return undefined;
    this.#written ??= new Map([...this.#found.values()].map(({ service, write }) => [service, write]));
    return this.#written;
  }

  async write(service: string, write: Write | undefined): Promise<void> {
    const { connection, node } = this.#options;
    const name = statusName(this.#kind.prefix, node, service);
    const path = `${pathOf(this.#options, this.#kind.resource)}/${name}`;
    if (write === undefined) {
      const response = await connection.request({ method: "DELETE", path });
      if (response.status !== 200 && response.status !== 404) throw new Error(refusalOf(response));
      this.#found.delete(name);
      this.#written = undefined;
      return;
    }
    const status = statusFields(this.#kind, node, service, write);
    const object = objectOf(this.#options, this.#kind.kind, name, statusLabels(node, service), status);
    await applyOwn(connection, path, object, COMPONENT);
    this.#found.set(name, { service, write });
    this.#written = undefined;
  }

  stop(): void {
    this.#reflector.stop();
  }

  /** One that is not as we write it counts as not there: what it should say is written anew. */
  #note(object: Raw, there: boolean): void {
    const { success: named, data: name } = nameSchema.safeParse(object);
    if (!named) return;
    const { status } = objectSchema.safeParse(object).data ?? {};
    const write = status === undefined ? undefined : this.#kind.parse(status);
    if (!there || status === undefined || write === undefined) this.#found.delete(name.metadata.name);
    else this.#found.set(name.metadata.name, { service: `${status.serviceNamespace}/${status.serviceName}`, write });
  }
}

function pathOf({ namespace }: NodeStatusOptions, resource: string): string {
  return `/apis/${METALLB}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
}

function objectOf(
  { namespace, pod }: NodeStatusOptions,
  kind: string,
  name: string,
  labels: Raw,
  status: Raw,
): Raw & { readonly status: Raw } {
  const owner = pod === undefined ? {} : { ownerReferences: [{ apiVersion: "v1", kind: "Pod", ...pod }] };
  return { apiVersion: METALLB, kind, metadata: { name, namespace, labels, ...owner }, status };
}
