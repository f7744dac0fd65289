/**
 * Whether kube-proxy carries the Services of a lab. Who asks before meets a node that passes the packet on as it is, and remembers the connection
 * so for two minutes: a later one from the same port is lost there, whatever rules have come since. So nobody asks before.
 */
import { runIn } from "../network.ts";
import { namespaceOf } from "../plan.ts";
import type { Lab } from "../lab.ts";
import { agentNodes, type ServiceAddresses } from "../observe.ts";
import { waitFor } from "../wait.ts";

/** Of its nftables mode. Without an endpoint that would do, a Service stands in the second. */
const MAPS = ["service-ips", "no-endpoint-services"];
const LIST = ["ip", "ip6"].flatMap((family) =>
  MAPS.map((map) => `nft list map ${family} kube-proxy ${map} 2>/dev/null`),
);
/** `192.0.2.1 . tcp . 80 : goto …` */
const ELEMENT = /([0-9a-f.:]+) \. (tcp|udp|sctp) \. (\d+)/g;

/** Waits until kube-proxy has a rule for each address and port of the Services, on every node. */
export async function waitForServiceRules(lab: Lab, services: readonly ServiceAddresses[]): Promise<void> {
  let missing: readonly string[] = [];
  const look = async (node: string): Promise<readonly string[]> => {
    // A map that is not there yet is an empty one.
    const { stdout } = await runIn(namespaceOf(lab.name, node), ["sh", "-c", `${LIST.join("; ")}; true`]);
    return withoutRule(services, stdout).map((each) => `${each} on ${node}`);
  };
  await waitFor(
    "kube-proxy to have rules for every Service",
    async () => {
      missing = (await Promise.all(agentNodes(lab).map(look))).flat();
      return missing.length === 0 ? true : undefined;
    },
    { milliseconds: 60_000, every: 100, explain: () => `missing: ${missing.join(", ")}` },
  );
}

/** Of what `nft list map` prints. */
export function withoutRule(services: readonly ServiceAddresses[], listed: string): readonly string[] {
  const carried = new Set(
    [...listed.matchAll(ELEMENT)].map(([, address, protocol, port]) => `${address} ${protocol} ${port}`),
  );
  return services
    .flatMap(({ addresses, ports }) =>
      addresses.flatMap((address) => ports.map(({ protocol, port }) => `${address} ${protocol.toLowerCase()} ${port}`)),
    )
    .filter((each) => !carried.has(each));
}
