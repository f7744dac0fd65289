import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Tables } from "../datapath/tables.ts";
import { serviceSchema } from "../service/objects.ts";
import { Unforwarded } from "./unforwarded.ts";

/** Nothing is in the tables. */
const EMPTY = { services: new Map(), planned: undefined, troubled: new Set() } as unknown as Tables;

describe("a Service of which the tables hold nothing is not forwarded", () => {
  const rows = [
    { name: "as a rule", spec: {}, is: true },
    {
      name: "but where it is left to the node on purpose: SCTP",
      spec: { ports: [{ port: 1, protocol: "SCTP" }] },
      is: false,
    },
    {
      name: "but where it is left to the node on purpose: source ranges",
      spec: { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      is: false,
    },
    { name: "where its source ranges are everybody", spec: { loadBalancerSourceRanges: ["0.0.0.0/0"] }, is: true },
    { name: "and not asked about where it is of another type", spec: { type: "ClusterIP" }, is: false },
  ];
  for (const { name, spec, is } of rows)
    test(name, () => {
      const web = serviceSchema.parse({
        metadata: { name: "web" },
        spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...spec },
        status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
      });
      const found = new Unforwarded().of(new Map([["default/web", web]]), EMPTY);
      assert.equal(found.has("default/web"), is);
    });
});
