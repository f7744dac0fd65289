/**
 * Cuts a stream of bytes into messages. A header is judged as soon as it is there, so that nobody waits for the rest of
 * what cannot be right; after the first error the framer is dead: behind it nothing can be found any more.
 */
import { HEADER_LENGTH, INITIAL_CONTEXT, type SessionContext } from "./context.ts";
import type { BgpError } from "./error.ts";
import { checkHeader, decodeMessage, type Message } from "./message.ts";

/** Messages in order; an error is the last. */
export type Framed =
  | { readonly ok: true; readonly value: Message; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly error: BgpError };

export class Framer {
  /** Chunks not used up yet: joined only when a message is complete, so that many small ones stay cheap. */
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** How many bytes the next decision needs. */
  #wanted = HEADER_LENGTH;
  #context: SessionContext = INITIAL_CONTEXT;
  #dead = false;

  /** From the next message on: set it when both OPENs are known. */
  set context(context: SessionContext) {
    this.#context = context;
  }

  /** Bytes that wait for the rest of their message: less than one message is ever kept. */
  get waiting(): number {
    return this.#length;
  }

  /**
   * One at a time, because the context may change behind an OPEN. Leave the loop to leave the rest unread; what it has
   * not given out yet it gives out the next time.
   */
  *push(chunk: Uint8Array): Generator<Framed, void, void> {
    if (this.#dead) return;
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= this.#wanted) {
      const bytes = this.#join();
      const header = checkHeader(bytes, this.#context);
      if ("code" in header) {
        yield this.#fail(header);
        return;
      }
      this.#wanted = header.length;
      if (this.#length < header.length) return;
      const whole = Uint8Array.from(bytes.subarray(0, header.length));
      this.#keep(bytes.subarray(header.length));
      const message = decodeMessage(whole, this.#context);
      if (!message.ok) {
        yield this.#fail(message.error);
        return;
      }
      yield { ...message, bytes: whole };
    }
  }

  #join(): Uint8Array {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const joined = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [joined];
    return joined;
  }

  #keep(rest: Uint8Array): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
    this.#wanted = HEADER_LENGTH;
  }

  #fail(error: BgpError): Framed {
    this.#die();
    return { ok: false, error };
  }

  #die(): void {
    this.#dead = true;
    this.#chunks = [];
    this.#length = 0;
  }
}
