import { test } from "node:test";
import { bgpHandover } from "./bgp-handover.ts";

test("BGP of MetalLB's native mode is handed over node by node and back: transfers go on, and with routes held still no request fails", () =>
  bgpHandover("native"));

test("BGP of frr-k8s, MetalLB's default, is handed over node by node and back: with graceful restart the router's kernel sees nothing", () =>
  bgpHandover("frr-k8s"));
