/** A controller in the process of a test, with the rights of whoever it is for the API server. */
import { join } from "node:path";
import { writeKubeconfig } from "../../lab/kubernetes/kubeconfig.ts";
import { runController, type ControllerOptions } from "../../src/controller/main.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";
import { DEFAULT_TIMING } from "../../src/source/kubernetes/lease/machine.ts";

export interface Replica {
  readonly stop: () => Promise<void>;
}

/** `folder`: where its kubeconfig is put. */
export async function runReplica(
  folder: string,
  identity: string,
  apiServer: ApiServer,
  options: Partial<ControllerOptions> = {},
): Promise<Replica> {
  const stop = new AbortController();
  const kubeconfig = join(folder, `${identity}.conf`);
  await writeKubeconfig(apiServer, kubeconfig);
  const origin: ControllerOptions["origin"] = { type: "kubernetes", kubeconfig, namespace: SYSTEM_NAMESPACE };
  const fixed = { origin, identity, leaseTiming: DEFAULT_TIMING, logLevel: "silent" };
  const ended = runController({ ...fixed, ...options }, stop.signal);
  return {
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}
