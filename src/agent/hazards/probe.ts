/**
 * Asks the segments who else has an address that this node announces, as a host does before it uses one: RFC 5227 §2.1 for
 * IPv4, RFC 4862 §5.4 for IPv6. Nobody's cache changes by it. Who answered is asked once more: an address that has just
 * moved here may have been answered for by the node it came from.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SystemError } from "../../kernel/error.ts";
import { openIcmpv6Socket } from "../../kernel/icmpv6-socket.ts";
import { openPacketSocket } from "../../kernel/packet-socket.ts";
import { formatAddress, type Address, type Family } from "../../net/address.ts";
import { formatMac } from "../../net/mac.ts";
import { arpProbe, decodeArp } from "../../protocol/arp/packet.ts";
import { detectingSolicitation, readAdvertisement } from "../../protocol/ndp/packet.ts";
import type { ForeignAnswer } from "./facts.ts";

export interface Probe {
  readonly address: Address;
  readonly device: { readonly name: string; readonly ifindex: number; readonly mac: Uint8Array };
}

export type Answer = Omit<ForeignAnswer, "node">;

const ANSWER_MS = 500;
const ETHERTYPE_ARP = 0x0806;
const NEIGHBOR_ADVERTISEMENT = 136;
/** Read of one device after one question; a segment on which more comes in half a second has other troubles. */
const FRAMES_MAX = 4096;

/** Those who answered twice and are not `own` (MAC addresses of this node). A device that is gone or down answers nothing. */
export async function probeAddresses(
  probes: readonly Probe[],
  own: ReadonlySet<string>,
  waitMilliseconds = ANSWER_MS,
): Promise<readonly Answer[]> {
  const first = await ask(probes, own, waitMilliseconds);
  if (first.length === 0) return [];
  const doubtful = new Set(first.map(keyOf));
  const again = probes.filter(({ address, device }) =>
    first.some((answer) => answer.address === formatAddress(address) && answer.device === device.name),
  );
  return (await ask(again, own, waitMilliseconds)).filter((answer) => doubtful.has(keyOf(answer)));
}

function keyOf({ address, device, mac }: Answer): string {
  return `${address} ${device} ${mac}`;
}

async function ask(
  probes: readonly Probe[],
  own: ReadonlySet<string>,
  waitMilliseconds: number,
): Promise<readonly Answer[]> {
  using listeners = new DisposableStack();
  const opened: Listener[] = [];
  for (const group of Map.groupBy(probes, ({ device, address }) => `${device.ifindex} ${address.family}`).values()) {
    const listener = tryDevice(() => question(group));
    if (listener === undefined) continue;
    listeners.defer(() => listener.close());
    opened.push(listener);
  }
  await sleep(waitMilliseconds);
  const answers = opened.flatMap((listener) => tryDevice(() => listener.answers()) ?? []);
  const foreign = answers.filter(({ mac }) => !own.has(mac));
  return [...new Map(foreign.map((answer) => [keyOf(answer), answer])).values()];
}

interface Listener {
  answers(): readonly Answer[];
  close(): void;
}

/** Asks for all addresses of one family on one device. Throws {@link SystemError}. */
function question(group: readonly Probe[]): Listener {
  const [first] = group;
  if (first === undefined) throw new Error("a question about no address");
  const { device } = first;
  const wanted = new Set(group.map(({ address }) => formatAddress(address)));
  const family: Family = first.address.family;
  const listener = family === "IPv4" ? listenArp(device) : listenNdp(device);
  try {
    for (const { address } of group)
      listener.send(family === "IPv4" ? arpProbe(address, device.mac) : detectingSolicitation(address, device.mac));
  } catch (error) {
    listener.close();
    throw error;
  }
  return {
    close: () => listener.close(),
    answers: () => {
      const found: Answer[] = [];
      for (let count = 0; count < FRAMES_MAX; count += 1) {
        const said = listener.next();
        if (said === "nothing") break;
        if (said === undefined) continue;
        const address = formatAddress(said.address);
        if (wanted.has(address)) found.push({ address, device: device.name, mac: formatMac(said.mac) });
      }
      return found;
    },
  };
}

interface Ears {
  send(frame: Uint8Array): void;
  /** What the next packet says; `undefined`: nothing of interest. */
  next(): { readonly address: Address; readonly mac: Uint8Array } | undefined | "nothing";
  close(): void;
}

function listenArp({ ifindex }: Probe["device"]): Ears {
  const socket = openPacketSocket(ifindex, ETHERTYPE_ARP);
  return {
    send: (frame) => socket.send(frame),
    next: () => {
      const frame = socket.receive();
      if (frame === undefined) return "nothing";
      const arp = decodeArp(frame);
      return arp.ok ? { address: arp.value.senderAddress, mac: arp.value.senderMac } : undefined;
    },
    close: () => socket.close(),
  };
}

function listenNdp({ name, ifindex }: Probe["device"]): Ears {
  const ears = openIcmpv6Socket(name, [NEIGHBOR_ADVERTISEMENT], []);
  const mouth = openPacketSocket(ifindex);
  return {
    send: (frame) => mouth.send(frame),
    next: () => {
      const heard = ears.receive();
      if (heard === undefined) return "nothing";
      const said = readAdvertisement(heard.bytes, heard.source);
      return said === undefined ? undefined : { address: said.target, mac: said.mac };
    },
    close: () => {
      ears.close();
      mouth.close();
    },
  };
}

/** Devices come and go while they are asked. */
function tryDevice<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
