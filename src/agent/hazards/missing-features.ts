/** An agent that this kernel cannot carry ends at its start: in a cluster that is said on the Node, where people look first. */
import type { MissingFeature } from "../../kernel/features.ts";
import { openNodeStatus } from "../../source/kubernetes/node-status.ts";
import { openServer } from "../../source/open.ts";
import type { AgentConfig } from "../config.ts";

/** The end is not to be put off for an API server that does not answer. */
const TELL_MS_MAX = 5000;

/** Every line of what is missing. */
export function describeMissing(missing: readonly MissingFeature[]): string {
  const lines = missing.map(({ name, why }) => `  ${name}: ${why}`);
  return `This kernel lacks what the datapath needs:\n${lines.join("\n")}`;
}

/** As an event on the Node. With folders there is nowhere else than the log. Rejects when it cannot be said. */
export async function tellMissing(
  { origin, nodeName, pod }: Pick<AgentConfig, "origin" | "nodeName" | "pod">,
  missing: readonly MissingFeature[],
): Promise<void> {
  if (origin.type !== "kubernetes") return;
  const { connection, namespace } = await openServer(origin);
  const writer = openNodeStatus({ connection, namespace, node: nodeName, ...(pod === undefined ? {} : { pod }) });
  const regarding = { kind: "Node", namespace: "", name: nodeName };
  const message = describeMissing(missing);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the API server does not answer")), TELL_MS_MAX);
  });
  try {
    const said = writer.writeEvent({ regarding, type: "Warning", reason: "MissingKernelFeature", message });
    await Promise.race([said, late]);
  } finally {
    clearTimeout(timer);
    await writer.close();
    connection.close();
  }
}
