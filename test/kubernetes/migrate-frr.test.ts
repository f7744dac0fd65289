import { test } from "node:test";
import { bgpHandover } from "./bgp-handover.ts";

test("BGP of MetalLB's mode frr is handed over node by node and back: with graceful restart the router's kernel sees nothing", () =>
  bgpHandover("frr"));
