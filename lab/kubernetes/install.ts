/**
 * What an administrator does in a new cluster: `helm install`, then `kubectl apply` of the scene's manifests.
 */
import { join } from "node:path";
import type { Lab } from "../lab.ts";
import { runIn } from "../network.ts";
import { namespaceOf } from "../plan.ts";
import { requireProgram } from "./control-plane.ts";
import { kubectl } from "./nodes.ts";
import { kubeconfigOf, placeOf, startObjects } from "./start.ts";

const CHART = join(import.meta.dirname, "../../deploy/helm/fairlead");
export const SYSTEM_NAMESPACE = "metallb-system";
const RELEASE = "fairlead";
const INSTALL_MILLISECONDS = 180_000;

/** Resolves when Fairlead's pods are ready and the manifests are applied, with their pods running. */
export async function installInCluster(lab: Lab, report: (step: string) => void): Promise<void> {
  report(`Installing Fairlead by its Helm chart (helm install ${RELEASE})`);
  await helm(lab, [
    "install",
    RELEASE,
    CHART,
    "--namespace",
    SYSTEM_NAMESPACE,
    "--create-namespace",
    // What a lab's agents are given besides.
    `--set-json=speaker.extraArgs=${JSON.stringify(lab.record.agentArguments)}`,
    "--wait",
    "--timeout=170s",
  ]);
  report("Applying the manifests of the scene (kubectl apply)");
  for (const folder of lab.scene.manifests) await kubectl(lab, ["apply", "--filename", folder]);
  await kubectl(lab, ["wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s"]);
  await startObjects(lab);
}

/** Runs helm on the host of the API server, as who may do everything. Rejects with what it said and what the pods say. */
export async function helm(lab: Lab, words: readonly string[]): Promise<string> {
  const command = [requireProgram("helm"), "--kubeconfig", kubeconfigOf(lab, "admin"), ...words];
  const namespace = namespaceOf(lab.name, placeOf(lab).host.name);
  const { status, stdout, stderr } = await runIn(namespace, command, { timeoutMilliseconds: INSTALL_MILLISECONDS });
  if (status === 0) return stdout;
  const pods = await kubectl(lab, ["get", "pods,events", "--all-namespaces"]).catch(String);
  throw new Error(`helm ${words.join(" ")}: ${stderr.trim()}\n${pods}`);
}
