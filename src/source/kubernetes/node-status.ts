/** What an agent says about its own node, in objects of its own: ServiceL2Status, ConfigurationState, events. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { systemClock } from "../../time/clock.ts";
import type { ConfigurationStateWrite, EventWrite, L2StatusWrite, NodeStatusWriter } from "../source.ts";
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

const statusSchema = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({
    serviceName: z.string(),
    serviceNamespace: z.string(),
    interfaces: z.array(z.object({ name: z.string() })).default([]),
  }),
});

export function openNodeStatus(options: NodeStatusOptions): NodeStatusWriter {
  return new NodeStatusObjects(options);
}

class NodeStatusObjects implements NodeStatusWriter {
  readonly #options: NodeStatusOptions;
  readonly #events: EventWriter;
  readonly #reflector: Reflector;
  /** By name of the object. */
  readonly #found = new Map<string, { readonly service: string; readonly write: L2StatusWrite }>();
  #synced = false;

  constructor(options: NodeStatusOptions) {
    this.#options = options;
    const { connection, node } = options;
    this.#events = new EventWriter(connection, COMPONENT, options.pod?.name ?? node);
    this.#reflector = startReflector({
      connection,
      path: this.#path("servicel2statuses"),
      selectors: { labelSelector: `metallb.io/node=${node}` },
      clock: systemClock,
      random: Math.random,
      onEffects: (changes, { synced }) => {
        this.#synced = synced;
        for (const change of changes) {
          if (change.type === "replace") this.#found.clear();
          for (const object of change.type === "replace" ? change.items : [change.object])
            this.#note(object, change.type !== "remove");
        }
      },
    });
  }

  l2Statuses(): ReadonlyMap<string, L2StatusWrite> | undefined {
    if (!this.#synced) return undefined;
    return new Map([...this.#found.values()].map(({ service, write }) => [service, write]));
  }

  async writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void> {
    const { connection, node } = this.#options;
    const name = objectName(node, service);
    const path = `${this.#path("servicel2statuses")}/${name}`;
    if (status === undefined) {
      const response = await connection.request({ method: "DELETE", path });
      if (response.status !== 200 && response.status !== 404) throw new Error(refusalOf(response));
      this.#found.delete(name);
      return;
    }
    const [serviceNamespace = "", serviceName = ""] = service.split("/");
    const labels = {
      "metallb.io/node": node,
      // The value of a label is shorter than a name may be.
      "metallb.io/service-name": serviceName.slice(0, 63),
      "metallb.io/service-namespace": serviceNamespace,
    };
    const interfaces = status.interfaces.map((each) => ({ name: each }));
    const written = { node, serviceName, serviceNamespace, interfaces };
    await applyOwn(connection, path, this.#object("ServiceL2Status", name, labels, written), COMPONENT);
    this.#found.set(name, { service, write: status });
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const { connection, node } = this.#options;
    const name = `speaker-${node}`;
    const labels = { "metallb.io/component-type": "speaker", "metallb.io/node-name": node };
    const object = this.#object("ConfigurationState", name, labels, { ...status });
    await applyOwn(connection, `${this.#path("configurationstates")}/${name}`, object, COMPONENT);
  }

  async writeEvent(event: EventWrite): Promise<void> {
    await this.#events.write(event, Date.now());
  }

  async close(): Promise<void> {
    this.#reflector.stop();
  }

  #path(resource: string): string {
    return `/apis/${METALLB}/namespaces/${encodeURIComponent(this.#options.namespace)}/${resource}`;
  }

  #object(kind: string, name: string, labels: Raw, status: Raw): Raw & { readonly status: Raw } {
    const { namespace, pod } = this.#options;
    const owner = pod === undefined ? {} : { ownerReferences: [{ apiVersion: "v1", kind: "Pod", ...pod }] };
    return { apiVersion: METALLB, kind, metadata: { name, namespace, labels, ...owner }, status };
  }

  /** One that is not as we write it counts as not there: what it should say is written anew. */
  #note(object: Raw, there: boolean): void {
    const parsed = statusSchema.safeParse(object);
    if (!parsed.success) return;
    const { metadata, status } = parsed.data;
    const service = `${status.serviceNamespace}/${status.serviceName}`;
    if (!there) this.#found.delete(metadata.name);
    else this.#found.set(metadata.name, { service, write: { interfaces: status.interfaces.map(({ name }) => name) } });
  }
}

/** The same for a node and a Service whenever it is written: a repetition changes nothing. */
function objectName(node: string, service: string): string {
  return `l2-${createHash("sha256").update(`${node}/${service}`).digest("hex").slice(0, 10)}`;
}
