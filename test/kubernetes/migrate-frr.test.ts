import { test } from "node:test";
import { bgpHandover } from "./bgp-handover.ts";

test("BGP of MetalLB's mode frr, with BFD, is handed over node by node: with graceful restart the router's kernel sees nothing", () =>
  bgpHandover("frr", { bfd: true }));
