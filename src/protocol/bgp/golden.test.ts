import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, toHex } from "../../bytes/hex.ts";
import { formatAddress } from "../../net/address.ts";
import { formatPrefix } from "../../net/prefix.ts";
import { formatAsPath } from "./as-path.ts";
import type { PathAttribute } from "./attribute.ts";
import { formatCommunity } from "./community.ts";
import { INITIAL_CONTEXT, type SessionContext } from "./context.ts";
import { GOLDENS } from "./golden.fixture.ts";
import { decodeMessage, encodeMessage, type Message } from "./message.ts";
import { formatNotification } from "./notification.ts";
import { asOf } from "./open.ts";
import { routesOf } from "./update.ts";

const CONTEXT: SessionContext = { ...INITIAL_CONTEXT, fourOctetAs: true, families: ["IPv4", "IPv6"] };

/** In the order of the fixture: what each message is known to say, by the configurations in tools/goldens/. */
const READINGS: readonly string[] = [
  "AS 4200000001, hold 180, multiprotocol multiprotocol 128 routeRefresh enhancedRouteRefresh fourOctetAs extendedMessage role 69 hostname gracefulRestart longLivedGracefulRestart",
  "198.51.100.0/24 by 10.91.0.1, igp, path 4200000001 4200000001 4200000001, MED 50, aggregated by 4200000001, 64512:100 no-export, large:4200000001:1:2, rt:64512:7, OTC 4200000001",
  "2001:db8:113::10/128 by fd91::1, igp, path 4200000001 4200000001 4200000001, MED 50, 64512:100 no-export, large:4200000001:1:2, rt:64512:7, OTC 4200000001",
  "198.51.100.0/25 by 10.91.0.1, 203.0.113.10/32 by 10.91.0.1, 198.51.100.128/25 by 10.91.0.1, igp, path 4200000001 4200000001 4200000001, MED 50, 64512:100 no-export, large:4200000001:1:2, rt:64512:7, OTC 4200000001",
  'cease: administrative shutdown (6/2) "rack 7 moves"',
  "AS 65002, hold 240, multiprotocol multiprotocol routeRefresh extendedNextHop extendedMessage gracefulRestart fourOctetAs enhancedRouteRefresh longLivedGracefulRestart",
  "198.51.100.0/24 by 10.91.0.2, 203.0.113.10/32 by 10.91.0.2, igp, path 65002 64999, MED 50, 64512:100 no-export, rt:64512:7, large:4200000001:1:2",
  "end of IPv4",
  "2001:db8:113::10/128 by fd91::2, igp, path 65002 64999, MED 50, 64512:100 no-export, rt:64512:7, large:4200000001:1:2",
  "end of IPv6",
  'cease: administrative shutdown (6/2) "rack 7 moves"',
  "AS 65003, hold 90, routeRefresh hostname multiprotocol multiprotocol fourOctetAs gracefulRestart extendedNextHop",
  "203.0.113.10/32 by 10.91.0.3, igp, path 65003, MED 50, 64512:100 no-export, large:4200000001:1:2",
  "2001:db8:113::10/128 by fd91::3, igp, path 65003",
  "cease: administrative shutdown (6/2)",
];

/** Byte for byte what we would have written; the others differ in the order of attributes and the form of parameters. */
const SAME_BYTES: readonly number[] = [4, 5, 6, 7, 9, 10, 11, 12, 14];

describe("what other speakers said", () => {
  test("is all accounted for", () => assert.equal(GOLDENS.length, READINGS.length));

  for (const [i, { from, type, hex: text }] of GOLDENS.entries()) {
    test(`${from}, ${type} ${i}: ${READINGS[i]}`, () => {
      const bytes = hex(text);
      const message = decodeMessage(bytes, CONTEXT);
      assert.ok(message.ok, message.ok ? "" : message.error.reason);
      assert.equal(reading(message.value), READINGS[i]);
      const written = encodeMessage(message.value, CONTEXT);
      const again = decodeMessage(written, CONTEXT);
      assert.ok(again.ok);
      assert.deepEqual(ordered(again.value), ordered(message.value));
      assert.equal(toHex(written) === text, SAME_BYTES.includes(i), toHex(written));
    });
  }
});

/** What a message says does not hang on the order of its attributes. */
function ordered(message: Message): Message {
  if (message.type !== "update") return message;
  return { ...message, attributes: message.attributes.toSorted((a, b) => a.type.localeCompare(b.type)) };
}

function reading(message: Message): string {
  switch (message.type) {
    case "open": {
      const { holdTimeSeconds, capabilities } = message;
      return `AS ${asOf(message)}, hold ${holdTimeSeconds}, ${capabilities.map((one) => (one.type === "unknown" ? one.code : one.type)).join(" ")}`;
    }
    case "update": {
      assert.deepEqual(message.faults, []);
      const { announced, withdrawn, endOfRib } = routesOf(message);
      assert.deepEqual(withdrawn, []);
      if (endOfRib !== undefined) return `end of ${endOfRib}`;
      const routes = announced.map(
        ({ prefix, nextHop }) => `${formatPrefix(prefix)} by ${formatAddress(nextHop.address)}`,
      );
      return [...routes, ...message.attributes.map(attributeReading).filter((one) => one !== "")].join(", ");
    }
    case "notification":
      return formatNotification(message);
    case "keepalive":
    case "routeRefresh":
      return message.type;
  }
}

function attributeReading(attribute: PathAttribute): string {
  switch (attribute.type) {
    case "asPath":
      return `path ${formatAsPath(attribute.segments)}`;
    case "multiExitDisc":
      return `MED ${attribute.value}`;
    case "communities":
      return attribute.values.map((value) => formatCommunity({ type: "standard", value })).join(" ");
    case "extendedCommunities":
      return attribute.values.map((value) => formatCommunity({ type: "extended", value })).join(" ");
    case "largeCommunities":
      return attribute.values.map(formatCommunity).join(" ");
    case "aggregator":
      return `aggregated by ${attribute.as}`;
    case "onlyToCustomer":
      return `OTC ${attribute.as}`;
    case "origin":
      return attribute.origin;
    default:
      return "";
  }
}
