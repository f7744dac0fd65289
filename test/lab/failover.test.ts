/** Nodes and agents that go away and come back. */
import { labSuite } from "./harness.ts";
import { GRACE_SECONDS, testAgentsThatGo, testAgentsThatReturn, testNodesThatGo } from "./suites/failover.ts";

const SHORT_GRACE = { agentArguments: ["--grace-seconds", String(GRACE_SECONDS)] };

labSuite("a node", "l2", {}, testNodesThatGo);
labSuite("an agent that goes away", "l2", SHORT_GRACE, testAgentsThatGo);
labSuite("agents that are killed and started again", "l2", { capture: false }, testAgentsThatReturn);
