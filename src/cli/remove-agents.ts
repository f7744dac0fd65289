/** `fairlead remove-agents`: before an uninstallation, so that every agent still learns that it is not to come back. */
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { openConnection, type Connection } from "../source/kubernetes/connection.ts";
import { daemonSetState, deleteDaemonSet } from "../source/kubernetes/daemon-set.ts";
import { SYSTEM_NAMESPACE } from "../source/open.ts";
import { apiServerOf } from "./cluster/kubeconfig.ts";
import { parseCount, withCluster, withExample, type ClusterOptions } from "./options.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface Flags extends ClusterOptions {
  readonly daemonset: string;
  readonly kubernetes?: true;
  readonly namespace?: string;
  readonly timeoutSeconds: number;
}

const LOOK_MS = 250;

export function removeAgentsCommand(world: World): Command {
  const command = new Command("remove-agents")
    .option("--daemonset <name>", "that the agents are pods of", "fairlead-agent")
    .option("--kubernetes", "reach the API server by the service account of this pod")
    .option("--namespace <name>", "where the agents are (default: the pod's, else metallb-system)")
    .option("--timeout-seconds <n>", "wait at most so long for the last agent", parseCount, 120);
  const example = "fairlead remove-agents --kubeconfig ~/.kube/config";
  return withExample(world, withCluster(command), example).action((flags: Flags) => removeAgents(world, flags));
}

async function removeAgents(world: World, flags: Flags): Promise<void> {
  const { daemonset: name, timeoutSeconds } = flags;
  const { connection, namespace } = await reach(world, flags);
  const what = `DaemonSet ${namespace}/${name}`;
  try {
    await deleteDaemonSet({ connection, namespace, name });
    const giveUpAt = performance.now() + timeoutSeconds * 1000;
    while ((await daemonSetState({ connection, namespace, name })) !== "deleted") {
      if (performance.now() > giveUpAt)
        throw new Error(
          `some agents are still there after ${timeoutSeconds} s (kubectl -n ${namespace} get pods -o wide); ` +
            "on a node that is away, run `fairlead cleanup` when it is back",
        );
      await sleep(LOOK_MS, undefined, { signal: world.stop });
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(EXIT.problem, `Cannot remove ${what}: ${reason}`, { cause });
  } finally {
    connection.close();
  }
  world.stdout.write(`${what} is gone; its agents have taken their datapaths away\n`);
}

async function reach(
  world: World,
  flags: Flags,
): Promise<{ readonly connection: Connection; readonly namespace: string }> {
  const { kubernetes = false, kubeconfig, context } = flags;
  // Not just any cluster that a kubeconfig happens to name: this takes agents away.
  if (kubernetes === (kubeconfig !== undefined || context !== undefined))
    throw new CommandFailure(
      EXIT.usage,
      "Say how to reach the API server: --kubernetes in a pod, --kubeconfig or --context outside",
    );
  try {
    const server = await apiServerOf(world, flags);
    return { connection: openConnection(server), namespace: flags.namespace ?? server.namespace ?? SYSTEM_NAMESPACE };
  } catch (cause) {
    throw new CommandFailure(EXIT.usage, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
