/** Sends gratuitous ARP and unsolicited neighbor advertisements on this node's devices, at the cadence of machine.ts. */
import { formatAddress } from "../../net/address.ts";
import { gratuitousArp } from "../../protocol/arp/packet.ts";
import { unsolicitedAdvertisement } from "../../protocol/ndp/packet.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import { deadline, INITIAL_STATE, step, type Event, type Place } from "./machine.ts";

export type { Place };

export interface PacketSocket {
  send(frame: Uint8Array): void;
  close(): void;
}

export interface GratuitousOptions {
  /** Opens a socket that sends Ethernet frames on a device. May throw, as may its `send`: the device may just be gone. */
  readonly openSocket: (ifindex: number) => PacketSocket;
  /** A frame was not sent, in words; the next repetition tries again. */
  readonly onProblem: (message: string, cause: unknown) => void;
  readonly clock?: Clock;
}

export interface Gratuitous {
  /**
   * Everything this node announces from now on, as addresses on devices. What is new is announced at once and repeated. Places that are the
   * very same as last time cost next to nothing.
   */
  set(places: readonly Place[]): void;
  /** Announces everything anew: others may have done so for the same addresses meanwhile. */
  again(): void;
  /** Frames sent since the start. */
  sent(): number;
  close(): void;
}

export function startGratuitous(options: GratuitousOptions): Gratuitous {
  const clock = options.clock ?? systemClock;
  const sockets = new Map<number, PacketSocket>();
  let state = INITIAL_STATE;
  let places: ReadonlySet<Place> = new Set();
  let sent = 0;
  let cancel = (): void => {};

  const handle = (event: Event): void => {
    const [next, dues] = step(state, event, clock.now());
    state = next;
    for (const place of dues) announce(place);
    cancel();
    const wakeAt = deadline(state);
    cancel = wakeAt === undefined ? (): void => {} : clock.at(wakeAt, () => handle({ type: "clock" }));
  };

  const announce = ({ address, ifindex, mac }: Place): void => {
    const frames = address.family === "IPv4" ? gratuitousArp(address, mac) : [unsolicitedAdvertisement(address, mac)];
    try {
      const socket = sockets.get(ifindex) ?? options.openSocket(ifindex);
      sockets.set(ifindex, socket);
      for (const frame of frames) {
        socket.send(frame);
        sent += 1;
      }
    } catch (cause) {
      options.onProblem(`Cannot announce ${formatAddress(address)} on device ${ifindex}`, cause);
      closeSocket(ifindex);
    }
  };

  /** Also after a failure: a device that comes back has the old index only in name. */
  const closeSocket = (ifindex: number): void => {
    sockets.get(ifindex)?.close();
    sockets.delete(ifindex);
  };

  return {
    set: (list) => {
      const now = new Set(list);
      const used = new Set(list.map(({ ifindex }) => ifindex));
      for (const ifindex of sockets.keys()) if (!used.has(ifindex)) closeSocket(ifindex);
      handle({ type: "changes", left: [...places.difference(now)], joined: [...now.difference(places)] });
      places = now;
    },
    again: () => handle({ type: "again" }),
    sent: () => sent,
    close: () => {
      cancel();
      for (const ifindex of [...sockets.keys()]) closeSocket(ifindex);
    },
  };
}
