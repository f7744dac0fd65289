import assert from "node:assert/strict";
import { test } from "node:test";
import type { DrainDocument } from "../observe/status.ts";
import { fairlead, serve, serveDocuments, type FakeAgent } from "./agent.fixture.ts";
import { documents } from "./documents.fixture.ts";

const GONE = documents["/v1/drain"];
const LEAVING: DrainDocument = { ...GONE, bgp: "leaving", routes: 3 };

/** Answers with each document in turn, the last one again and again; `sent`: method and body of every request. */
async function agentThat(answers: readonly DrainDocument[]): Promise<FakeAgent & { readonly sent: string[] }> {
  const sent: string[] = [];
  const agent = await serve((request, response) => {
    const answer = answers[Math.min(sent.length, answers.length - 1)];
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      sent.push(`${request.method} ${body}`.trim());
      response.end(JSON.stringify(answer));
    });
  });
  return { ...agent, sent };
}

test("drain asks for it and says what becomes of BGP, and that layer 2 stays", async () => {
  await using agent = await agentThat([LEAVING]);
  const { code, stdout } = await fairlead(`node drain --socket ${agent.socket}`);
  assert.deepEqual([code, agent.sent, agent.asked], [0, ['POST {"draining":true}'], ["/v1/drain"]]);
  assert.match(stdout, /^worker1 drains: BGP peers are told to prefer other nodes/);
  assert.match(stdout, /Layer 2 is not drained: this node answers for 1 addresses as before/);
  assert.match(stdout, /kubectl label node worker1 node\.kubernetes\.io\/exclude-from-external-load-balancers=/);
});

test("--wait is over when the routes are withdrawn and every peer has been told, with progress until then", async () => {
  const untold: DrainDocument = { ...GONE, pending: 1 };
  const leaving = Array.from({ length: 7 }, () => LEAVING);
  await using agent = await agentThat([...leaving, untold, GONE]);
  const { code, stdout, stderr } = await fairlead(`node drain --wait --socket ${agent.socket}`);
  assert.deepEqual([code, agent.sent.length], [0, 9]);
  assert.match(stdout, /^worker1 is drained: its routes are withdrawn/);
  assert.match(stderr, /^worker1: peers prefer other nodes by now; 3 routes left/);
});

test("--wait ends with 1 when the time is over, and when somebody has ended the drain", async () => {
  await using slow = await agentThat([LEAVING]);
  const late = await fairlead(`node drain --wait --timeout 0 --socket ${slow.socket}`);
  assert.deepEqual([late.code, late.stdout], [1, ""]);
  assert.match(late.stderr, /^Not withdrawn after 0 s: .*3 routes left/);
  await using ended = await agentThat([LEAVING, { ...LEAVING, draining: false }]);
  const refused = await fairlead(`node drain --wait --socket ${ended.socket}`);
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /not drained any more/);
});

test("undrain does not promise what the label may prevent; json is as the agent says it", async () => {
  await using labelled = await agentThat([{ ...GONE, draining: false }]);
  assert.match((await fairlead(`node undrain --socket ${labelled.socket}`)).stdout, /announced, unless its label/);
  await using agent = await agentThat([GONE]);
  const { stdout } = await fairlead(`node undrain -o json --socket ${agent.socket}`);
  assert.deepEqual(JSON.parse(stdout), GONE);
  assert.deepEqual(agent.sent, ['POST {"draining":false}']);
});

test("help has an example", async () => {
  for (const line of ["node --help", "node drain --help", "node undrain --help"])
    assert.match((await fairlead(line)).stdout, /Example:\n {2}fairlead node /);
});

test("a drained node is seen in status, nodes and bgp peers", async () => {
  const status = { ...documents["/v1/status"], drain: GONE };
  const nodes = documents["/v1/nodes"].map((row) => (row.state === "self" ? { ...row, draining: true as const } : row));
  const peers = documents["/v1/bgp/peers"].map((row) => ({ ...row, leaving: "gone" as const }));
  await using agent = await serveDocuments({ "/v1/status": status, "/v1/nodes": nodes, "/v1/bgp/peers": peers });
  const shown = async (line: string): Promise<string> => (await fairlead(`${line} --socket ${agent.socket}`)).stdout;
  assert.match(await shown("status"), /^Drained +for 1m0s, 0 routes by BGP left; layer 2 as ever/m);
  assert.match(await shown("nodes"), /^worker1 .* self, draining/m);
  assert.match(await shown("bgp peers"), /^router .* 2: drained or excluded/m);
});
