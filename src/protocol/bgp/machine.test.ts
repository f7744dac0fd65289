import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { instant } from "../../time/instant.ts";
import { bgpError } from "./error.ts";
import { ceaseNotification, type Notification } from "./notification.ts";
import { CONFIG, peerOpen, Rig } from "./session.fixture.ts";
import { deadline, stateOf, type Event, type SessionState } from "./session.ts";

const KEEPALIVE = { type: "keepalive" } as const;
const UPDATE = { type: "update" } as const;
const REFRESH = { type: "routeRefresh", family: "IPv4", subtype: "request" } as const;
const CEASE: Notification = ceaseNotification("administrativeShutdown", "maintenance");
const GR = { gracefulRestart: { restartTimeSeconds: 120, notifications: false } } as const;

const received = (message: Extract<Event, { type: "received" }>["message"]): Event => ({
  type: "received",
  connection: "out:1",
  message,
});

/** RFC 4271 §8.2.2, one row for each state and event that means something in it. */
const TRANSITIONS: readonly {
  readonly from: Exclude<SessionState, "active">;
  readonly event: string;
  readonly given: Event;
  readonly to: SessionState;
  readonly does: readonly string[];
}[] = [
  { from: "idle", event: "ManualStart", given: { type: "start" }, to: "connect", does: ["dial out:1", "changed"] },
  {
    from: "idle",
    event: "a connection",
    given: { type: "accepted", connection: "in:1" },
    to: "idle",
    does: ["close in:1 6/5", "count connectionRejected"],
  },
  {
    from: "idle",
    event: "ManualStop",
    given: { type: "stop", reason: "x", notification: CEASE },
    to: "idle",
    does: [],
  },
  {
    from: "connect",
    event: "TCP",
    given: { type: "connected", connection: "out:1" },
    to: "openSent",
    does: ["send out:1 open", "changed"],
  },
  {
    from: "connect",
    event: "no TCP",
    given: { type: "closed", connection: "out:1", reason: "refused" },
    to: "active",
    does: ["close out:1 silently", "changed"],
  },
  {
    from: "connect",
    event: "ManualStop",
    given: { type: "stop", reason: "x", notification: CEASE },
    to: "idle",
    does: ["close out:1 silently at once", "changed"],
  },
  {
    from: "openSent",
    event: "OPEN",
    given: received(peerOpen()),
    to: "openConfirm",
    does: ["send out:1 keepalive", "changed"],
  },
  {
    from: "openSent",
    event: "KEEPALIVE",
    given: received(KEEPALIVE),
    to: "active",
    does: ["count sent 5/1", "close out:1 5/1", "changed"],
  },
  {
    from: "openSent",
    event: "UPDATE",
    given: received(UPDATE),
    to: "active",
    does: ["count sent 5/1", "close out:1 5/1", "changed"],
  },
  {
    from: "openSent",
    event: "ROUTE-REFRESH",
    given: received(REFRESH),
    to: "active",
    does: ["count sent 5/1", "close out:1 5/1", "changed"],
  },
  {
    from: "openSent",
    event: "NOTIFICATION",
    given: received(CEASE),
    to: "active",
    does: ["count received 6/2", "close out:1 silently", "changed"],
  },
  {
    from: "openSent",
    event: "the end of TCP",
    given: { type: "closed", connection: "out:1", reason: "reset" },
    to: "active",
    does: ["close out:1 silently", "changed"],
  },
  {
    from: "openSent",
    event: "a bad header",
    given: { type: "faulty", connection: "out:1", error: bgpError("header", "badMessageLength", "x") },
    to: "active",
    does: ["count sent 1/2", "close out:1 1/2", "changed"],
  },
  {
    from: "openSent",
    event: "ManualStop",
    given: { type: "stop", reason: "x", notification: CEASE },
    to: "idle",
    does: ["close out:1 6/2", "changed"],
  },
  {
    from: "openConfirm",
    event: "KEEPALIVE",
    given: received(KEEPALIVE),
    to: "established",
    does: ["up out:1", "changed"],
  },
  {
    from: "openConfirm",
    event: "OPEN",
    given: received(peerOpen()),
    to: "active",
    does: ["count sent 5/2", "close out:1 5/2", "changed"],
  },
  {
    from: "openConfirm",
    event: "UPDATE",
    given: received(UPDATE),
    to: "active",
    does: ["count sent 5/2", "close out:1 5/2", "changed"],
  },
  {
    from: "openConfirm",
    event: "ROUTE-REFRESH",
    given: received(REFRESH),
    to: "active",
    does: ["count sent 5/2", "close out:1 5/2", "changed"],
  },
  {
    from: "openConfirm",
    event: "NOTIFICATION",
    given: received(CEASE),
    to: "active",
    does: ["count received 6/2", "close out:1 silently", "changed"],
  },
  {
    from: "openConfirm",
    event: "BFD down that was never up",
    given: { type: "bfd", state: "down" },
    to: "openConfirm",
    does: [],
  },
  { from: "established", event: "KEEPALIVE", given: received(KEEPALIVE), to: "established", does: [] },
  { from: "established", event: "UPDATE", given: received(UPDATE), to: "established", does: [] },
  {
    from: "established",
    event: "OPEN",
    given: received(peerOpen()),
    to: "active",
    does: ["count sent 5/3", "close out:1 5/3", "down out:1", "changed"],
  },
  { from: "established", event: "ROUTE-REFRESH", given: received(REFRESH), to: "established", does: ["resend IPv4"] },
  {
    from: "established",
    event: "the marker of a refresh",
    given: received({ ...REFRESH, subtype: "begin" }),
    to: "established",
    does: [],
  },
  {
    from: "established",
    event: "ROUTE-REFRESH of another family",
    given: received({ ...REFRESH, family: "IPv6" }),
    to: "established",
    does: ["count refreshOfOtherFamily"],
  },
  {
    from: "established",
    event: "NOTIFICATION",
    given: received(CEASE),
    to: "active",
    does: ["count received 6/2", "close out:1 silently", "down out:1", "changed"],
  },
  {
    from: "established",
    event: "the end of TCP",
    given: { type: "closed", connection: "out:1", reason: "reset" },
    to: "active",
    does: ["close out:1 silently", "down out:1", "changed"],
  },
  {
    from: "established",
    event: "a bad UPDATE",
    given: { type: "faulty", connection: "out:1", error: bgpError("update", "malformedAttributeList", "x") },
    to: "active",
    does: ["count sent 3/1", "close out:1 3/1", "down out:1", "changed"],
  },
  {
    from: "established",
    event: "ManualStop",
    given: { type: "stop", reason: "x", notification: CEASE },
    to: "idle",
    does: ["close out:1 6/2", "down out:1", "changed"],
  },
  {
    from: "established",
    event: "a silent stop",
    given: { type: "stop", reason: "x" },
    to: "idle",
    does: ["close out:1 silently", "down out:1", "changed"],
  },
  {
    from: "established",
    event: "a new connection",
    given: { type: "accepted", connection: "in:1" },
    to: "established",
    does: ["close in:1 6/7", "count collision"],
  },
  { from: "established", event: "ManualStart", given: { type: "start" }, to: "established", does: [] },
  {
    from: "established",
    event: "what came by a connection that is over",
    given: { type: "received", connection: "out:0", message: UPDATE },
    to: "established",
    does: [],
  },
];

describe("a session", () => {
  for (const { from, event, given, to, does } of TRANSITIONS)
    test(`in ${from} goes to ${to} on ${event}`, () => {
      const rig = new Rig().bring(from);
      assert.equal(stateOf(rig.session), from);
      rig.do(given);
      assert.deepEqual(rig.text(), does);
      assert.equal(stateOf(rig.session), to);
    });

  test("counts as established only with the peer's KEEPALIVE", () => {
    const rig = new Rig().bring("openConfirm");
    assert.ok(!rig.log.some((line) => line.startsWith("up")));
  });

  test("that was stopped wakes nobody", () => {
    for (const state of ["connect", "openSent", "openConfirm", "established"] as const) {
      const rig = new Rig().bring(state).do({ type: "stop", reason: "x" });
      assert.equal(deadline(rig.session), undefined);
      assert.deepEqual(rig.session.connections, []);
    }
  });

  test("that only dials refuses a call, and one that only accepts does not dial", () => {
    const dialling = new Rig({ initiation: "dial" }).bring("connect").do({ type: "accepted", connection: "in:1" });
    assert.deepEqual(dialling.text(), ["close in:1 6/5", "count connectionRejected"]);
    const accepting = new Rig({ initiation: "accept" }).do({ type: "start" });
    assert.equal(deadline(accepting.session), undefined);
    accepting.do({ type: "accepted", connection: "in:1" }).hear("in:1", peerOpen(), KEEPALIVE);
    assert.equal(stateOf(accepting.session), "established");
  });

  test("remembers why it went down in the words of the peer", () => {
    const rig = new Rig().bring("established").do(received(CEASE));
    assert.match(rig.session.lastReason ?? "", /administrative shutdown.*"maintenance"/);
    assert.deepEqual(
      rig.session.history.map(({ from, to }) => `${from} > ${to}`),
      ["openConfirm > established", "established > active"],
    );
  });
});

describe("timers:", () => {
  test("a TCP connection that does not come is given up after 10 s and tried again, later each time, never later than configured", () => {
    const rig = new Rig({ connectTimeSeconds: 5 }).bring("connect");
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      rig.at(rig.now + 10_000).do({ type: "clock" });
      assert.equal(stateOf(rig.session), "active");
      const dialAt = deadline(rig.session) ?? instant(0);
      pauses.push((dialAt - rig.now) / 1000);
      rig.at(dialAt).do({ type: "clock" });
      assert.equal(stateOf(rig.session), "connect");
    }
    for (const [index, longest] of [1, 2, 4, 5, 5, 5].entries()) {
      const pause = pauses[index] ?? 0;
      assert.ok(pause > longest * 0.74 && pause <= longest, `${pause} of ${longest} s`);
    }
  });

  test("no OPEN within four minutes is 4/0", () => {
    const rig = new Rig().bring("openSent");
    rig.at(rig.now + 239_999).do({ type: "clock" });
    assert.equal(stateOf(rig.session), "openSent");
    rig.at(rig.now + 1).do({ type: "clock" });
    assert.deepEqual(rig.text(), ["count sent 4/0", "close out:1 4/0", "changed"]);
  });

  for (const state of ["openConfirm", "established"] as const)
    test(`a peer silent for the hold time in ${state} is 4/0`, () => {
      const rig = new Rig({ holdTimeSeconds: 9 }).bring(state);
      rig.at(rig.now + 8999).do({ type: "clock" });
      assert.equal(stateOf(rig.session), state);
      rig.at(rig.now + 1).do({ type: "clock" });
      assert.ok(rig.text().includes("close out:1 4/0"));
    });

  test("KEEPALIVE and UPDATE start the hold timer anew, ROUTE-REFRESH does not", () => {
    for (const [message, alive] of [
      [KEEPALIVE, true],
      [UPDATE, true],
      [REFRESH, false],
    ] as const) {
      const rig = new Rig({ holdTimeSeconds: 9 }).bring("established");
      rig
        .at(rig.now + 8000)
        .hear("out:1", message)
        .at(rig.now + 2000)
        .do({ type: "clock" });
      assert.equal(stateOf(rig.session) === "established", alive, message.type);
    }
  });

  test("KEEPALIVEs go out every third of the hold time, up to a quarter earlier", () => {
    const rig = new Rig({ holdTimeSeconds: 9 }).bring("established");
    for (let round = 0; round < 20; round += 1) {
      const due = rig.session.connections[0]?.keepaliveAt ?? instant(0);
      assert.ok(due - rig.now >= 2250 && due - rig.now <= 3000, `${due - rig.now}`);
      rig.at(due).do({ type: "clock" });
      assert.deepEqual(rig.text(), ["send out:1 keepalive"]);
      rig.hear("out:1", KEEPALIVE);
    }
  });

  test("a hold time of zero on either side means no KEEPALIVEs and no hold timer", () => {
    for (const [ours, theirs] of [
      [0, 90],
      [90, 0],
    ] as const) {
      const rig = new Rig({ holdTimeSeconds: ours }).bring("established", peerOpen({ holdTimeSeconds: theirs }));
      assert.equal(deadline(rig.session), undefined);
    }
  });

  test("a peer that takes nothing for eight minutes is 8/0, however lively it sends", () => {
    const rig = new Rig().bring("established").do({ type: "blocked", connection: "out:1" });
    const end = rig.now + 480_000;
    for (; rig.now < end - 30_000;)
      rig
        .at(rig.now + 30_000)
        .do({ type: "clock" }, { type: "blocked", connection: "out:1" })
        .hear("out:1", KEEPALIVE);
    assert.equal(stateOf(rig.session), "established");
    rig.at(end).do({ type: "clock" });
    assert.deepEqual(rig.text().slice(0, 2), ["count sent 8/0", "close out:1 8/0 at once"]);
  });

  test("a peer that takes a little now and then keeps the session", () => {
    const rig = new Rig({ holdTimeSeconds: 0 }).bring("established").do({ type: "blocked", connection: "out:1" });
    for (let round = 0; round < 5; round += 1)
      rig.at(rig.now + 400_000).do({ type: "taken", connection: "out:1", drained: false }, { type: "clock" });
    assert.equal(stateOf(rig.session), "established");
    rig.do({ type: "taken", connection: "out:1", drained: true });
    assert.equal(deadline(rig.session), undefined);
  });

  test("a session that was up for long is dialled again within a second, one that flaps later each time", () => {
    const rig = new Rig().bring("established");
    rig.at(rig.now + 100_000).do({ type: "closed", connection: "out:1", reason: "reset" });
    assert.ok((deadline(rig.session) ?? 0) - rig.now <= 1000);
    const pauses: number[] = [];
    for (let round = 2; round < 6; round += 1) {
      rig.at(deadline(rig.session) ?? 0).do({ type: "clock" }, { type: "connected", connection: `out:${round}` });
      rig.hear(`out:${round}`, peerOpen(), KEEPALIVE);
      assert.equal(stateOf(rig.session), "established");
      rig.do({ type: "closed", connection: `out:${round}`, reason: "reset" });
      pauses.push((deadline(rig.session) ?? 0) - rig.now);
    }
    assert.deepEqual(
      pauses,
      pauses.toSorted((a, b) => a - b),
    );
    assert.ok((pauses.at(-1) ?? 0) > 10_000);
  });

  test("what is received while the process was stalled counts before the clock does", () => {
    const rig = new Rig({ holdTimeSeconds: 9 }).bring("established");
    rig
      .at(rig.now + 60_000)
      .hear("out:1", KEEPALIVE)
      .do({ type: "clock" });
    assert.equal(stateOf(rig.session), "established");
  });
});

describe("an OPEN that cannot be accepted ends in", () => {
  const bad: readonly {
    readonly name: string;
    readonly says: string;
    readonly open: ReturnType<typeof peerOpen>;
    readonly config?: Partial<typeof CONFIG>;
  }[] = [
    { name: "another AS", says: "2/2", open: peerOpen({}, { localAsn: 65003 }) },
    {
      name: "our AS on an external session",
      says: "2/2",
      config: { peerAsn: "external" },
      open: peerOpen({}, { localAsn: 65001 }),
    },
    { name: "another AS on an internal session", says: "2/2", config: { peerAsn: "internal" }, open: peerOpen() },
    { name: "AS 0", says: "2/2", config: { peerAsn: "external" }, open: peerOpen({}, { localAsn: 0 }) },
    { name: "two different AS numbers", says: "2/2", open: peerOpen({ myAs: 65009 }) },
    { name: "identifier 0", says: "2/3", open: peerOpen({ bgpIdentifier: 0 }) },
    {
      name: "our identifier inside our AS",
      says: "2/3",
      config: { peerAsn: 65001 },
      open: peerOpen({ bgpIdentifier: 0x0a00_0002 }, { localAsn: 65001 }),
    },
    { name: "hold time 1", says: "2/6", open: peerOpen({ holdTimeSeconds: 1 }) },
    { name: "hold time 2", says: "2/6", open: peerOpen({ holdTimeSeconds: 2 }) },
    { name: "the same role", says: "2/11", config: { role: "customer" }, open: peerOpen({}, { role: "customer" }) },
    {
      name: "no role where one is required",
      says: "2/11",
      config: { role: "customer", roleRequired: true },
      open: peerOpen(),
    },
  ];
  for (const { name, says, open, config = {} } of bad)
    test(`${says} for ${name}`, () => {
      const rig = new Rig(config).bring("openSent").hear("out:1", open);
      assert.deepEqual(rig.text(), [`count sent ${says}`, `close out:1 ${says}`, "changed"]);
    });

  const good: readonly {
    readonly name: string;
    readonly open: ReturnType<typeof peerOpen>;
    readonly config?: Partial<typeof CONFIG>;
  }[] = [
    { name: "hold time 0", open: peerOpen({ holdTimeSeconds: 0 }) },
    { name: "hold time 3", open: peerOpen({ holdTimeSeconds: 3 }) },
    { name: "our identifier in another AS", open: peerOpen({ bgpIdentifier: 0x0a00_0002 }) },
    { name: "an identifier that is no unicast address", open: peerOpen({ bgpIdentifier: 0xe000_0001 }) },
    {
      name: "any other AS where any will do",
      config: { peerAsn: "external" },
      open: peerOpen({}, { localAsn: 4_200_000_000 }),
    },
    { name: "our AS where it must be ours", config: { peerAsn: "internal" }, open: peerOpen({}, { localAsn: 65001 }) },
    { name: "no capabilities at all", open: peerOpen({ capabilities: [] }) },
    { name: "the role that fits", config: { role: "customer" }, open: peerOpen({}, { role: "provider" }) },
    { name: "no role where none is required", config: { role: "customer" }, open: peerOpen() },
    {
      name: "capabilities nobody knows",
      open: peerOpen({
        capabilities: [...peerOpen().capabilities, { type: "unknown", code: 200, value: Uint8Array.of(1) }],
      }),
    },
  ];
  for (const { name, open, config = {} } of good)
    test(`nothing: it is accepted with ${name}`, () => {
      const rig = new Rig(config).bring("openSent").hear("out:1", open);
      assert.equal(stateOf(rig.session), "openConfirm");
    });
});

describe("a peer that refuses our OPEN", () => {
  const refuse = (rig: Rig, code: number, subcode: number): Rig =>
    rig.hear(`out:${rig.session.dials}`, { type: "notification", code, subcode, data: new Uint8Array(0) });
  const again = (rig: Rig): string[] => {
    rig.at(deadline(rig.session) ?? 0).do({ type: "clock" });
    rig.do({ type: "connected", connection: `out:${rig.session.dials}` });
    return rig.session.connections[0]?.sent?.capabilities.map(({ type }) => type) ?? [];
  };

  test("for its optional parameters gets one without, at once; then everything again", () => {
    const rig = refuse(new Rig().bring("openSent"), 2, 4);
    assert.equal(deadline(rig.session), rig.now);
    assert.deepEqual(again(rig), []);
    refuse(rig, 2, 4);
    assert.ok((deadline(rig.session) ?? 0) > rig.now);
    assert.ok(again(rig).length > 3);
  });

  for (const subcode of [0, 7])
    test(`for a capability (2/${subcode}) gets the few that matter`, () => {
      assert.deepEqual(again(refuse(new Rig().bring("openSent"), 2, subcode)), [
        "multiprotocol",
        "routeRefresh",
        "fourOctetAs",
      ]);
    });

  test("for its AS gets the same again, after a pause", () => {
    const rig = refuse(new Rig().bring("openSent"), 2, 2);
    assert.ok((deadline(rig.session) ?? 0) > rig.now);
    assert.equal(rig.session.offer, "full");
  });
});

describe("two connections at once:", () => {
  /** Ours is in OpenConfirm, the peer's has just sent its OPEN. */
  const collide = (theirs: number, config: Partial<typeof CONFIG> = {}): Rig => {
    const open = peerOpen({}, config.peerAsn === undefined ? {} : { localAsn: Number(config.peerAsn) }, theirs);
    return new Rig(config).bring("openConfirm", open).do({ type: "accepted", connection: "in:1" }).hear("in:1", open);
  };

  test("that of the higher identifier stays", () => {
    assert.deepEqual(collide(1).text(), ["close in:1 6/7", "count collision"]);
    assert.deepEqual(collide(0xf000_0000).text(), ["close out:1 6/7", "count collision", "send in:1 keepalive"]);
  });

  test("of equal identifiers, that of the higher AS (RFC 6286)", () => {
    assert.ok(collide(0x0a00_0002, { peerAsn: 64000 }).text().includes("close in:1 6/7"));
    assert.ok(collide(0x0a00_0002, { peerAsn: 65100 }).text().includes("close out:1 6/7"));
  });

  test("the end of the one that lost disturbs nobody", () => {
    const rig = collide(0xf000_0000).do({ type: "closed", connection: "out:1", reason: "x" });
    assert.deepEqual(rig.text(), []);
    rig.hear("in:1", KEEPALIVE);
    assert.equal(stateOf(rig.session), "established");
  });

  test("the peer's 6/7 about one leaves the other", () => {
    const rig = new Rig().bring("openSent").do({ type: "accepted", connection: "in:1" });
    rig.hear("out:1", ceaseNotification("connectionCollision"));
    assert.deepEqual(rig.text(), ["count received 6/7", "close out:1 silently"]);
    assert.equal(stateOf(rig.session), "openSent");
  });

  test("in Established a new one is refused; with graceful restart its OPEN takes over (RFC 4724 §5)", () => {
    const rig = new Rig(GR).bring("established", peerOpen({}, GR)).do({ type: "accepted", connection: "in:1" });
    assert.deepEqual(rig.text(), ["send in:1 open"]);
    rig.hear("in:1", peerOpen({}, GR));
    assert.deepEqual(rig.text(), ["close out:1 silently", "down out:1", "send in:1 keepalive", "changed"]);
    rig.hear("in:1", KEEPALIVE);
    assert.ok(rig.text().includes("up in:1"));
  });

  test("a second call of the peer replaces its first", () => {
    const rig = new Rig({ initiation: "accept" }).do({ type: "start" }, { type: "accepted", connection: "in:1" });
    rig.at(rig.now + 500).do({ type: "accepted", connection: "in:2" });
    assert.deepEqual(rig.text(), ["close in:1 6/7", "count collision", "send in:2 open"]);
  });

  test("a peer that calls without end is answered twice a second", () => {
    for (const state of ["idle", "openSent", "established"] as const) {
      const rig = new Rig().bring(state);
      let answered = 0;
      for (let call = 0; call < 1000; call += 1) {
        rig.at(rig.now + 10).do({ type: "accepted", connection: `in:${call}` });
        if (!rig.text().includes("count connectionTooSoon")) answered += 1;
      }
      assert.equal(answered, 20, state);
    }
  });

  test("a peer that calls again at once after a failure is not answered", () => {
    const rig = new Rig({ initiation: "accept" }).do({ type: "start" }, { type: "accepted", connection: "in:1" });
    rig.hear("in:1", KEEPALIVE).do({ type: "accepted", connection: "in:2" });
    assert.deepEqual(rig.text(), ["close in:2 silently at once", "count connectionTooSoon"]);
    rig.at(rig.now + 500).do({ type: "accepted", connection: "in:3" });
    assert.deepEqual(rig.text().slice(0, 1), ["send in:3 open"]);
  });
});

describe("graceful restart:", () => {
  const flags = (rig: Rig): boolean | undefined =>
    rig.session.connections[0]?.sent?.capabilities.find((one) => one.type === "gracefulRestart")?.restarting;

  test("the R bit is set after a restart, until the session has been up once", () => {
    const rig = new Rig(GR, { restartingUntil: instant(60_000) }).bring("openSent");
    assert.equal(flags(rig), true);
    rig.hear("out:1", peerOpen({}, GR), KEEPALIVE).do({ type: "closed", connection: "out:1", reason: "x" });
    rig.at(deadline(rig.session) ?? 0).do({ type: "clock" }, { type: "connected", connection: "out:2" });
    assert.equal(flags(rig), false);
  });

  test("the R bit is not set once the restart time is over, nor at a first start", () => {
    assert.equal(flags(new Rig(GR, { restartingUntil: instant(999) }).bring("openSent")), false);
    assert.equal(flags(new Rig(GR).bring("openSent")), false);
  });

  test("the F bit is not set after a start that found no datapath, until the session has been up once", () => {
    const config = { gracefulRestart: { restartTimeSeconds: 60, notifications: false, longLivedSeconds: 600 } };
    const kept = (one: Rig): readonly (boolean | undefined)[] =>
      one.session.connections[0]?.sent?.capabilities.flatMap((each) =>
        each.type === "gracefulRestart" || each.type === "longLivedGracefulRestart"
          ? each.families.map(({ forwarding }) => forwarding)
          : [],
      ) ?? [];
    assert.deepEqual(kept(new Rig(config).bring("openSent")), [true, true]);
    const rig = new Rig(config, { forwarding: false }).bring("openSent");
    assert.deepEqual(kept(rig), [false, false]);
    rig.hear("out:1", peerOpen({}, GR), KEEPALIVE).do({ type: "closed", connection: "out:1", reason: "x" });
    rig.at(deadline(rig.session) ?? 0).do({ type: "clock" }, { type: "connected", connection: "out:2" });
    assert.deepEqual(kept(rig), [true, true]);
  });

  test("an administrator's end is a Hard Reset where the peer would keep routes over a NOTIFICATION (RFC 8538)", () => {
    const N = { gracefulRestart: { restartTimeSeconds: 120, notifications: true } };
    const stop = (ours: typeof GR | typeof N, theirs: typeof GR | typeof N): Rig =>
      new Rig(ours).bring("established", peerOpen({}, theirs)).do({ type: "stop", reason: "x", notification: CEASE });
    assert.ok(stop(N, N).text().includes("close out:1 6/9"));
    assert.ok(stop(N, GR).text().includes("close out:1 6/2"));
    assert.ok(stop(GR, N).text().includes("close out:1 6/2"));
  });
});

describe("BFD", () => {
  test("that goes down ends the session with 6/10; the peer's AdminDown does not (RFC 5882 §3.2)", () => {
    const rig = new Rig().bring("established").do({ type: "bfd", state: "up" }, { type: "bfd", state: "adminDown" });
    assert.equal(stateOf(rig.session), "established");
    rig.do({ type: "bfd", state: "up" }, { type: "bfd", state: "down" });
    assert.ok(rig.text().includes("close out:1 6/10"));
  });

  test("that is required holds the session back until it is up", () => {
    const rig = new Rig({ bfdStrict: true }).bring("openConfirm").hear("out:1", KEEPALIVE);
    assert.ok(!rig.log.includes("send out:1 keepalive"));
    assert.equal(stateOf(rig.session), "openConfirm");
    rig.do({ type: "bfd", state: "up" });
    assert.deepEqual(rig.text(), ["send out:1 keepalive", "up out:1", "changed"]);
  });

  test("that is required and does not come up in 30 s ends the connection with 6/10", () => {
    const rig = new Rig({ bfdStrict: true }).bring("openConfirm");
    rig.at(rig.now + 30_000).do({ type: "clock" });
    assert.ok(rig.text().includes("close out:1 6/10"));
  });
});

describe("a configuration", () => {
  test("that changes what OPEN says ends the session with 6/6 and dials at once", () => {
    const rig = new Rig().bring("established").do({ type: "configure", config: { ...CONFIG, holdTimeSeconds: 30 } });
    assert.deepEqual(rig.text(), ["close out:1 6/6", "down out:1", "dial out:2", "changed"]);
  });

  test("that changes anything else is quiet", () => {
    const config = { ...CONFIG, connectTimeSeconds: 5, receivedPrefixesMax: 7, initiation: "dial" as const };
    assert.deepEqual(new Rig().bring("established").do({ type: "configure", config }).text(), []);
  });

  test("with another address calls that", () => {
    const rig = new Rig().bring("connect");
    rig.do({ type: "configure", config: { ...CONFIG, peer: { type: "address", address: address("192.0.2.7") } } });
    assert.deepEqual(
      rig.effects.filter(({ type }) => type === "dial").map((effect) => "target" in effect && effect.target),
      [{ address: address("192.0.2.7") }],
    );
  });

  test("without an address waits until the peer is heard of", () => {
    const rig = new Rig({ peer: { type: "interface", device: "eth0" } }).do({ type: "start" });
    assert.deepEqual(rig.text(), ["changed"]);
    rig.do({ type: "target", target: { address: address("fe80::1"), device: "eth0" } });
    assert.deepEqual(rig.text(), ["dial out:1", "changed"]);
  });
});
