/** Writes fields into packets, network order. The length is known beforehand: codecs of ours build whole packets. */

export class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#advance(1), checked(value, 0xff));
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), checked(value, 0xffff));
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), checked(value, 0xffff_ffff));
    return this;
  }

  u64(value: bigint): this {
    if (BigInt.asUintN(64, value) !== value)
      throw new RangeError(`Cannot write ${value} as an unsigned number of 8 bytes`);
    this.#view.setBigUint64(this.#advance(8), value);
    return this;
  }

  /** With a `length`, throws on bytes that are not so many: two wrong fields could make one right packet. */
  bytes(bytes: Uint8Array, length: number = bytes.length): this {
    if (bytes.length !== length) throw new RangeError(`Cannot write ${bytes.length} bytes into a field of ${length}`);
    this.#bytes.set(bytes, this.#advance(bytes.length));
    return this;
  }

  /** The packet. Throws when it is not as long as announced: a field was forgotten. */
  finish(): Uint8Array {
    if (this.#position !== this.#bytes.length)
      throw new RangeError(`Wrote ${this.#position} of ${this.#bytes.length} bytes of a packet`);
    return this.#bytes;
  }

  #advance(length: number): number {
    const at = this.#position;
    if (at + length > this.#bytes.length)
      throw new RangeError(`Cannot write ${length} bytes at ${at} of a packet of ${this.#bytes.length} bytes`);
    this.#position += length;
    return at;
  }
}

function checked(value: number, largest: number): number {
  if (!Number.isInteger(value) || value < 0 || value > largest)
    throw new RangeError(`Cannot write ${value} as a number from 0 to ${largest}`);
  return value;
}
