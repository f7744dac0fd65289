/**
 * What scene l2 shows with a folder of manifests, for a real cluster: the same tests, with kubectl in the folder's place. What cannot be so
 * there is named below with its reason, and nothing else is left out: bring-up and command are about the lab, not about what runs in it.
 */
import assert from "node:assert/strict";
import { labSuite, type DefineTest } from "../lab/harness.ts";
import { testChanges } from "../lab/suites/change.ts";
import { testConfigurationStates } from "../lab/suites/configuration.ts";
import { GRACE_SECONDS, testAgentsThatGo, testAgentsThatReturn, testNodesThatGo } from "../lab/suites/failover.ts";
import { testHazards } from "../lab/suites/hazards.ts";
import { testCleanup, testCommands } from "../lab/suites/operator.ts";
import { testSelection } from "../lab/suites/selection.ts";
import { testServices } from "../lab/suites/services.ts";
import { testTroubles } from "../lab/suites/troubles.ts";

const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  [
    "a broken manifest keeps what was good, and is reported with file and reason",
    "kubectl refuses a file that is no YAML; objects that are wrong have test/kubernetes/bad-input.test.ts",
  ],
  [
    "a pool that overlaps another: the controller is Invalid too, and all addresses stay",
    "the webhook refuses it, test/kubernetes/webhook.test.ts; what passed it nevertheless: bad-input.test.ts",
  ],
  [
    "pods that drop what comes in are named as silent, one of them as a warning",
    "a cluster's pods are no hosts of the lab, in which rules could be set",
  ],
  [
    "source ranges let nobody in by our datapath, and kube-proxy's rules let in who may",
    "with a real kube-proxy: test/kubernetes/cluster.test.ts",
  ],
]);

const OFTEN = { agentArguments: ["--check-seconds", "1"] };

labSuite("what scene l2 shows, in a real cluster", "kubernetes", OFTEN, (it) => {
  const left = new Set<string>();
  const here: DefineTest = (name, body) => {
    if (LEFT_OUT.has(name)) left.add(name);
    else it(name, body);
  };
  testServices(here);
  testSelection(here, { app: "metallb-cluster" });
  testConfigurationStates(here);
  testHazards(here);
  testCommands(here);
  testCleanup(here);
  testChanges(here);
  testAgentsThatReturn(here);
  testNodesThatGo(here);
  testTroubles(here);
  it("of scene l2 nothing is left out but what has a reason", async () => {
    assert.deepEqual([...left].toSorted(), [...LEFT_OUT.keys()].toSorted());
  });
});

const SHORT_GRACE = { agentArguments: ["--grace-seconds", String(GRACE_SECONDS)] };

labSuite("an agent that goes away in a real cluster", "kubernetes", SHORT_GRACE, testAgentsThatGo);
