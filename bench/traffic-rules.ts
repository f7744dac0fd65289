/**
 * Rule sets in the shape kube-proxy gives them (its iptables and nftables modes, Kubernetes 1.33), for Services with LoadBalancer addresses and
 * policy Cluster: every Service is a rule (iptables) or an element (nftables), every endpoint a chain; what is forwarded is masqueraded.
 */

export interface RuleService {
  readonly address: string;
  readonly port: number;
  readonly endpoints: readonly { readonly address: string; readonly port: number }[];
}

/** Input of iptables-restore. */
export function iptablesRules(services: readonly RuleService[]): string {
  const chains: string[] = ["KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"];
  const rules: string[] = [
    "-A PREROUTING -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
    "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
  ];
  for (const [number, { address, port, endpoints }] of services.entries()) {
    const [external, service] = [`KUBE-EXT-${number}`, `KUBE-SVC-${number}`];
    chains.push(external, service);
    rules.push(
      `-A KUBE-SERVICES -d ${address}/32 -p tcp -m tcp --dport ${port} -j ${external}`,
      `-A ${external} -j KUBE-MARK-MASQ`,
      `-A ${external} -j ${service}`,
    );
    for (const [index, endpoint] of endpoints.entries()) {
      const chain = `KUBE-SEP-${number}-${index}`;
      const left = endpoints.length - index;
      const chance = left === 1 ? "" : ` -m statistic --mode random --probability ${(1 / left).toFixed(11)}`;
      chains.push(chain);
      rules.push(
        `-A ${service}${chance} -j ${chain}`,
        `-A ${chain} -s ${endpoint.address}/32 -j KUBE-MARK-MASQ`,
        `-A ${chain} -p tcp -m tcp -j DNAT --to-destination ${endpoint.address}:${endpoint.port}`,
      );
    }
  }
  return ["*nat", ...chains.map((chain) => `:${chain} - [0:0]`), ...rules, "COMMIT", ""].join("\n");
}

/** Input of nft -f. */
export function nftablesRules(services: readonly RuleService[]): string {
  const chains: string[] = [];
  const elements: string[] = [];
  for (const [number, { address, port, endpoints }] of services.entries()) {
    const picks = endpoints.map((_, index) => `${index} : goto endpoint-${number}-${index}`);
    for (const [index, endpoint] of endpoints.entries()) {
      chains.push(
        `  chain endpoint-${number}-${index} { ip saddr ${endpoint.address} jump mark-for-masquerade; meta l4proto tcp dnat to ${endpoint.address}:${endpoint.port}; }`,
      );
    }
    chains.push(
      `  chain service-${number} { numgen random mod ${endpoints.length} vmap { ${picks.join(", ")} }; }`,
      `  chain external-${number} { jump mark-for-masquerade; goto service-${number}; }`,
    );
    elements.push(`${address} . tcp . ${port} : goto external-${number}`);
  }
  return `table ip kube-proxy {
  chain mark-for-masquerade { meta mark set mark or 0x4000; }
${chains.join("\n")}
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ${elements.join(", ")} }; }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    mark and 0x4000 == 0 return;
    meta mark set mark xor 0x4000;
    masquerade fully-random;
  }
}
`;
}
