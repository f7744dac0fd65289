/** A collector's view of BMP, for tests: bytes read by RFC 7854's figures and by nothing of ours. */
export interface Reported {
  readonly type: string;
  /** Of the per-peer header: flags in hexadecimal, address in hexadecimal, AS, identifier. */
  readonly peer?: string;
  /** What follows the headers. */
  readonly body: Buffer;
}

const TYPES = ["route monitoring", "statistics", "peer down", "peer up", "initiation", "termination"];

/** Whole messages; what is left over is in `rest`. */
export function readBmp(bytes: Uint8Array): { readonly messages: readonly Reported[]; readonly rest: Buffer } {
  let rest = Buffer.from(bytes);
  const messages: Reported[] = [];
  while (rest.length >= 6 && rest.length >= rest.readUInt32BE(1)) {
    if (rest[0] !== 3) throw new Error(`version ${rest[0]}`);
    const message = rest.subarray(0, rest.readUInt32BE(1));
    rest = rest.subarray(message.length);
    const type = TYPES[message[5] ?? 6] ?? "unknown";
    if (type === "initiation" || type === "termination") {
      messages.push({ type, body: message.subarray(6) });
      continue;
    }
    const flags = message.toString("hex", 7, 8);
    const [asn, identifier] = [message.readUInt32BE(32), message.readUInt32BE(36)];
    const peer = `${flags} ${message.toString("hex", 16, 32)} AS${asn} ${identifier}`;
    messages.push({ type, peer, body: message.subarray(48) });
  }
  return { messages, rest };
}
