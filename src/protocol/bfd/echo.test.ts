import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { internetChecksum } from "../../bytes/checksum.ts";
import { toHex } from "../../bytes/hex.ts";
import { address } from "../../net/address.ts";
import { DEFAULT_PROFILE, type BfdProfile } from "./config.ts";
import { decodeEcho, encodeEcho } from "./echo-packet.ts";
import { FAST, Network } from "./network.fixture.ts";

const PACKET = { myDiscriminator: 0x0102_0304, sequence: 5, cookie: 0x1122_3344_5566_7788n };
/** As slow control packets as there are, so that only the echo can notice anything in time. */
const ECHOING: BfdProfile = {
  ...DEFAULT_PROFILE,
  transmitIntervalMilliseconds: 1000,
  receiveIntervalMilliseconds: 1000,
  echoTransmitIntervalMilliseconds: 50,
};
const OFFERING: BfdProfile = { ...ECHOING, echoReceiveIntervalMilliseconds: 50 };

describe("an echo packet", () => {
  const addresses = ["10.0.0.7", "2001:db8::7"] as const;
  for (const text of addresses) {
    test(`of ${text} is from and to it, with the highest TTL and right checksums, and reads back`, () => {
      const bytes = encodeEcho(PACKET, address(text), 50_000);
      const six = text.includes(":");
      const header = bytes.subarray(0, six ? 40 : 20);
      assert.equal(header[six ? 7 : 8], 255);
      const names = six ? header.subarray(8) : header.subarray(12);
      const [source, destination] = [names.subarray(0, names.length / 2), names.subarray(names.length / 2)];
      assert.deepEqual(source, destination);
      if (!six) assert.equal(internetChecksum(header), 0);
      const udp = bytes.subarray(header.length);
      assert.equal(internetChecksum(names, Uint8Array.of(0, 17, 0, udp.length), udp), 0);
      assert.equal(toHex(udp.subarray(0, 6)), toHex(Uint8Array.of(0xc3, 0x50, 0x0e, 0xc9, 0, 28)));
      assert.deepEqual(decodeEcho(bytes), { ok: true, value: PACKET });
    });
    test(`of ${text} that is shorter than said, of another length or to another port is malformed`, () => {
      const bytes = encodeEcho(PACKET, address(text), 50_000);
      const udp = text.includes(":") ? 40 : 20;
      for (let length = 0; length < bytes.length; length += 1)
        assert.deepEqual(decodeEcho(bytes.subarray(0, length)), { ok: false, fault: "malformed" });
      for (const at of [udp + 2, udp + 3, udp + 4, udp + 5]) {
        const other = Uint8Array.from(bytes);
        other[at] = (other[at] ?? 0) ^ 1;
        assert.deepEqual(decodeEcho(other), { ok: false, fault: "malformed" }, `byte ${at}`);
      }
    });
  }
});

describe("the echo function", () => {
  test("runs at the slower of what we want and the peer takes, never faster, up to a quarter early", () => {
    for (const [ours, theirs] of [
      [50, 80],
      [80, 50],
    ] as const) {
      const network = new Network()
        .configure(0, { profile: { ...ECHOING, echoTransmitIntervalMilliseconds: ours } })
        .configure(1, { profile: { ...ECHOING, echoReceiveIntervalMilliseconds: theirs } })
        .run(10_000);
      const gaps = network.echoes.slice(1).map(({ at }, i) => at - (network.echoes[i]?.at ?? 0));
      assert.ok(gaps.length > 50, `${gaps.length} packets`);
      assert.ok(Math.min(...gaps) >= 60 && Math.max(...gaps) <= 80, `${Math.min(...gaps)} to ${Math.max(...gaps)}`);
      const { echo, state, flaps } = network.details(0);
      assert.deepEqual([state, flaps, echo.intervalMilliseconds, echo.detectionMilliseconds], ["up", 0, 80, 240]);
      assert.deepEqual([echo.sent, echo.returned], [network.echoes.length, network.echoes.length]);
    }
  });

  const silent: readonly (readonly [string, BfdProfile, BfdProfile, boolean?])[] = [
    ["the peer allows none", ECHOING, ECHOING],
    ["our profile has none", FAST, OFFERING],
    ["there are several hops", ECHOING, OFFERING, true],
  ];
  for (const [why, ours, theirs, multihop = false] of silent) {
    test(`sends nothing where ${why}`, () => {
      const network = new Network()
        .configure(0, { profile: ours, multihop })
        .configure(1, { profile: theirs, multihop })
        .run(10_000);
      assert.deepEqual([network.details(0).state, network.echoes.length], ["up", 0]);
    });
  }

  test("sends nothing before the session is Up, and stops when the peer takes its leave back", () => {
    const network = new Network().configure(0, { profile: ECHOING }).run(3000);
    assert.equal(network.echoes.length, 0);
    network.configure(1, { profile: OFFERING }).run(10_000);
    assert.equal(network.openEchoes.size, 1);
    network.configure(1, { profile: ECHOING }).run(10);
    const before = network.echoes.length;
    network.run(5000);
    assert.deepEqual([network.echoes.length, network.openEchoes.size, network.details(0).flaps], [before, 0, 0]);
  });

  test("finds forwarding broken that control packets do not notice, within its own time", () => {
    const network = new Network().configure(0, { profile: ECHOING }).configure(1, { profile: OFFERING }).run(10_000);
    network.forwards[1] = false;
    network.run(100);
    assert.equal(network.details(0).state, "up");
    network.run(100);
    assert.deepEqual([network.details(0).state, network.details(0).diagnostic], ["down", "echoFailed"]);
    const { state, diagnostic, remoteDiagnostic } = network.details(1);
    assert.deepEqual([state, diagnostic, remoteDiagnostic], ["down", "neighborSignaledDown", "echoFailed"]);
    assert.equal(network.openEchoes.size, 0);
    network.forwards[1] = true;
    network.run(500);
    assert.equal(network.details(0).state, "down");
    network.run(5000);
    assert.deepEqual([network.details(0).state, network.details(0).flaps], ["up", 1]);
  });

  test("that goes on failing lets the session Up ever more rarely, a minute apart at most", () => {
    const network = new Network().configure(0, { profile: ECHOING }).configure(1, { profile: OFFERING }).run(10_000);
    network.forwards[1] = false;
    network.run(60_000);
    const { flaps } = network.details(0);
    assert.ok(flaps >= 5 && flaps <= 7, `${flaps} in the first minute`);
    network.run(300_000);
    assert.ok(network.details(0).flaps - flaps >= 4, `${network.details(0).flaps} in six`);
    network.forwards[1] = true;
    network.run(120_000);
    assert.equal(network.details(0).state, "up");
    // Once it has worked, the next failure is the first again.
    network.forwards[1] = false;
    network.run(200);
    assert.equal(network.details(0).state, "down");
    network.forwards[1] = true;
    network.run(3000);
    assert.equal(network.details(0).state, "up");
  });

  test("is not kept alive by packets played back, of another cookie, or never sent", () => {
    const network = new Network().configure(0, { profile: ECHOING }).configure(1, { profile: OFFERING }).run(10_000);
    const last = network.echoes.at(-1)?.bytes;
    assert.ok(last);
    const read = decodeEcho(last);
    assert.ok(read.ok);
    network.forwards[1] = false;
    const lies = [
      last,
      encodeEcho({ ...read.value, cookie: 1n, sequence: read.value.sequence + 1 }, address("10.0.0.1"), 50_000),
      encodeEcho({ ...read.value, sequence: read.value.sequence + 1000 }, address("10.0.0.1"), 50_000),
    ];
    for (let i = 0; i < 4; i += 1) {
      for (const lie of lies) assert.equal(network.nodes[0].receiveEcho(lie, network.now), undefined);
      network.run(50);
    }
    assert.equal(network.details(0).diagnostic, "echoFailed");
    assert.ok((network.details(0).discarded["unknownEcho"] ?? 0) >= 8);
    network.nodes[0].receiveEcho(encodeEcho({ ...PACKET, myDiscriminator: 77 }, address("10.0.0.1"), 1), network.now);
    network.nodes[0].receiveEcho(new Uint8Array(3), network.now);
    assert.deepEqual(
      [...network.nodes[0].unknown],
      [
        ["unknownEcho", 1],
        ["malformedEcho", 1],
      ],
    );
  });

  test("that cannot send says why, and the session goes on without", () => {
    const network = new Network();
    network.noEcho = "no way there";
    network.configure(0, { profile: ECHOING }).configure(1, { profile: OFFERING }).run(10_000);
    const { state, flaps, problem, echo } = network.details(0);
    assert.deepEqual([state, flaps, problem, echo.sent], ["up", 0, "no way there", 0]);
  });

  test("of another pace waits anew, so that a slower one is no failure", () => {
    const network = new Network().configure(0, { profile: ECHOING }).configure(1, { profile: OFFERING }).run(10_000);
    const slower = { ...OFFERING, echoReceiveIntervalMilliseconds: 2000 };
    network.configure(1, { profile: slower }).run(20_000);
    const { flaps, echo } = network.details(0);
    assert.deepEqual([flaps, echo.intervalMilliseconds, echo.sent - echo.returned], [0, 2000, 0]);
  });
});
