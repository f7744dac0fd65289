/**
 * One path a contestant: client ── node ── pod, three network namespaces with the same addresses everywhere, so that all of them stand
 * ready and can be measured in turns.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const CLIENT_ADDRESS = "10.50.0.1";
export const POD_ADDRESS = "10.51.0.2";

export interface Path extends Disposable {
  readonly node: string;
  /** Runs a command line on the node. */
  onNode(command: string, input?: string): void;
  /** Runs traffic-peer.ts on the client; what it printed. */
  fromClient(...args: readonly string[]): Promise<unknown>;
}

const PEER = new URL("traffic-peer.ts", import.meta.url).pathname;

export async function openPath(name: string, podPort: number): Promise<Path> {
  const prefix = `fl-bench-${process.pid}-${name}`;
  const [client, node, pod] = [`${prefix}-client`, `${prefix}-node`, `${prefix}-pod`];
  const remove = (): void => {
    for (const namespace of [client, node, pod]) execFileSync("ip", ["netns", "del", namespace]);
  };
  for (const namespace of [client, node, pod]) execFileSync("ip", ["netns", "add", namespace]);
  let server: ChildProcess | undefined;
  try {
    run(node, buildScript(client, pod));
    run(client, SCRIPTS.client);
    run(pod, SCRIPTS.pod);
    server = spawn("nsenter", [`--net=/run/netns/${pod}`, process.execPath, PEER, "server", String(podPort)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (server.stdout !== null) await once(server.stdout, "data");
  } catch (error) {
    server?.kill("SIGKILL");
    remove();
    throw error;
  }
  return {
    node,
    onNode: (command, input) => run(node, command, input),
    async fromClient(...args) {
      const { stdout } = await promisify(execFile)("nsenter", [
        `--net=/run/netns/${client}`,
        process.execPath,
        PEER,
        ...args,
      ]);
      return JSON.parse(stdout) as unknown;
    },
    [Symbol.dispose]() {
      server.kill("SIGKILL");
      remove();
    },
  };
}

function run(namespace: string, command: string, input = ""): void {
  execFileSync("nsenter", [`--net=/run/netns/${namespace}`, "sh", "-ec", command], {
    input,
    stdio: ["pipe", "ignore", "pipe"],
  });
}

/** Fixed MACs and static neighbors: nothing waits for ARP. */
export const MACS = {
  client: "02:00:00:50:00:01",
  uplink: "02:00:00:50:00:02",
  host: "02:00:00:51:00:01",
  pod: "02:00:00:51:00:02",
} as const;

function buildScript(client: string, pod: string): string {
  return `
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.netfilter.nf_conntrack_tcp_timeout_close=1
    ip link add eth0 address ${MACS.uplink} type veth peer name eth0 address ${MACS.client} netns ${client}
    ip link add pod0 address ${MACS.host} type veth peer name eth0 address ${MACS.pod} netns ${pod}
    ip address add 10.50.0.2/24 dev eth0; ip address add 10.51.0.1/24 dev pod0
    for device in lo eth0 pod0; do ip link set $device up; done
    ip neighbor add ${CLIENT_ADDRESS} lladdr ${MACS.client} dev eth0; ip neighbor add ${POD_ADDRESS} lladdr ${MACS.pod} dev pod0`;
}

const SCRIPTS = {
  client: `
    ip address add ${CLIENT_ADDRESS}/24 dev eth0; ip link set lo up; ip link set eth0 up
    ip neighbor add 10.50.0.2 lladdr ${MACS.uplink} dev eth0; ip route add default via 10.50.0.2`,
  pod: `
    ip address add ${POD_ADDRESS}/24 dev eth0; ip link set lo up; ip link set eth0 up
    ip neighbor add 10.51.0.1 lladdr ${MACS.host} dev eth0; ip route add default via 10.51.0.1`,
} as const;
