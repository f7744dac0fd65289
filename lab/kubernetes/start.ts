/** Starts the API server of a lab on its host, and the program that fills it. */
import { join } from "node:path";
import { formatAddress } from "../../src/net/address.ts";
import type { Lab } from "../lab.ts";
import { LabError } from "../lab-error.ts";
import { waitForFile } from "../network.ts";
import { namespaceOf } from "../plan.ts";
import { sameProcess, startProgram, tailOfFile, type Program } from "../programs.ts";
import { primaryAddress, type Host } from "../scene.ts";
import {
  apiServerAt,
  apiServerCommand,
  apiServerForNodes,
  etcdCommand,
  writeSecrets,
  type Ports,
} from "./control-plane.ts";
import { writeKubeconfig } from "./kubeconfig.ts";

/** The host has a network of its own, so these are free. */
const PORTS: Ports = { etcd: 2379, etcdPeer: 2380, api: 6443 };
const USERS = {
  controller: "system:serviceaccount:metallb-system:fairlead-controller",
  agent: "system:serviceaccount:metallb-system:fairlead-agent",
  // People: rbac.yaml gives nobody their roles, the tests do.
  viewer: "jane",
  operator: "olga",
  stranger: "sam",
} as const;
const START_MILLISECONDS = 120_000;

/** Starts it on its host; also again, after it was killed. */
export async function startKubeApiserver(lab: Lab): Promise<Program> {
  const { host, listen } = placeOf(lab);
  const folder = lab.paths.kubernetes;
  const more = kubeletHosts(lab).length === 0 ? undefined : apiServerForNodes(folder);
  return startOn(lab, host, "kube-apiserver", apiServerCommand(folder, listen, PORTS, more));
}

/** The nodes of a lab that are real: with kubelet and containers. */
export function kubeletHosts(lab: Lab): readonly Host[] {
  return lab.scene.hosts.filter(({ podNetwork }) => podNetwork?.kind === "kubelet");
}

/** Resolves when the API server has its certificate and everybody a kubeconfig, `admin` too. `users`: by the names of the files. */
export async function startControlPlane(lab: Lab, users: Readonly<Record<string, string>>): Promise<void> {
  const { host, listen } = placeOf(lab);
  const folder = lab.paths.kubernetes;
  const tokens = writeSecrets(folder, Object.values(users));
  await startOn(lab, host, "etcd", etcdCommand(folder, PORTS));
  const server = await startKubeApiserver(lab);
  // It writes its certificate first: a file that is there may be empty still, and who trusts nothing in it trusts no API server.
  await requireFile(lab, server, join(folder, "apiserver.key"));
  for (const [name, user] of Object.entries({ ...users, admin: "admin" })) {
    const asUser = apiServerAt(folder, listen, PORTS.api, tokens.get(user) ?? "");
    await writeKubeconfig(asUser, kubeconfigOf(lab, name));
  }
}

/** Resolves when the objects of the manifest folders are in the API server. */
export async function startApiServer(lab: Lab): Promise<void> {
  await startControlPlane(lab, USERS);
  await startObjects(lab);
}

/** Starts the program that plays the cluster, or where it is real only copies its addresses, and waits until it has done so once. */
export async function startObjects(lab: Lab): Promise<void> {
  const { host } = placeOf(lab);
  const program = [process.execPath, join(import.meta.dirname, "cluster.ts"), lab.name, kubeconfigOf(lab, "admin")];
  await requireFile(lab, await startOn(lab, host, "objects", program), lab.paths.clusterReady);
}

/** The host of the API server, and the address it listens on. Throws a {@link LabError} where there is none. */
export function placeOf(lab: Lab): { readonly host: Host; readonly listen: string } {
  const host = lab.scene.hosts.find(({ name }) => name === lab.scene.apiServer);
  const address = host === undefined ? undefined : (primaryAddress(host, "IPv4") ?? primaryAddress(host, "IPv6"));
  if (host === undefined || address === undefined)
    throw new LabError(`Scene ${lab.scene.name} has no host with an address that an API server could listen on`);
  return { host, listen: formatAddress(address.address) };
}

export function startOn(lab: Lab, host: Host, program: string, command: readonly string[]): Promise<Program> {
  const log = lab.paths.log(host.name, program);
  const namespace = namespaceOf(lab.name, host.name);
  return startProgram(lab.paths.programs, { host: host.name, program, namespace, command, log });
}

/** The path of the kubeconfig with the rights of a program, or of `admin`, who may do everything. */
export function kubeconfigOf(lab: Lab, user: string): string {
  return join(lab.paths.kubernetes, `${user}.conf`);
}

/** Throws with the program's last words when it has ended before the file was there, or takes too long. */
async function requireFile(lab: Lab, program: Program, file: string): Promise<void> {
  const giveUpAt = performance.now() + START_MILLISECONDS;
  while (performance.now() < giveUpAt && (await sameProcess(program))) if (await waitForFile(file, 200)) return;
  const words = await tailOfFile(lab.paths.log(program.host, program.program));
  throw new Error(`${program.program} on ${program.host} did not get ready:\n${words}`);
}
