import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { internetChecksum } from "../../bytes/checksum.ts";
import { hex, toHex } from "../../bytes/hex.ts";
import { address, formatAddress, type Address } from "../../net/address.ts";
import {
  decodeNdp,
  detectingSolicitation,
  encodeNdp,
  formatNdp,
  readAdvertisement,
  unsolicitedAdvertisement,
  type NdpFrame,
  type NdpOption,
} from "./packet.ts";

const CLIENT = hex("02:00:00:00:00:fa");
const NODE = hex("02:00:00:00:00:c9");
const VIP = address("fc00:f853:ccd:e799::");

/** Both are read by `tcpdump -vv` as what they are, with "icmp6 sum ok". */
const SOLICITATION_BYTES = `
  3333ff000000 0200000000fa 86dd  60000000 0020 3a ff
  fc00f8530ccde79900000000000000fa ff0200000000000000000001ff000000
  87 00 a433 00000000 fc00f8530ccde7990000000000000000  01 01 0200000000fa`;
const ADVERTISEMENT_BYTES = `
  333300000001 0200000000c9 86dd  60000000 0020 3a ff
  fc00f8530ccde7990000000000000000 ff020000000000000000000000000001
  88 00 825f 20000000 fc00f8530ccde7990000000000000000  02 01 0200000000c9`;

const SOLICITATION: NdpFrame = {
  type: "solicitation",
  destinationMac: hex("3333ff000000"),
  sourceMac: CLIENT,
  source: address("fc00:f853:ccd:e799::fa"),
  destination: address("ff02::1:ff00:0"),
  target: VIP,
  options: [{ type: "sourceLinkLayer", mac: CLIENT }],
};
const ADVERTISEMENT: NdpFrame = {
  type: "advertisement",
  destinationMac: hex("333300000001"),
  sourceMac: NODE,
  source: VIP,
  destination: address("ff02::1"),
  target: VIP,
  router: false,
  solicited: false,
  override: true,
  options: [{ type: "targetLinkLayer", mac: NODE }],
};

const MESSAGE = 14 + 40;
const CHECKSUM = MESSAGE + 2;
const OPTION = MESSAGE + 24;

/** A frame with some bytes replaced, and cut or extended, with its length and checksum made right again. */
function resealed(frame: Uint8Array, offset: number, text: string, length = frame.length): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(frame.subarray(0, length));
  bytes.set(hex(text), offset);
  new DataView(bytes.buffer).setUint16(14 + 4, length - MESSAGE);
  const pseudo = Uint8Array.of(...bytes.subarray(22, 54), 0, 0, 0, length - MESSAGE, 0, 0, 0, 58);
  bytes.set([0, 0], CHECKSUM);
  new DataView(bytes.buffer).setUint16(CHECKSUM, internetChecksum(pseudo, bytes.subarray(MESSAGE)));
  return bytes;
}

describe("an NDP frame", () => {
  test("is read from the bytes of a solicitation and of an advertisement", () => {
    assert.deepEqual(decodeNdp(hex(SOLICITATION_BYTES)), { ok: true, value: SOLICITATION });
    assert.deepEqual(decodeNdp(hex(ADVERTISEMENT_BYTES)), { ok: true, value: ADVERTISEMENT });
  });

  test("is written as those bytes", () => {
    assert.equal(toHex(encodeNdp(SOLICITATION)), toHex(hex(SOLICITATION_BYTES)));
    assert.equal(toHex(encodeNdp(ADVERTISEMENT)), toHex(hex(ADVERTISEMENT_BYTES)));
  });

  test("announces unasked as an advertisement to all nodes", () => {
    assert.deepEqual(unsolicitedAdvertisement(VIP, NODE), hex(ADVERTISEMENT_BYTES));
  });

  test("may be padded by Ethernet", () => {
    assert.deepEqual(decodeNdp(Uint8Array.of(...hex(SOLICITATION_BYTES), 1, 2, 3)), { ok: true, value: SOLICITATION });
  });

  test("for duplicate address detection has no source", () => {
    const detection: NdpFrame = { ...SOLICITATION, source: address("::"), options: [] };
    assert.deepEqual(decodeNdp(encodeNdp(detection)), { ok: true, value: detection });
    assert.equal(formatNdp(detection), ":: > ff02::1:ff00:0 NDP solicitation who has fc00:f853:ccd:e799::");
  });

  test("survives the wire, unknown options too", () => {
    fc.assert(
      fc.property(frames(), (frame) => assert.deepEqual(decodeNdp(encodeNdp(frame)), { ok: true, value: frame })),
    );
  });

  test("prints as one line", () => {
    assert.equal(
      formatNdp(SOLICITATION),
      "fc00:f853:ccd:e799::fa > ff02::1:ff00:0 NDP solicitation who has fc00:f853:ccd:e799::, sourceLinkLayer 02:00:00:00:00:fa",
    );
    assert.equal(
      formatNdp(ADVERTISEMENT),
      "fc00:f853:ccd:e799:: > ff02::1 NDP advertisement target fc00:f853:ccd:e799:: [override], targetLinkLayer 02:00:00:00:00:c9",
    );
  });
});

describe("decodeNdp", () => {
  const ask = encodeNdp(SOLICITATION);
  const tell = encodeNdp(ADVERTISEMENT);
  const replaced = (offset: number, text: string): Uint8Array =>
    Uint8Array.from([...ask.subarray(0, offset), ...hex(text), ...ask.subarray(offset + hex(text).length)]);
  const unicast = "fc00f8530ccde79900000000000000c9";
  const refused = [
    { name: "nothing", bytes: new Uint8Array(0), fault: "truncated" },
    { name: "half an Ethernet header", bytes: ask.subarray(0, 13), fault: "truncated" },
    { name: "half an IPv6 header", bytes: ask.subarray(0, 40), fault: "truncated" },
    { name: "one byte less than its length says", bytes: ask.subarray(0, ask.length - 1), fault: "truncated" },
    { name: "ARP", bytes: replaced(12, "0806"), fault: "otherEthertype" },
    { name: "IPv4 called IPv6", bytes: replaced(14, "45"), fault: "notIPv6" },
    { name: "UDP", bytes: replaced(20, "11"), fault: "otherProtocol" },
    { name: "a hop-by-hop header", bytes: replaced(20, "00"), fault: "otherProtocol" },
    { name: "a router solicitation", bytes: resealed(ask, MESSAGE, "85"), fault: "otherProtocol" },
    { name: "a redirect", bytes: resealed(ask, MESSAGE, "89"), fault: "otherProtocol" },
    {
      name: "an empty message",
      bytes: resealed(ask, 0, "", MESSAGE + 4)
        .fill(0, 18, 20)
        .subarray(0, MESSAGE),
      fault: "otherProtocol",
    },
    { name: "a packet that came through a router (§7.1.1)", bytes: replaced(21, "fe"), fault: "badHopLimit" },
    { name: "a wrong checksum", bytes: replaced(CHECKSUM, "a434"), fault: "badChecksum" },
    { name: "no checksum", bytes: replaced(CHECKSUM, "0000"), fault: "badChecksum" },
    { name: "code 1", bytes: resealed(ask, MESSAGE + 1, "01"), fault: "badCode" },
    { name: "23 bytes", bytes: resealed(ask, 0, "", MESSAGE + 23), fault: "tooShort" },
    { name: "a multicast target in a question", bytes: resealed(ask, MESSAGE + 8, "ff"), fault: "badTarget" },
    { name: "a multicast target in an answer", bytes: resealed(tell, MESSAGE + 8, "ff"), fault: "badTarget" },
    { name: "an option of length 0", bytes: resealed(ask, OPTION + 1, "00"), fault: "emptyOption" },
    { name: "an option longer than the packet", bytes: resealed(ask, OPTION + 1, "02"), fault: "badOption" },
    { name: "half an option header", bytes: resealed(ask, 0, "", OPTION + 1), fault: "badOption" },
    { name: "half an option", bytes: resealed(ask, 0, "", OPTION + 7), fault: "badOption" },
    {
      name: "duplicate address detection with a source option",
      bytes: resealed(ask, 22, "00".repeat(16)),
      fault: "detectionWithSource",
    },
    {
      name: "duplicate address detection to a unicast address",
      bytes: resealed(ask, 22, "00".repeat(16) + unicast, OPTION),
      fault: "detectionToUnicast",
    },
    {
      name: "a solicited advertisement to everybody (§7.1.2)",
      bytes: resealed(tell, MESSAGE + 4, "60"),
      fault: "solicitedToMulticast",
    },
  ];
  for (const row of refused) {
    test(`refuses ${row.name}: ${row.fault}`, () =>
      assert.deepEqual(decodeNdp(row.bytes), { ok: false, fault: row.fault }));
  }

  test("keeps an option of a known code whose length says that it is no MAC address", () => {
    const long = resealed(ask, OPTION, "01 02 a1a2a3a4a5a6a7a8a9aaabacadae", OPTION + 16);
    const result = decodeNdp(long);
    assert.equal(result.ok, true);
    assert.deepEqual(result.ok && result.value.options, [
      { type: "unknown", code: 1, bytes: hex("a1a2a3a4a5a6a7a8a9aaabacadae") },
    ]);
  });

  test("makes a frame or a fault of any bytes, and the same bytes of the frame", () => {
    const bent = fc.tuple(
      fc.boolean(),
      fc.nat({ max: 85 }),
      fc.nat({ max: 255 }),
      fc.integer({ min: OPTION, max: 120 }),
    );
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      bent.map(([question, offset, byte, length]) =>
        resealed(question ? ask : tell, Math.min(offset, length - 1), byte.toString(16).padStart(2, "0"), length),
      ),
    );
    let values = 0;
    fc.assert(
      fc.property(anything, (bytes) => {
        const result = decodeNdp(bytes);
        if (!result.ok) return;
        values += 1;
        const again = decodeNdp(encodeNdp(result.value));
        assert.deepEqual(again, result);
      }),
      { numRuns: 2000 },
    );
    assert.ok(values > 0, "no input was a frame: the property held for nothing");
  });
});

describe("encodeNdp", () => {
  const impossible = [
    { name: "an IPv4 target", frame: { ...SOLICITATION, target: address("10.0.0.1") }, error: TypeError },
    { name: "an IPv4 source", frame: { ...SOLICITATION, source: address("10.0.0.1") }, error: TypeError },
    { name: "a MAC of five bytes", frame: { ...SOLICITATION, sourceMac: new Uint8Array(5) }, error: RangeError },
    {
      name: "an option with a MAC of seven bytes",
      frame: withOption({ type: "sourceLinkLayer", mac: new Uint8Array(7) }),
      error: RangeError,
    },
    {
      name: "an option that ends between eight bytes",
      frame: withOption({ type: "unknown", code: 14, bytes: new Uint8Array(5) }),
      error: RangeError,
    },
    {
      name: "an option of more than 255 units",
      frame: withOption({ type: "unknown", code: 14, bytes: new Uint8Array(256 * 8 - 2) }),
      error: RangeError,
    },
  ];
  for (const row of impossible)
    test(`throws on ${row.name}`, () => assert.throws(() => encodeNdp(row.frame), row.error));
});

describe("the detection of an address", () => {
  const TARGET = address("fc00:f853:ccd:e799::12:3456");

  test("asks the group of the address, from nowhere and without a MAC address (RFC 4862 §5.4.2)", () => {
    const mac = hex("0200000000c9");
    const read = decodeNdp(detectingSolicitation(TARGET, mac));
    assert.ok(read.ok);
    const { destinationMac, source, destination, target, options, type } = read.value;
    assert.deepEqual(
      [toHex(destinationMac), formatAddress(source), formatAddress(destination), formatAddress(target), options, type],
      ["3333ff123456", "::", "ff02::1:ff12:3456", formatAddress(TARGET), [], "solicitation"],
    );
  });

  test("reads who has it from the message of an advertisement, and from nothing else", () => {
    const mac = hex("020000000007");
    const message = unsolicitedAdvertisement(TARGET, mac).subarray(14 + 40);
    assert.deepEqual(readAdvertisement(message, TARGET), { target: TARGET, mac });
    const others: readonly Uint8Array[] = [
      new Uint8Array(0),
      message.subarray(0, 23),
      message.subarray(0, 24), // no option says whose
      message.subarray(0, 31),
      encodeNdp(SOLICITATION).subarray(14 + 40),
    ];
    for (const bytes of others) assert.equal(readAdvertisement(bytes, TARGET), undefined, toHex(bytes));
  });
});

function withOption(option: NdpOption): NdpFrame {
  return { ...SOLICITATION, options: [option] };
}

function frames(): fc.Arbitrary<NdpFrame> {
  const macs = fc.uint8Array({ minLength: 6, maxLength: 6 });
  const unicast = fc.bigInt({ min: 1n, max: (1n << 120n) - 1n }).map((value): Address => ({ family: "IPv6", value }));
  const options = fc.array(
    fc.oneof(
      fc.record(
        {
          type: fc.constantFrom<"sourceLinkLayer" | "targetLinkLayer">("sourceLinkLayer", "targetLinkLayer"),
          mac: macs,
        },
        { noNullPrototype: true },
      ),
      fc.tuple(fc.integer({ min: 3, max: 255 }), fc.nat({ max: 3 })).map(([code, units]): NdpOption => ({
        type: "unknown",
        code,
        bytes: new Uint8Array(6 + 8 * units).fill(code),
      })),
    ),
    { maxLength: 3 },
  );
  const headers = {
    destinationMac: macs,
    sourceMac: macs,
    source: unicast,
    destination: unicast,
    target: unicast,
    options,
  };
  const flags = { router: fc.boolean(), solicited: fc.boolean(), override: fc.boolean() };
  return fc.oneof(
    fc.record({ type: fc.constant<"solicitation">("solicitation"), ...headers }, { noNullPrototype: true }),
    fc.record({ type: fc.constant<"advertisement">("advertisement"), ...headers, ...flags }, { noNullPrototype: true }),
  );
}
