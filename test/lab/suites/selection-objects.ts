/** The objects of the tests of selection: pools, a Service and its advertisements, two Services that share an address. */
import type { TestLab } from "../harness.ts";

export const SERVICE = "web";
/** Of the pool that these tests bring; every node may announce it. */
export const ADDRESS = "192.168.11.29";
const POOLS = [
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { name: "selected", namespace: "metallb-system", labels: { zone: "a" } },
    spec: { addresses: ["192.168.11.16/28"], autoAssign: false },
  },
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { name: "shared", namespace: "metallb-system" },
    spec: { addresses: ["192.168.11.32/32"], autoAssign: false },
  },
  // Announced whatever the tests do with the advertisement of the other.
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "L2Advertisement",
    metadata: { name: "shared", namespace: "metallb-system" },
    spec: { ipAddressPools: ["shared"] },
  },
];

/** Two Services on one address. */
function sharing(selector: object): readonly object[] {
  return ["share-a", "share-b"].map((name, index) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, annotations: { "metallb.io/address-pool": "shared", "metallb.io/allow-shared-ip": "k" } },
    spec: {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      ports: [{ port: 80 + index, targetPort: 8080 }],
      selector,
    },
  }));
}

/** All of it as a file. */
export function manifestOfPools(selector: object): string {
  return [...sharing(selector), ...POOLS].map((each) => JSON.stringify(each)).join("\n---\n");
}

export async function writeService(lab: TestLab, selector: object, labels: object): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: SERVICE, labels, annotations: { "metallb.io/loadBalancerIPs": ADDRESS } },
    spec: { type: "LoadBalancer", ports: [{ port: 80, targetPort: 8080 }], selector },
  };
  await lab.write("service.yaml", JSON.stringify(object));
}

/** The advertisements of the pool, one for each spec. */
export async function advertise(lab: TestLab, ...specs: readonly object[]): Promise<void> {
  const objects = specs.map((spec, index) => ({
    apiVersion: "metallb.io/v1beta1",
    kind: "L2Advertisement",
    metadata: { name: `ad${index}`, namespace: "metallb-system" },
    spec: { ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }], ...spec },
  }));
  await lab.write("advertisements.yaml", objects.map((each) => JSON.stringify(each)).join("\n---\n"));
}
