import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTakenOn } from "./class.ts";
import { serviceSchema } from "./objects.ts";

describe("a Service is for us", () => {
  const said = { type: "fairlead.io/AddressAssigned", status: "False" };
  const rows = [
    { name: "without a class", spec: {}, is: true },
    { name: "not with a class that nobody has taken on", is: false },
    { name: "not by a condition of others", conditions: [{ type: "example.com/Assigned", status: "True" }], is: false },
    { name: "when a controller has said anything", conditions: [said], is: true },
    { name: "when MetalLB gave it its address", annotations: { "metallb.io/ip-allocated-from-pool": "p" }, is: true },
    { name: "when an older MetalLB did", annotations: { "metallb.universe.tf/ip-allocated-from-pool": "p" }, is: true },
  ];
  for (const { name, spec = { loadBalancerClass: "other.io/lb" }, conditions = [], annotations = {}, is } of rows)
    test(name, () => {
      const web = serviceSchema.parse({
        metadata: { name: "web", annotations },
        spec: { type: "LoadBalancer", ...spec },
        status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] }, conditions },
      });
      assert.equal(isTakenOn(web), is);
    });
});
