import assert from "node:assert/strict";
import { test } from "node:test";
import { audienceOf, lookAtTicket } from "./ticket.ts";

const NOW = 1_800_000_000_000;

/** As the API server writes them, but for the signature, which is not looked at here. */
function ticket(claims: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}

const GOOD = { aud: [audienceOf("worker1")], exp: NOW / 1000 + 600 };

test("a ticket for this node that has time left is worth a question to the API server", () => {
  assert.deepEqual(lookAtTicket(ticket(GOOD), "worker1", NOW), { ok: true, expiresAtMilliseconds: NOW + 600_000 });
  assert.equal(lookAtTicket(ticket({ ...GOOD, aud: audienceOf("worker1") }), "worker1", NOW).ok, true);
});

const REFUSED: readonly { readonly name: string; readonly ticket: string; readonly says: RegExp }[] = [
  { name: "nothing", ticket: "", says: /no token of a service account/ },
  { name: "a word", ticket: "admin", says: /no token/ },
  { name: "a static token", ticket: "0123456789abcdef", says: /no token/ },
  { name: "two parts", ticket: "a.b", says: /no token/ },
  { name: "parts that are not JSON", ticket: "a.bb.c", says: /no token/ },
  { name: "claims that are a number", ticket: ticket(5), says: /no token/ },
  { name: "claims that are null", ticket: ticket(null), says: /no token/ },
  { name: "a line break at its end", ticket: `${ticket(GOOD)}\n`, says: /no token/ },
  { name: "an endless one", ticket: `${ticket(GOOD)}${"x".repeat(9000)}`, says: /longer than 8192/ },
  {
    name: "one for another node",
    ticket: ticket({ ...GOOD, aud: [audienceOf("worker2")] }),
    says: /fairlead-agent\/worker1/,
  },
  {
    name: "one for the API server",
    ticket: ticket({ ...GOOD, aud: ["https://kubernetes.default.svc"] }),
    says: /not made out/,
  },
  { name: "one for nobody", ticket: ticket({ exp: GOOD.exp }), says: /not made out/ },
  { name: "one without an end", ticket: ticket({ aud: GOOD.aud }), says: /does not say when it ends/ },
  { name: "one whose end is a text", ticket: ticket({ ...GOOD, exp: "never" }), says: /does not say when it ends/ },
  {
    name: "one that ends now",
    ticket: ticket({ ...GOOD, exp: NOW / 1000 }),
    says: /^the ticket expired at \d{4}-.*Z; on worker1 it is \d{4}-.*Z$/,
  },
];

for (const { name, ticket, says } of REFUSED)
  test(`${name} is refused before anybody is asked`, () => {
    const look = lookAtTicket(ticket, "worker1", NOW);
    assert.ok(!look.ok);
    assert.match(look.reason, says);
  });
