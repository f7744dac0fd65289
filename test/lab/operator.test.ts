/** The operator's commands on a running lab. */
import { labSuite } from "./harness.ts";
import { testCleanup, testCommands } from "./suites/operator.ts";

labSuite("the operator's commands", "l2", { capture: false }, testCommands);
labSuite("a datapath that is not wanted any more", "l2", { capture: false }, testCleanup);
