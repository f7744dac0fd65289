/** Services that serve nobody though their objects are right. */
import { labSuite } from "./harness.ts";
import { testTroubles } from "./suites/troubles.ts";

labSuite("a Service in trouble", "l2", { capture: false }, testTroubles);
