/**
 * The node-state folder: what an agent says about its node, in the shapes that Kubernetes gives it. One folder may serve
 * several agents: every name has the node's in it, and an agent touches only its own.
 *
 *     servicel2statuses/NODE_NAMESPACE_NAME.json     configurationstates/speaker-NODE.json
 *     servicebgpstatuses/NODE_NAMESPACE_NAME.json    events-NODE.json
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
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
import { EventFile } from "./events.ts";
import {
  CONFIGURATION_FOLDER,
  fileName,
  SYSTEM_NAMESPACE,
  writeAtomically,
  writeConfigurationObject,
} from "./state.ts";

const objectSchema = z.object({
  status: z.looseObject({ node: z.string(), serviceName: z.string(), serviceNamespace: z.string() }),
});

/** Reads what an earlier run left. Throws when the folder cannot be created. */
export function openNodeState(folder: string, node: string): NodeStatusWriter {
  try {
    for (const name of [L2_STATUS.resource, BGP_STATUS.resource, CONFIGURATION_FOLDER])
      mkdirSync(join(folder, name), { recursive: true });
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
  readonly #l2: StatusFolder<L2StatusWrite>;
  readonly #bgp: StatusFolder<BgpStatusWrite>;

  constructor(folder: string, node: string) {
    this.#folder = folder;
    this.#node = node;
    this.#events = new EventFile({ folder, file: `events-${node}.json`, component: "fairlead-agent" });
    this.#l2 = new StatusFolder(L2_STATUS, folder, node);
    this.#bgp = new StatusFolder(BGP_STATUS, folder, node);
  }

  l2Statuses(): ReadonlyMap<string, L2StatusWrite> {
    return this.#l2.written;
  }

  async writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void> {
    await this.#l2.write(service, status);
  }

  bgpStatuses(): ReadonlyMap<string, BgpStatusWrite> {
    return this.#bgp.written;
  }

  async writeBgpStatus(service: string, status: BgpStatusWrite | undefined): Promise<void> {
    await this.#bgp.write(service, status);
  }

  async silentAbout(service: string, nodes: readonly string[]): Promise<readonly string[]> {
    // One folder may be for one node or for all: who writes into this one has said what it makes of the configuration.
    return nodes
      .filter((node) => existsSync(join(this.#folder, CONFIGURATION_FOLDER, `speaker-${node}.json`)))
      .filter((node) => !existsSync(join(this.#folder, BGP_STATUS.resource, fileName(`${node}/${service}`))));
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const name = `speaker-${this.#node}`;
    const labels = { "metallb.io/component-type": "speaker", "metallb.io/node-name": this.#node };
    await attempt(`ConfigurationState ${name}`, () => writeConfigurationObject(this.#folder, name, labels, status));
  }

  async writeEvent(event: EventWrite): Promise<void> {
    await this.#events.write(event, new Date());
  }

  async close(): Promise<void> {
    await this.#events.settled();
  }
}

async function attempt(what: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write the ${what}: ${reason}`, { cause });
  }
}

/** The files of one kind, an earlier run's included. */
class StatusFolder<Write> {
  readonly written: Map<string, Write>;
  readonly #kind: ServiceStatusKind<Write>;
  readonly #folder: string;
  readonly #node: string;

  constructor(kind: ServiceStatusKind<Write>, folder: string, node: string) {
    this.#kind = kind;
    this.#folder = join(folder, kind.resource);
    this.#node = node;
    this.written = readStatuses(kind, this.#folder, node);
  }

  async write(service: string, write: Write | undefined): Promise<void> {
    const { kind, prefix } = this.#kind;
    const file = fileName(`${this.#node}/${service}`);
    await attempt(`${kind} of Service ${service}`, async () => {
      if (write === undefined) {
        await rm(join(this.#folder, file), { force: true });
        return;
      }
      const name = statusName(prefix, this.#node, service);
      const metadata = { name, namespace: SYSTEM_NAMESPACE, labels: statusLabels(this.#node, service) };
      const status = statusFields(this.#kind, this.#node, service, write);
      await writeAtomically(this.#folder, file, { apiVersion: "metallb.io/v1beta1", kind, metadata, status });
    });
    if (write === undefined) this.written.delete(service);
    else this.written.set(service, write);
  }
}

/** A file that is not as we write it counts as not there: what it should say is written anew. */
function readStatuses<Write>(kind: ServiceStatusKind<Write>, folder: string, node: string): Map<string, Write> {
  const statuses = new Map<string, Write>();
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".json") || name.startsWith(".")) continue;
    const parsed = objectSchema.safeParse(parseOrNothing(readFileSync(join(folder, name), "utf8")));
    if (!parsed.success || parsed.data.status.node !== node) continue;
    const { serviceNamespace, serviceName } = parsed.data.status;
    const write = kind.parse(parsed.data.status);
    if (write !== undefined) statuses.set(`${serviceNamespace}/${serviceName}`, write);
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
