/** Reads fields from packets, network order. A reader that ran past the end says so once, at the end of the codec. */

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;
  #ranOut = false;

  constructor(bytes: Uint8Array) {
    // A Buffer's slice() would be no copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A field lay beyond the end. From then on every number reads as 0 and every piece as empty. */
  get ranOut(): boolean {
    return this.#ranOut;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(): number {
    return this.#skip(1) ? this.#view.getUint8(this.#position - 1) : 0;
  }

  u16(): number {
    return this.#skip(2) ? this.#view.getUint16(this.#position - 2) : 0;
  }

  u32(): number {
    return this.#skip(4) ? this.#view.getUint32(this.#position - 4) : 0;
  }

  u64(): bigint {
    return this.#skip(8) ? this.#view.getBigUint64(this.#position - 8) : 0n;
  }

  /** The next bytes, as a copy: packet buffers are used again. */
  take(length: number): Uint8Array {
    return this.#skip(length) ? this.#bytes.slice(this.#position - length, this.#position) : new Uint8Array(0);
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  #skip(length: number): boolean {
    if (this.#ranOut || length > this.remaining) {
      this.#ranOut = true;
      return false;
    }
    this.#position += length;
    return true;
  }
}
