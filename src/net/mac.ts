/** Ethernet addresses: six bytes, or text as `ip link` prints it. */

const MAC_PATTERN = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** Parses `02:00:5e:10:00:01`; `undefined` for anything else. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!MAC_PATTERN.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** Lower case, with colons. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
