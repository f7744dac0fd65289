/**
 * The node-state folder: what an agent says about its node, in the shapes that Kubernetes gives it. One folder may serve
 * several agents: every name has the node's in it, and an agent touches only its own.
 *
 *     servicel2statuses/NODE_NAMESPACE_NAME.json   configurationstates/speaker-NODE.json   events-NODE.json
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ConfigurationStateWrite, EventWrite, L2StatusWrite, NodeStatusWriter } from "../source.ts";
import { EventFile } from "./events.ts";
import {
  CONFIGURATION_FOLDER,
  fileName,
  SYSTEM_NAMESPACE,
  writeAtomically,
  writeConfigurationObject,
} from "./state.ts";

const L2_FOLDER = "servicel2statuses";

const l2StatusSchema = z.object({
  status: z.object({
    node: z.string(),
    serviceName: z.string(),
    serviceNamespace: z.string(),
    interfaces: z.array(z.object({ name: z.string() })).default([]),
  }),
});

/** Reads what an earlier run left. Throws when the folder cannot be created. */
export function openNodeState(folder: string, node: string): NodeStatusWriter {
  try {
    for (const name of [L2_FOLDER, CONFIGURATION_FOLDER]) mkdirSync(join(folder, name), { recursive: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot create the node-state folder ${JSON.stringify(folder)}: ${reason}`, { cause });
  }
  return new NodeStateFolder(folder, node);
}

class NodeStateFolder implements NodeStatusWriter {
  readonly #folder: string;
  readonly #node: string;
  readonly #events: EventFile;
  readonly #l2: Map<string, L2StatusWrite>;

  constructor(folder: string, node: string) {
    this.#folder = folder;
    this.#node = node;
    this.#events = new EventFile({ folder, file: `events-${node}.json`, component: "fairlead-agent" });
    this.#l2 = readL2Statuses(join(folder, L2_FOLDER), node);
  }

  l2Statuses(): ReadonlyMap<string, L2StatusWrite> {
    return this.#l2;
  }

  async writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void> {
    const folder = join(this.#folder, L2_FOLDER);
    const file = fileName(`${this.#node}/${service}`);
    attempt(`ServiceL2Status of Service ${service}`, () => {
      if (status === undefined) rmSync(join(folder, file), { force: true });
      else writeAtomically(folder, file, l2StatusObject(this.#node, service, status));
    });
    if (status === undefined) this.#l2.delete(service);
    else this.#l2.set(service, status);
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const name = `speaker-${this.#node}`;
    const labels = { "metallb.io/component-type": "speaker", "metallb.io/node-name": this.#node };
    attempt(`ConfigurationState ${name}`, () => writeConfigurationObject(this.#folder, name, labels, status));
  }

  async writeEvent(event: EventWrite): Promise<void> {
    await this.#events.write(event, new Date());
  }

  async close(): Promise<void> {
    await this.#events.settled();
  }
}

function attempt(what: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write the ${what}: ${reason}`, { cause });
  }
}

function l2StatusObject(node: string, service: string, { interfaces }: L2StatusWrite): object {
  const [serviceNamespace = "", serviceName = ""] = service.split("/");
  const labels = {
    "metallb.io/node": node,
    "metallb.io/service-name": serviceName,
    "metallb.io/service-namespace": serviceNamespace,
  };
  const hash = createHash("sha256").update(`${node}/${service}`).digest("hex").slice(0, 10);
  return {
    apiVersion: "metallb.io/v1beta1",
    kind: "ServiceL2Status",
    metadata: { name: `l2-${hash}`, namespace: SYSTEM_NAMESPACE, labels },
    status: { node, serviceName, serviceNamespace, interfaces: interfaces.map((name) => ({ name })) },
  };
}

/** A file that is not as we write it counts as not there: what it should say is written anew. */
function readL2Statuses(folder: string, node: string): Map<string, L2StatusWrite> {
  const statuses = new Map<string, L2StatusWrite>();
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".json") || name.startsWith(".")) continue;
    const parsed = l2StatusSchema.safeParse(parseOrNothing(readFileSync(join(folder, name), "utf8")));
    if (!parsed.success || parsed.data.status.node !== node) continue;
    const { serviceNamespace, serviceName, interfaces } = parsed.data.status;
    statuses.set(`${serviceNamespace}/${serviceName}`, { interfaces: interfaces.map((each) => each.name) });
  }
  return statuses;
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
