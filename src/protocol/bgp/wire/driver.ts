/**
 * One TCP connection with a peer: messages in, messages out. Knows how bytes and sockets behave, nothing of sessions.
 *
 * Nothing is kept for a peer that sends: a chunk is handled before the next is read. Nothing more is made for a peer that
 * does not read: whoever sends routes asks `backlog` first, and the session's send hold timer ends it.
 */
import { Socket } from "node:net";
import { openTcpSocket, setMd5Key, setTcpOptions, type TcpSocketOptions } from "../../../kernel/tcp-socket.ts";
import { formatAddress, parseAddress, type Address } from "../../../net/address.ts";
import { hostPrefix } from "../../../net/prefix.ts";
import type { SessionContext } from "../context.ts";
import { INITIAL_CONTEXT } from "../context.ts";
import { Framer, type Framed } from "../framer.ts";
import { encodeMessage, type Message } from "../message.ts";
import type { Notification } from "../notification.ts";
import type { Direction } from "../traffic.ts";

export interface WireHandlers {
  /** What goes out and what came in, before anything else is made of it. */
  onBytes?(direction: Direction, bytes: Uint8Array): void;
  /** TCP is there. Not called for a connection that was accepted. */
  onConnected(): void;
  onFramed(framed: Framed): void;
  /** Not called after `close`. */
  onClosed(reason: string): void;
  /** Some of what was sent lies in our buffer. */
  onBlocked(): void;
  onTaken(drained: boolean): void;
}

export interface Endpoint {
  readonly address: Address;
  /** Of a link-local address. */
  readonly device?: string;
  readonly port: number;
}

export interface Wire {
  readonly local: Endpoint | undefined;
  readonly remote: Endpoint | undefined;
  /** Bytes that wait in our buffer. */
  readonly backlog: number;
  /** The socket is no more. */
  readonly gone: boolean;
  /** For the messages that come after the one that is being handled. */
  setContext(context: SessionContext): void;
  /** Signs with another TCP MD5 key from now on. What the peer does not accept is lost, and sent again by TCP. */
  setKey(password: string): void;
  send(message: Message): void;
  sendBytes(bytes: Uint8Array): void;
  /** Sends what waits, the notification and FIN, and lets go of the socket soon after; `abort`: at once. */
  close(ending: { readonly notification?: Notification; readonly abort?: boolean }): void;
}

export interface DialOptions extends Omit<TcpSocketOptions, "family"> {
  readonly to: Endpoint;
  readonly password?: string;
}

/** So many messages in one chunk are no conversation. */
const FLOOD_MESSAGES = 100;
/** A reset could destroy the NOTIFICATION in the peer's queue: what it still sends is read and thrown away for so long. */
const LINGER_MILLISECONDS = 1000;

/** What cannot even be tried ends in `onClosed`, later, like what fails. */
export function dialWire({ to, password, ...options }: DialOptions, handlers: WireHandlers): Wire {
  try {
    const { family } = to.address;
    const fd = openTcpSocket({ ...options, family });
    // From here on the socket closes it.
    const socket = new Socket({ fd, readable: true, writable: true });
    socket.pause();
    const wire = new SocketWire(socket, handlers, to.address);
    if (password !== undefined) setMd5Key(fd, hostPrefix(to.address), password);
    socket.once("connect", () => handlers.onConnected());
    socket.connect({ host: hostOf(to), port: to.port });
    socket.resume();
    return wire;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const timer = setImmediate(() => handlers.onClosed(reason));
    return { ...CLOSED, close: () => clearImmediate(timer) };
  }
}

/** A connection that a listener accepted, with what is wanted of this peer's beyond the listener's own. */
export function adoptWire(
  socket: Socket,
  options: Pick<TcpSocketOptions, "ttlMin" | "userTimeoutMilliseconds">,
  handlers: WireHandlers,
): Wire {
  const wire = new SocketWire(socket, handlers, endpoint(socket.remoteAddress, socket.remotePort)?.address);
  try {
    setTcpOptions(descriptorOf(socket), { ...options, family: socket.remoteFamily === "IPv6" ? "IPv6" : "IPv4" });
  } catch (error) {
    // Not without what was asked for: it may be the peer's TTL.
    socket.destroy(error instanceof Error ? error : new Error(String(error)));
  }
  socket.resume();
  return wire;
}

/** Node.js tells nobody, but has it. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error("Cannot set options of a connection: it is gone");
  return handle.fd;
}

const CLOSED: Omit<Wire, "close"> = {
  local: undefined,
  remote: undefined,
  backlog: 0,
  gone: true,
  setContext: () => {},
  setKey: () => {},
  send: () => {},
  sendBytes: () => {},
};

class SocketWire implements Wire {
  readonly #socket: Socket;
  readonly #handlers: WireHandlers;
  readonly #framer = new Framer();
  /** Whom it was made for: it may not be connected yet. */
  readonly #peer: Address | undefined;
  #context = INITIAL_CONTEXT;
  #closed = false;
  #failure: string | undefined;

  constructor(socket: Socket, handlers: WireHandlers, peer: Address | undefined) {
    this.#peer = peer;
    this.#socket = socket;
    this.#handlers = handlers;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("end", () => this.#over("the peer closed the connection"));
    socket.on("error", (error) => {
      this.#failure = error.message;
    });
    socket.on("close", () => this.#over(this.#failure ?? "the connection was closed"));
  }

  get local(): Endpoint | undefined {
    return endpoint(this.#socket.localAddress, this.#socket.localPort);
  }

  get remote(): Endpoint | undefined {
    return endpoint(this.#socket.remoteAddress, this.#socket.remotePort);
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  get gone(): boolean {
    return this.#socket.destroyed;
  }

  setContext(context: SessionContext): void {
    this.#context = context;
    this.#framer.context = context;
  }

  setKey(password: string): void {
    if (this.#closed || this.#peer === undefined) return;
    try {
      setMd5Key(descriptorOf(this.#socket), hostPrefix(this.#peer), password);
    } catch (error) {
      this.#over(error instanceof Error ? error.message : String(error));
    }
  }

  send(message: Message): void {
    this.sendBytes(encodeMessage(message, this.#context));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#handlers.onBytes?.("sent", bytes);
    this.#socket.write(bytes, () => {
      if (!this.#closed) this.#handlers.onTaken(this.#socket.writableLength === 0);
    });
    if (this.#socket.writableLength > 0) this.#handlers.onBlocked();
  }

  close({ notification, abort = false }: Parameters<Wire["close"]>[0]): void {
    if (this.#closed) return;
    this.#closed = true;
    const socket = this.#socket;
    if (abort || socket.connecting) {
      socket.destroy();
      return;
    }
    if (notification !== undefined) {
      const bytes = encodeMessage(notification, this.#context);
      this.#handlers.onBytes?.("sent", bytes);
      socket.write(bytes);
    }
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS);
    socket.once("close", () => clearTimeout(timer));
  }

  #read(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#handlers.onBytes?.("received", chunk);
    let count = 0;
    for (const framed of this.#framer.push(chunk)) {
      this.#handlers.onFramed(framed);
      if (this.#closed) return;
      count += 1;
    }
    if (count < FLOOD_MESSAGES) return;
    // A flood waits after every chunk until everybody else has had a turn.
    this.#socket.pause();
    setImmediate(() => this.#socket.resume());
  }

  #over(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#handlers.onClosed(reason);
  }
}

function hostOf({ address, device }: Endpoint): string {
  return device === undefined ? formatAddress(address) : `${formatAddress(address)}%${device}`;
}

/** Node writes link-local addresses as `fe80::1%eth0`. */
function endpoint(text: string | undefined, port: number | undefined): Endpoint | undefined {
  if (text === undefined || port === undefined) return undefined;
  const [bare = "", device] = text.split("%");
  const address = parseAddress(bare);
  if (address === undefined) return undefined;
  return { address, port, ...(device === undefined ? {} : { device }) };
}
