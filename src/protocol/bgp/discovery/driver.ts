/**
 * Finds the unnumbered peer of a device: whoever advertises itself there as a router, by its link-local address, and makes us findable
 * the same way (FRR does not start before it has heard us). Advertisements of ours offer no default route.
 */
import { networkInterfaces } from "node:os";
import { openIcmpv6Socket, type Icmpv6Socket } from "../../../kernel/icmpv6-socket.ts";
import { address, formatAddress, type Address } from "../../../net/address.ts";
import {
  decodeRouterAdvertisement,
  encodeRouterAdvertisement,
  ROUTER_ADVERTISEMENT,
  ROUTER_SOLICITATION,
} from "../../ndp/router.ts";
import { isLinkLocal } from "../next-hops.ts";

export interface Discovery {
  readonly device: string;
  /** Why nobody can be found; `undefined`: nothing is wrong. */
  readonly problem: string | undefined;
  close(): void;
}

const ALL_NODES = address("ff02::1");
const ALL_ROUTERS = address("ff02::2");
/** A peer that has just started waits for the next one. Also how often a device that was not there is looked for. */
const ADVERTISE_MILLISECONDS = 2000;
/** One solicitation after the other cannot make us advertise more often (RFC 4861 §6.2.6 has 3 s, for whole segments). */
const ANSWER_MILLISECONDS = 500;
/** Messages looked at in a row: a flood waits. */
const MESSAGES_MAX = 32;

export function startDiscovery(device: string, onRouter: (router: Address) => void): Discovery {
  return new DeviceDiscovery(device, onRouter);
}

class DeviceDiscovery implements Discovery {
  readonly device: string;
  readonly #onRouter: (router: Address) => void;
  readonly #timer: NodeJS.Timeout;
  #socket: Icmpv6Socket | undefined;
  #advertisedAt = -Infinity;
  #router = "";
  problem: string | undefined;

  constructor(device: string, onRouter: (router: Address) => void) {
    this.device = device;
    this.#onRouter = onRouter;
    this.#timer = setInterval(() => this.#advertise(), ADVERTISE_MILLISECONDS);
    this.#advertise();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket?.close();
  }

  /** `undefined`: the device is not there, or not usable. */
  #open(): Icmpv6Socket | undefined {
    if (this.#socket !== undefined) return this.#socket;
    try {
      const socket = openIcmpv6Socket(this.device, [ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION], [ALL_ROUTERS]);
      socket.onReadable(() => this.#receive(socket));
      this.#socket = socket;
      this.problem = undefined;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    return this.#socket;
  }

  #receive(socket: Icmpv6Socket): void {
    for (let count = 0; count < MESSAGES_MAX; count += 1) {
      const message = socket.receive();
      if (message === undefined) return;
      const { bytes, source } = message;
      if (bytes[0] === ROUTER_SOLICITATION) this.#asked();
      // RFC 4861 §6.1.2: routers speak from their link-local address.
      else if (isLinkLocal(source) && decodeRouterAdvertisement(bytes).ok) this.#found(source);
    }
  }

  #asked(): void {
    if (performance.now() - this.#advertisedAt >= ANSWER_MILLISECONDS) this.#advertise();
  }

  #found(router: Address): void {
    const name = formatAddress(router);
    if (name === this.#router) return;
    this.#router = name;
    this.#onRouter(router);
  }

  #advertise(): void {
    const socket = this.#open();
    if (socket === undefined) return;
    this.#advertisedAt = performance.now();
    if (socket.send(encodeRouterAdvertisement(this.#mac()), ALL_NODES) === 0) return;
    // The device went away, or its number changed: the next time opens it anew.
    socket.close();
    this.#socket = undefined;
  }

  #mac(): Uint8Array {
    const text = networkInterfaces()[this.device]?.[0]?.mac ?? "";
    return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
  }
}
