import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ServiceAddresses } from "../observe.ts";
import { withoutRule } from "./service-rules.ts";

const service = (addresses: readonly string[], ...ports: readonly (readonly [string, number])[]): ServiceAddresses => ({
  namespace: "default",
  name: "web",
  addresses,
  ports: ports.map(([protocol, port]) => ({ protocol, port })),
  externalTrafficPolicy: "Cluster",
  wanted: addresses.length,
});

/** As nftables 1.0.6 prints what kube-proxy 1.36 writes. */
const LISTED = `table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		comment "ClusterIP, ExternalIP and LoadBalancer IP traffic"
		elements = { 10.96.194.131 . udp . 53 : goto service-ZS7NE4GK-default/dual-stack/udp/datagrams,
			     192.168.10.0 . tcp . 80 : goto external-FVXRKGQD-default/at-random/tcp/ }
	}
}
table ip kube-proxy {
	map no-endpoint-services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 192.168.10.4 . tcp . 443 comment "default/far:https" : drop }
	}
}
table ip6 kube-proxy {
	map service-ips {
		elements = { fc00:f853:ccd:e799:: . tcp . 9000 : goto external-LUGQEUYW-default/dual-stack/tcp/lines }
	}
}
`;

describe("a Service is without a rule of kube-proxy", () => {
  const cases: readonly (readonly [string, ServiceAddresses, readonly string[]])[] = [
    ["not where address, protocol and port are there", service(["192.168.10.0"], ["TCP", 80]), []],
    ["not over IPv6 either", service(["fc00:f853:ccd:e799::"], ["TCP", 9000]), []],
    ["not where it has no endpoint", service(["192.168.10.4"], ["TCP", 443]), []],
    ["not as long as it has no address", service([], ["TCP", 80]), []],
    ["when another port of it has one", service(["192.168.10.0"], ["TCP", 80], ["TCP", 81]), ["192.168.10.0 tcp 81"]],
    ["when another protocol has one", service(["192.168.10.0"], ["UDP", 80]), ["192.168.10.0 udp 80"]],
    ["when another address begins or ends like its own", service(["92.168.10.0"], ["TCP", 80]), ["92.168.10.0 tcp 80"]],
    ["when one of its two addresses has none", service(["192.168.10.0", "fc00::"], ["TCP", 80]), ["fc00:: tcp 80"]],
  ];
  for (const [when, each, expected] of cases)
    test(when, () => {
      assert.deepEqual(withoutRule([each], LISTED), expected);
    });

  test("when there is no map yet", () => {
    assert.deepEqual(withoutRule([service(["192.168.10.0"], ["TCP", 80])], ""), ["192.168.10.0 tcp 80"]);
  });
});
