import assert from "node:assert/strict";
import { test } from "node:test";
import { openAccess } from "./access.ts";
import type { Request, Response } from "./connection.ts";
import { audienceOf } from "./ticket.ts";

const NOW = 1_800_000_000_000;
const VIEWER = "system:serviceaccount:metallb-system:fairlead-viewer";

function ticket(serial = 0, seconds = 600): string {
  const claims = { aud: [audienceOf("worker1")], exp: NOW / 1000 + seconds, serial };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}

/** An API server that knows the viewer, who may read. */
class Reviewer {
  now = NOW;
  readonly asked: Request[] = [];
  authenticated: Readonly<Record<string, unknown>> = {
    authenticated: true,
    audiences: [audienceOf("worker1")],
    user: { username: VIEWER, uid: "7", groups: ["system:serviceaccounts"], extra: { "x/y": ["z"] } },
  };
  answer: ((request: Request) => Response) | undefined;

  readonly access = openAccess({
    connection: { request: async (request) => this.#answer(request) },
    node: "worker1",
    namespace: "metallb-system",
    now: () => this.now,
  });

  #answer(request: Request): Response {
    this.asked.push(request);
    if (this.answer !== undefined) return this.answer(request);
    if (request.path.endsWith("tokenreviews")) return json({ status: this.authenticated });
    const { spec } = request.body as { readonly spec: { readonly resourceAttributes: { readonly verb: string } } };
    return json({ status: { allowed: spec.resourceAttributes.verb === "get" } });
  }
}

function json(body: unknown, status = 201): Response {
  return { status, retryAfterSeconds: undefined, body };
}

test("a ticket is shown to the API server for this agent only, and its user's rights are asked for with all that it said of the user", async () => {
  const reviewer = new Reviewer();
  assert.deepEqual(await reviewer.access(ticket(), "get"), { status: 200, user: VIEWER });
  const [who, may] = reviewer.asked.map(({ body }) => (body as { readonly spec: unknown }).spec);
  assert.deepEqual(who, { token: ticket(), audiences: ["fairlead-agent/worker1"] });
  assert.deepEqual(may, {
    user: VIEWER,
    uid: "7",
    groups: ["system:serviceaccounts"],
    extra: { "x/y": ["z"] },
    resourceAttributes: {
      group: "fairlead.io",
      resource: "agents",
      namespace: "metallb-system",
      name: "worker1",
      verb: "get",
    },
  });
});

test("who may read may not change, also right after having read", async () => {
  const reviewer = new Reviewer();
  await reviewer.access(ticket(), "get");
  const refused = await reviewer.access(ticket(), "update");
  assert.equal(refused.status, 403);
  assert.match(
    "reason" in refused ? refused.reason : "",
    /fairlead-viewer may not update agents.fairlead.io "worker1"/,
  );
});

test("a yes is remembered for half a minute, a no is not", async () => {
  const reviewer = new Reviewer();
  await reviewer.access(ticket(), "get");
  await reviewer.access(ticket(), "get");
  assert.equal(reviewer.asked.length, 2);
  reviewer.now += 30_000;
  reviewer.authenticated = { authenticated: false };
  assert.equal((await reviewer.access(ticket(), "get")).status, 401);
  reviewer.authenticated = new Reviewer().authenticated;
  assert.equal((await reviewer.access(ticket(), "get")).status, 200);
});

test("a yes ends with its ticket", async () => {
  const reviewer = new Reviewer();
  assert.equal((await reviewer.access(ticket(0, 10), "get")).status, 200);
  reviewer.now += 10_000;
  assert.equal((await reviewer.access(ticket(0, 10), "get")).status, 401);
});

const REFUSALS: readonly {
  readonly name: string;
  readonly status: number;
  readonly says: RegExp;
  readonly set: (reviewer: Reviewer) => void;
}[] = [
  {
    name: "does not know",
    status: 401,
    says: /does not accept the ticket: signature is wrong/,
    set: (each) => (each.authenticated = { authenticated: false, error: "signature is wrong" }),
  },
  {
    name: "knows for another audience (it is too old to look at audiences)",
    status: 401,
    says: /does not accept/,
    set: (each) => (each.authenticated = { ...each.authenticated, audiences: [] }),
  },
  {
    name: "has not the role to be asked about",
    status: 503,
    says: /tokenreviews is forbidden \(403\)/,
    set: (each) => (each.answer = () => json({ message: "tokenreviews is forbidden" }, 403)),
  },
  {
    name: "answers nonsense about",
    status: 503,
    says: /something else/,
    set: (each) => (each.answer = () => json("<html>")),
  },
  {
    name: "cannot be asked about",
    status: 503,
    says: /connection was closed/,
    set: (each) =>
      (each.answer = () => {
        throw new Error("the connection was closed");
      }),
  },
];

for (const { name, status, says, set } of REFUSALS)
  test(`a ticket that the API server ${name} opens nothing`, async () => {
    const reviewer = new Reviewer();
    set(reviewer);
    const refused = await reviewer.access(ticket(), "get");
    assert.equal(refused.status, status);
    assert.match("reason" in refused ? refused.reason : "", says);
  });

test("a flood of tickets does not become a flood of questions, and what was allowed before goes on", async () => {
  const reviewer = new Reviewer();
  await reviewer.access(ticket(), "get");
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => reviewer.access(ticket(index + 1), "get")),
  );
  assert.equal(answers.filter(({ status }) => status === 200).length, 19);
  assert.ok(answers.slice(19).every(({ status }) => status === 429));
  assert.equal(reviewer.asked.length, 40);
  assert.equal((await reviewer.access(ticket(), "get")).status, 200);
  reviewer.now += 1000;
  assert.equal((await reviewer.access(ticket(999), "get")).status, 200);
});
