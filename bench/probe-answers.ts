/** Answers the probes of an agent for hundreds of nodes that have none, as their datapaths would: their agents live, for another minute. */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { MEMBERSHIP_PORT, membershipKey } from "../src/protocol/swim/config.ts";
import { decodeProbe, encodeProbe } from "../src/protocol/swim/packet.ts";

const STAMP_MS = 60_000;

const key = membershipKey("", (text) => createHash("sha256").update(text).digest());
const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
socket.on("message", (bytes, { address, port }) => {
  const probe = decodeProbe(bytes, key);
  if (!probe.ok || probe.value.type !== "request") return;
  socket.send(encodeProbe({ ...probe.value, type: "answer", remainingMilliseconds: STAMP_MS }, key), port, address);
});
socket.bind(MEMBERSHIP_PORT, "0.0.0.0");
