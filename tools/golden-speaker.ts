/**
 * Calls a router, keeps the session up and writes every message it is sent as a line of JSON: `{"type", "hex"}`.
 *
 *     golden-speaker.ts ADDRESS AS
 */
import { connect } from "node:net";
import { toHex } from "../src/bytes/hex.ts";
import { INITIAL_CONTEXT, type SessionContext } from "../src/protocol/bgp/context.ts";
import { Framer } from "../src/protocol/bgp/framer.ts";
import { encodeMessage, type Message } from "../src/protocol/bgp/message.ts";
import { AS_TRANS, type Open } from "../src/protocol/bgp/open.ts";

const [address = "", as = "65011"] = process.argv.slice(2);
const context: SessionContext = {
  ...INITIAL_CONTEXT,
  fourOctetAs: true,
  receiveExtended: true,
  families: ["IPv4", "IPv6"],
  enhancedRouteRefresh: true,
};
const open: Open = {
  type: "open",
  myAs: Number(as) > 0xffff ? AS_TRANS : Number(as),
  holdTimeSeconds: 90,
  bgpIdentifier: 0x0a5b_000b,
  capabilities: [
    { type: "multiprotocol", family: "IPv4" },
    { type: "multiprotocol", family: "IPv6" },
    { type: "routeRefresh" },
    { type: "enhancedRouteRefresh" },
    { type: "extendedMessage" },
    { type: "role", role: "customer" },
    { type: "fourOctetAs", as: Number(as) },
  ],
};

const framer = new Framer();
const socket = connect({ host: address, port: 179 });
const say = (message: Message): boolean => socket.write(encodeMessage(message, INITIAL_CONTEXT));
socket.on("connect", () => say(open));
socket.on("data", (chunk: Buffer) => {
  for (const one of framer.push(chunk)) {
    if (!one.ok) throw new Error(one.error.reason);
    process.stdout.write(`${JSON.stringify({ type: one.value.type, hex: toHex(one.bytes) })}\n`);
    if (one.value.type === "keepalive") say({ type: "keepalive" });
    if (one.value.type !== "open") continue;
    framer.context = context;
    say({ type: "keepalive" });
  }
});
socket.on("error", (error) => process.stderr.write(`${error.message}\n`));
