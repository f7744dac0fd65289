/**
 * Kubernetes' own programs as commands: etcd, and an API server with users that have tokens. Everything they need lies in one folder.
 *
 *     FOLDER/etcd/            etcd's data
 *     FOLDER/tokens.csv       a token a user
 *     FOLDER/apiserver.crt    what the API server made for itself, and is trusted by
 *     FOLDER/NAME.conf        kubeconfigs
 */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { accessSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";

/** Where build.sh leaves them. */
export const BIN = join(import.meta.dirname, "../../.cache/kubernetes/bin");

export interface Ports {
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly api: number;
}

/** Makes keys, and a token for `admin`, who may do everything, and for each of these users. Returns the tokens. */
export function writeSecrets(folder: string, users: readonly string[]): ReadonlyMap<string, string> {
  const tokens = new Map(["admin", ...users].map((user) => [user, randomBytes(16).toString("hex")]));
  const rows = [...tokens].map(([user, token], uid) => `${token},${user},${uid},"${groupOf(user)}"`);
  writeFileSync(join(folder, "tokens.csv"), `${rows.join("\n")}\n`, { mode: 0o600 });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  writeFileSync(join(folder, "service-accounts.pem"), pem, { mode: 0o600 });
  return tokens;
}

function groupOf(user: string): string {
  if (user === "admin") return "system:masters";
  return user.startsWith("system:node:") ? "system:nodes" : "system:authenticated";
}

/** What the API server shows to kubelets, which trust nobody else: a certificate that is its own authority. */
export function writeKubeletClientCertificate(folder: string): void {
  const files = ["-keyout", join(folder, KUBELET_CLIENT.key), "-out", join(folder, KUBELET_CLIENT.certificate)];
  const subject = ["-subj", "/O=system:masters/CN=kube-apiserver", "-addext", "extendedKeyUsage=clientAuth"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", ["req", "-x509", "-days", "30", ...key, ...subject, ...files], { stdio: "pipe" });
}

export const KUBELET_CLIENT = { key: "kubelet-client.key", certificate: "kubelet-client.crt" } as const;

/** Further arguments of an API server without nodes: nobody runs the controller that makes service accounts for Pods. */
export const ALONE: readonly string[] = [
  "--authorization-mode=RBAC",
  "--disable-admission-plugins=ServiceAccount",
  "--endpoint-reconciler-type=none",
];

/** Further arguments of an API server with kubelets and pods. */
export function apiServerForNodes(folder: string): readonly string[] {
  return [
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--enable-aggregator-routing=true",
    `--kubelet-client-certificate=${join(folder, KUBELET_CLIENT.certificate)}`,
    `--kubelet-client-key=${join(folder, KUBELET_CLIENT.key)}`,
    "--kubelet-preferred-address-types=InternalIP",
  ];
}

/** Pods get their pod CIDRs from the scene, so that routes can be laid before there are nodes. */
export function controllerManagerCommand(folder: string, kubeconfig: string, podCidrs: string): readonly string[] {
  return [
    requireProgram("kube-controller-manager"),
    `--kubeconfig=${kubeconfig}`,
    "--leader-elect=false",
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${join(folder, "service-accounts.pem")}`,
    `--root-ca-file=${join(folder, "apiserver.crt")}`,
    "--allocate-node-cidrs=false",
    `--cluster-cidr=${podCidrs}`,
    // A node without power is noticed while somebody watches.
    "--node-monitor-period=1s",
    "--node-monitor-grace-period=10s",
  ];
}

export function schedulerCommand(kubeconfig: string): readonly string[] {
  return [requireProgram("kube-scheduler"), `--kubeconfig=${kubeconfig}`, "--leader-elect=false"];
}

export function etcdCommand(folder: string, { etcd, etcdPeer }: Ports): readonly string[] {
  const client = `http://127.0.0.1:${etcd}`;
  const peer = `http://127.0.0.1:${etcdPeer}`;
  return [
    "etcd",
    `--data-dir=${join(folder, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // What is lost with the machine was for a test.
    "--unsafe-no-fsync",
  ];
}

/** `address`: where it listens, and what stands in its certificate. */
export function apiServerCommand(
  folder: string,
  address: string,
  { etcd, api }: Ports,
  more: readonly string[] = ALONE,
): readonly string[] {
  return [
    requireProgram("kube-apiserver"),
    `--etcd-servers=http://127.0.0.1:${etcd}`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${api}`,
    `--cert-dir=${folder}`,
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(folder, "service-accounts.pem")}`,
    `--service-account-signing-key-file=${join(folder, "service-accounts.pem")}`,
    ...more,
  ];
}

/** The API server as this token's user sees it. The certificate is there once the API server has been started. */
export function apiServerAt(folder: string, address: string, port: number, token: string): ApiServer {
  return {
    url: new URL(`https://${address.includes(":") ? `[${address}]` : address}:${port}`),
    namespace: undefined,
    credentials: async () => ({
      ca: readFileSync(join(folder, "apiserver.crt"), "utf8"),
      verify: true,
      authorization: `Bearer ${token}`,
    }),
  };
}

/** The path of a program. Throws an Error that says how to get it. */
export function requireProgram(name: string): string {
  return requireBuilt(join(BIN, name));
}

/** The folder with definitions of others. Throws an Error that says how to get it. */
export function requireDefinitions(): string {
  return requireBuilt(join(BIN, "../definitions"));
}

function requireBuilt(path: string): string {
  try {
    accessSync(path);
    return path;
  } catch (cause) {
    const name = basename(path);
    throw new Error(`${name} is not built yet: run lab/kubernetes/build.sh (it takes some minutes, once)`, { cause });
  }
}
