/** The cluster of a lab without one: folders of manifests and of what our programs write. */
import { access, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Conditions } from "../../lab/cluster-objects.ts";
import { memberPlan, type Lab } from "../../lab/lab.ts";
import { runIn } from "../../lab/network.ts";
import { writeJson } from "../../lab/run-directory.ts";
import { fairlead } from "../../src/cli/agent.fixture.ts";
import { formatAddress } from "../../src/net/address.ts";
import type { ClusterAccess, ClusterEvent, L2Status, Outcome, WorkingPod } from "./access.ts";

const l2Status = z.object({
  status: z.object({ node: z.string(), interfaces: z.array(z.object({ name: z.string() })) }).optional(),
});
const eventList = z.object({
  items: z.array(
    z.object({
      reason: z.string(),
      message: z.string(),
      count: z.int(),
      lastTimestamp: z.string(),
      involvedObject: z.object({ name: z.string() }),
    }),
  ),
});
const configurationState = z.object({ status: z.object({ result: z.string(), errorSummary: z.string() }) });

export class FolderAccess implements ClusterAccess {
  readonly hidesPods = false;
  readonly requester = [process.execPath, join(import.meta.dirname, "../../lab/requester.ts")];
  readonly #lab: Lab;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  async write(file: string, text: string): Promise<void> {
    const path = join(this.#lab.paths.manifests, file);
    const unfinished = join(this.#lab.paths.manifests, `.${file}.new`);
    await writeFile(unfinished, text);
    await rename(unfinished, path);
  }

  remove(file: string): Promise<void> {
    return rm(join(this.#lab.paths.manifests, file));
  }

  /** As objects of the cluster only: the pods' servers go on running. */
  conditions(conditions: Conditions): Promise<void> {
    return writeJson(this.#lab.paths.conditions, conditions);
  }

  async pods(): Promise<readonly WorkingPod[]> {
    return this.#lab.scene.pods.map(({ name, node, addresses }) => ({
      name,
      node,
      addresses: addresses.map(formatAddress),
    }));
  }

  async inPod(pod: string, command: readonly string[]): Promise<string> {
    return (await runIn(memberPlan(this.#lab, pod).namespace, command)).stdout;
  }

  /** Everything is back when the fault is done, and nobody starts what was killed. */
  async settleAfter(): Promise<void> {}
  async keepAgentAway(): Promise<void> {}

  async l2Statuses(service: string): Promise<readonly L2Status[]> {
    const folder = join(this.#lab.paths.nodeState, "servicel2statuses");
    const files = (await readdir(folder)).filter(
      (file) => file.endsWith(`_default_${service}.json`) && !file.startsWith("."),
    );
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8").catch(() => "{}")));
    return texts.flatMap((text) => {
      const { status } = l2Status.parse(JSON.parse(text));
      return status === undefined ? [] : [{ ...status, interfaces: status.interfaces.map(({ name }) => name) }];
    });
  }

  async events(node: string): Promise<readonly ClusterEvent[]> {
    const path = join(this.#lab.paths.nodeState, `events-${node}.json`);
    const text = await readFile(path, "utf8").catch(() => '{"items":[]}');
    return eventList.parse(JSON.parse(text)).items.map(({ reason, message, count, lastTimestamp, involvedObject }) => ({
      reason,
      message,
      count,
      lastSeenAt: Date.parse(lastTimestamp),
      about: involvedObject.name,
    }));
  }

  async configurationStates(): ReturnType<ClusterAccess["configurationStates"]> {
    const { state, nodeState } = this.#lab.paths;
    const states = new Map<string, { readonly result: string; readonly errorSummary: string }>();
    for (const folder of [state, nodeState].map((each) => join(each, "configurationstates")))
      for (const file of (await readdir(folder).catch(() => [])).filter((each) => /^[^.].*\.json$/.test(each))) {
        const text = await readFile(join(folder, file), "utf8");
        states.set(file.replace(/\.json$/, ""), configurationState.parse(JSON.parse(text)).status);
      }
    return states;
  }

  cleanup(node: string): Promise<Outcome> {
    const { paths } = this.#lab;
    return fairlead(`cleanup --node-name ${node} --bpffs ${paths.bpf}/${node} --socket ${paths.socket(node)}`);
  }

  hasLeft(node: string, what: "maps" | "drain"): Promise<boolean> {
    const { paths } = this.#lab;
    return access(what === "maps" ? `${paths.bpf}/${node}/maps` : `${paths.socket(node)}.drain`).then(
      () => true,
      () => false,
    );
  }
}
