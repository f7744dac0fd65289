/**
 * A session that another program of the node has, FRR as MetalLB's mode frr configures it, becomes the agent's and goes back. With graceful
 * restart the router keeps the routes in between: its kernel sees nothing of it. While the other has the session, the agent does not call.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { forgetProgram, listPrograms, signalProgram, waitForEnd } from "../../lab/programs.ts";
import { startRouting } from "../../lab/routing.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "./harness.ts";
import { frrPeers, routeChangesDuring } from "./routers.ts";

const SCENE = join(import.meta.dirname, "scenes/handover.yaml");
const NODE = "node1";
const PEER = "10.96.0.11";
const PREFIX = "203.0.113.7";
const LABEL = "fairlead.io/handover";
const WAITING = { milliseconds: 30_000 };

labSuite(
  "a node's session with a router that does graceful restart",
  SCENE,
  { agentArguments: ["--handover"] },
  (it) => {
    it("stays another program's while that has it, and the agent says what it waits for", async (lab) => {
      await stage(lab, "bgp");
      await waitFor("the agent to wait", async () => {
        const problems = (await lab.agent(NODE, "/v1/status"))?.problems ?? [];
        return problems.some(({ message }) => message.includes("has a session with 10.96.0.1")) ? true : undefined;
      });
      const { state, connectionsDropped } = await session(lab);
      assert.deepEqual([state, connectionsDropped], ["Established", 0]);
      assert.deepEqual(await lab.agent(NODE, "/v1/bgp/peers"), []);
    });

    it("is the agent's as soon as the other's has ended, and the router's kernel sees no change", async (lab) => {
      const changes = await routeChangesDuring(lab, "router", PREFIX, async () => {
        await endFrr(lab);
        await agentIsUp(lab);
        await waitForSession(lab, 1);
      });
      assert.deepEqual(changes, []);
      assert.deepEqual(
        ((await lab.agent(NODE, "/v1/status"))?.problems ?? []).filter(({ subject }) => subject.startsWith("BGPPeer")),
        [],
      );
    });

    it("goes back without a change as well", async (lab) => {
      const changes = await routeChangesDuring(lab, "router", PREFIX, async () => {
        await stage(lab, undefined);
        await waitFor("the agent to let go", async () =>
          (await lab.agent(NODE, "/v1/bgp/peers"))?.length === 0 ? true : undefined,
        );
        const host = lab.lab.scene.hosts.find(({ name }) => name === NODE);
        assert.ok(host !== undefined);
        await startRouting(lab.lab, host);
        await waitForSession(lab, 2);
      });
      assert.deepEqual(changes, []);
    });
  },
);

async function stage(lab: TestLab, value: string | undefined): Promise<void> {
  await lab.conditions({ nodes: { [NODE]: { labels: value === undefined ? {} : { [LABEL]: value } } } });
}

async function session(lab: TestLab) {
  const found = (await frrPeers(lab, "router"))[PEER];
  assert.ok(found !== undefined, `FRR knows no ${PEER}`);
  return found;
}

/** A new one, after so many have ended, with our route in it. */
async function waitForSession(lab: TestLab, ended: number): Promise<void> {
  await waitFor(
    "another session of the router",
    async () => {
      const { state, connectionsDropped, pfxRcd } = await session(lab);
      return state === "Established" && connectionsDropped >= ended && pfxRcd === 1 ? true : undefined;
    },
    WAITING,
  );
}

async function agentIsUp(lab: TestLab): Promise<void> {
  await waitFor(
    "the agent's session",
    async () => ((await lab.agent(NODE, "/v1/bgp/peers"))?.[0]?.state === "established" ? true : undefined),
    WAITING,
  );
}

/** As a kubelet ends the speaker's pod, which has no time to say anything. */
async function endFrr(lab: TestLab): Promise<void> {
  const programs = (await listPrograms(lab.lab.paths.programs)).filter(
    ({ host, program }) => host === NODE && program !== "agent",
  );
  assert.equal(programs.length, 4);
  for (const each of programs) await signalProgram(each, "SIGKILL");
  for (const each of programs) {
    assert.equal(await waitForEnd(each, 5000), "ended");
    await forgetProgram(lab.lab.paths.programs, each);
  }
}
