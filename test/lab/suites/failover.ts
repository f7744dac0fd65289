/** What clients notice when nodes and agents go away and come back. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { waitForAgents } from "../../../lab/observe.ts";
import { answersPerPod, gapAround } from "../../../lab/requests.ts";
import type { RequestPlan, RequestResult } from "../../../lab/requester.ts";
import { waitFor } from "../../../lab/wait.ts";
import { answersDuring, sequence } from "../answers.ts";
import type { Answer } from "../answers.ts";
import type { DefineTest, TestLab } from "../harness.ts";
import { startTransfer } from "../transfers.ts";

export const GRACE_SECONDS = 4;

export function testNodesThatGo(it: DefineTest): void {
  it("that goes down loses its addresses of both families to another, and of the first 100 requests after that none fails", async (lab) => {
    const addresses = [await lab.address("dual-stack", "IPv4"), await lab.address("dual-stack", "IPv6")];
    const announcer = await lab.announcer(addresses[0] ?? "", 80);
    const asked = addresses.map((address) => ({ address, requests: lab.start(steady(address, 80)) }));
    await waitFor("answers", () => (asked.every(({ requests }) => requests.results.length > 50) ? true : undefined));
    const moment = Date.now();
    await lab.fault(announcer, "node-down");
    for (const { address, requests } of asked) {
      const gap = await waitFor(`100 requests to ${address} after the gap`, () => {
        const found = gapAround(requests.results, moment);
        return found !== undefined && found.after.length >= 100 ? found : undefined;
      });
      await requests.stop();
      const after = gap.after.slice(0, 100);
      assert.deepEqual(failuresOf(after), []);
      assert.ok(!after.some((each) => each.host_name === announcer), "a pod of the dead node answered");
      assert.notEqual(await lab.announcer(address, 80), announcer);
      process.stdout.write(
        `# failover of ${address} from ${announcer}: ${gap.milliseconds.toFixed(0)} ms without an answer, ${gap.lost} requests lost\n`,
      );
    }
    await lab.fault(announcer, "node-up");
    await waitForAgents(lab.lab);
    for (const address of addresses) await everyPodAnswers(lab, address, 80);
  });

  it("that goes down takes its pods out of every address within the same time, also where it does not announce", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const other = lab.nodes.find((node) => node !== announcer) ?? "";
    const requests = lab.start(steady(address, 80));
    await waitFor("answers", () => (requests.results.length > 50 ? true : undefined));
    await lab.fault(other, "node-down");
    const down = performance.timeOrigin + performance.now();
    await sleep(3000);
    const results = await requests.stop();
    const late = results.filter((each) => each.sentAt > down + 1000);
    assert.ok(late.length >= 100, `${late.length} requests`);
    assert.deepEqual(failuresOf(late), []);
    assert.ok(!late.some((each) => each.host_name === other));
    assert.equal(await lab.announcer(address, 80), announcer);
    await lab.fault(other, "node-up");
    await waitForAgents(lab.lab);
    await everyPodAnswers(lab, address, 80);
  });

  it("whose cable is pulled loses its addresses to another, and afterwards exactly one node answers", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    await lab.fault(announcer, "link-down");
    const plan = { protocol: "HTTP", address, port: 80 } as const;
    const answer = await lab.askUntil("an answer from another node's pod", plan, (result) => result.ok);
    assert.notEqual(answer.host_name, announcer);
    assert.notEqual(await lab.announcer(address, 80), announcer);
    await lab.fault(announcer, "link-up");
    await everyPodAnswers(lab, address, 80);
    const answers = await answersDuring(lab, address, () => sleep(1000));
    assert.equal(sequence(answers).length, 1, sequence(answers).join(" → "));
  });

  it("whose device gets another MAC address goes on answering", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const mac = lab.lab.plan.cables.find((each) => each.near.member === announcer)?.near.mac ?? "";
    await lab.exec(announcer, "ip", "link", "set", "dev", "eth0", "address", "02:fa:1e:ff:ff:01");
    await everyPodAnswers(lab, address, 80);
    const { stdout } = await lab.exec("client", "ip", "neigh", "show", "to", address);
    assert.match(stdout, /lladdr 02:fa:1e:ff:ff:01/);
    await lab.exec(announcer, "ip", "link", "set", "dev", "eth0", "address", mac);
    await everyPodAnswers(lab, address, 80);
    assert.equal(await lab.announcer(address, 80), announcer);
  });
}

/** Agents' grace must be {@link GRACE_SECONDS}. */
export function testAgentsThatGo(it: DefineTest): void {
  it("keeps its addresses within its grace, and after it exactly one other node answers, never two", async (lab) => {
    const [v4, v6] = [await lab.address("dual-stack", "IPv4"), await lab.address("dual-stack", "IPv6")];
    const announcer = await lab.announcer(v4, 80);
    let killedAt = 0;
    let answersV6: readonly Answer[] = [];
    const answersV4 = await answersDuring(lab, v4, async () => {
      answersV6 = await answersDuring(lab, v6, async () => {
        await sleep(500);
        killedAt = Date.now();
        await lab.cluster.keepAgentAway(announcer);
        await lab.fault(announcer, "agent-kill");
        await sleep((GRACE_SECONDS + 4) * 1000);
      });
    });
    for (const answers of [answersV4, answersV6]) {
      const [first, second, ...more] = sequence(answers);
      assert.equal(first, announcer);
      assert.ok(second !== undefined && second !== announcer, "nobody took over");
      assert.deepEqual(more, [], sequence(answers).join(" → "));
      const takenOver = answers.find((each) => each.host === second)?.at ?? 0;
      // The stamp was renewed up to one period before the kill.
      assert.ok(takenOver - killedAt > (GRACE_SECONDS - 2) * 1000, `taken over after ${takenOver - killedAt} ms`);
    }
    await lab.fault(announcer, "agent-start");
    await waitForAgents(lab.lab);
    await everyPodAnswers(lab, v4, 80);
  });
}

export function testAgentsThatReturn(it: DefineTest): void {
  it("under a transfer of 1 GB and new connections: no reset, no stall over a second, no failed request", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    // Long enough that agents which start on a busy machine are back before it ends.
    const transfer = startTransfer(lab, { address, port: 80, bytes: 1e9, bytesPerSecond: 60e6 });
    await transfer.started;
    const retransmissions = await synRetransmissions(lab);
    // Three agents start on the same machine: an answer may take its time, but no packet may be lost.
    const requests = lab.start({ ...steady(address, 80), timeoutMilliseconds: 5000 });
    await sleep(300);
    await Promise.all(lab.nodes.map((node) => lab.fault(node, "agent-kill")));
    await sleep(300);
    await Promise.all(lab.nodes.map((node) => lab.fault(node, "agent-start")));
    await waitForAgents(lab.lab);
    assert.equal(transfer.isRunning(), true, "the transfer ended before the agents were back: nothing was shown");
    const result = await transfer.done;
    const results = await requests.stop();
    assert.deepEqual({ received: result.received, error: result.error }, { received: 1e9, error: undefined });
    assert.ok(result.longestStallMilliseconds < 1000, `stalled for ${result.longestStallMilliseconds.toFixed(0)} ms`);
    assert.ok(results.length >= 100);
    assert.deepEqual(failuresOf(results), []);
    assert.equal((await synRetransmissions(lab)) - retransmissions, 0);
    assert.equal(await lab.announcer(address, 80), announcer);
  });

  it("stopped in an orderly way for an upgrade: the addresses stay", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const requests = lab.start(steady(address, 80));
    await lab.fault(announcer, "agent-stop");
    await sleep(2000);
    assert.equal(await lab.announcer(address, 80), announcer);
    await lab.fault(announcer, "agent-start");
    await waitForAgents(lab.lab);
    const results = await requests.stop();
    assert.ok(results.length >= 50);
    assert.deepEqual(failuresOf(results), []);
  });
}

/** A request every 20 ms, whatever became of the one before. A SYN is sent again after a second: by then it counts as lost. */
function steady(address: string, port: number): RequestPlan {
  return { protocol: "HTTP", address, port, count: 0, everyMilliseconds: 20, timeoutMilliseconds: 950 };
}

async function everyPodAnswers(lab: TestLab, address: string, port: number): Promise<void> {
  const { length } = await lab.pods();
  await waitFor("every pod to answer", async () => {
    const results = await lab.requests({
      protocol: "HTTP",
      address,
      port,
      count: 120,
      concurrency: 10,
      timeoutMilliseconds: 1000,
    });
    return results.every((each) => each.ok) && answersPerPod(results).size === length ? true : undefined;
  });
}

/** The first few that were not answered, for the message. */
function failuresOf(results: readonly RequestResult[]): readonly RequestResult[] {
  return results.filter((each) => !each.ok).slice(0, 3);
}

/**
 * How often the client has sent a SYN again: its kernel does so after a second without an answer (RFC 6298 §2), and at once when a pod that still rests on
 * another client's connection from that port (TIME_WAIT) answers with an ACK of that one. Either is a packet of ours gone wrong.
 */
async function synRetransmissions(lab: TestLab): Promise<number> {
  const lines = (await lab.exec(lab.client, "cat", "/proc/net/netstat")).stdout.split("\n");
  const [names, values] = lines.filter((line) => line.startsWith("TcpExt:")).map((line) => line.split(" "));
  const count = Number(values?.[names?.indexOf("TCPSynRetrans") ?? -1]);
  assert.ok(Number.isInteger(count), "the kernel does not count SYN retransmissions");
  return count;
}
