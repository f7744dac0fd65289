/** What harms on a node and its segment. */
import { labSuite } from "./harness.ts";
import { testHazards } from "./suites/hazards.ts";

labSuite("hazards", "l2", { capture: false, agentArguments: ["--check-seconds", "1"] }, testHazards);
