/**
 * BTF (https://docs.kernel.org/bpf/btf.html): the types that clang leaves in a BPF object, read as far as layouts and constants
 * go: structs with offsets, enums, and where variables lie in their sections. Functions, tags and declarations are skipped.
 */

export interface Member {
  readonly name: string;
  readonly typeId: number;
  /** Bytes from the start of the struct. */
  readonly offset: number;
}

export type BtfType =
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly members: readonly Member[];
    }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly size: number;
      readonly values: ReadonlyMap<string, number | bigint>;
    }
  | { readonly kind: "integer" | "float"; readonly name: string; readonly size: number }
  | { readonly kind: "array"; readonly elementId: number; readonly count: number }
  | { readonly kind: "pointer" }
  | { readonly kind: "alias"; readonly name: string; readonly typeId: number }
  | { readonly kind: "section"; readonly name: string; readonly variables: readonly Variable[] }
  | { readonly kind: "other"; readonly name: string };

export interface Variable {
  readonly typeId: number;
  readonly offset: number;
  readonly size: number;
}

export interface Btf {
  /** Index = type id; 0 is void. */
  readonly types: readonly BtfType[];
}

const MAGIC = 0xeb9f;
const KIND = {
  integer: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** Parses the contents of a .BTF section. Throws on what clang or the kernel cannot have written. */
export function parseBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0, true) !== MAGIC)
    throw new Error("Cannot read BTF: it does not start with the magic number 0xeb9f");
  const header = view.getUint32(4, true);
  const typesAt = header + view.getUint32(8, true);
  const typesEnd = typesAt + view.getUint32(12, true);
  const text = stringReader(bytes, header + view.getUint32(16, true));
  const types: BtfType[] = [{ kind: "other", name: "void" }];
  for (let at = typesAt; at < typesEnd;) {
    const { type, length } = readType(view, at, text);
    types.push(type);
    at += length;
  }
  return { types };
}

/** Follows typedefs, const and volatile to the type that has a layout. */
export function resolveType(btf: Btf, id: number): Exclude<BtfType, { kind: "alias" }> {
  const type = btf.types[id];
  if (type === undefined) throw new Error(`Cannot read BTF: there is no type ${id}`);
  return type.kind === "alias" ? resolveType(btf, type.typeId) : type;
}

/** Where a global variable lies in its section (`.rodata`, `.bss`, …). */
export function findVariable(btf: Btf, section: string, name: string): Variable | undefined {
  const found = btf.types.find((type) => type.kind === "section" && type.name === section);
  if (found?.kind !== "section") return undefined;
  return found.variables.find(({ typeId }) => {
    const variable = btf.types[typeId];
    return variable?.kind === "alias" && variable.name === name;
  });
}

type Text = (offset: number) => string;

function readType(view: DataView, at: number, text: Text): { readonly type: BtfType; readonly length: number } {
  const name = text(view.getUint32(at, true));
  const info = view.getUint32(at + 4, true);
  const count = info & 0xffff;
  const flag = info >>> 31 === 1;
  const sizeOrType = view.getUint32(at + 8, true);
  const body = at + 12;
  switch ((info >>> 24) & 0x1f) {
    case KIND.integer:
      return { type: { kind: "integer", name, size: sizeOrType }, length: 16 };
    case KIND.float:
      return { type: { kind: "float", name, size: sizeOrType }, length: 12 };
    case KIND.pointer:
      return { type: { kind: "pointer" }, length: 12 };
    case KIND.array:
      return {
        type: { kind: "array", elementId: view.getUint32(body, true), count: view.getUint32(body + 8, true) },
        length: 24,
      };
    case KIND.struct:
      return {
        type: { kind: "struct", name, size: sizeOrType, members: readMembers(view, body, count, flag, text) },
        length: 12 + count * 12,
      };
    case KIND.union:
      return {
        type: { kind: "union", name, size: sizeOrType, members: readMembers(view, body, count, flag, text) },
        length: 12 + count * 12,
      };
    case KIND.enum:
      return {
        type: { kind: "enum", name, size: sizeOrType, values: readValues(view, body, count, flag, 8, text) },
        length: 12 + count * 8,
      };
    case KIND.enum64:
      return {
        type: { kind: "enum", name, size: sizeOrType, values: readValues(view, body, count, flag, 12, text) },
        length: 12 + count * 12,
      };
    case KIND.typedef:
    case KIND.volatile:
    case KIND.const:
    case KIND.restrict:
    case KIND.typeTag:
      return { type: { kind: "alias", name, typeId: sizeOrType }, length: 12 };
    case KIND.variable:
      return { type: { kind: "alias", name, typeId: sizeOrType }, length: 16 };
    case KIND.section:
      return { type: { kind: "section", name, variables: readVariables(view, body, count) }, length: 12 + count * 12 };
    case KIND.prototype:
      return { type: { kind: "other", name }, length: 12 + count * 8 };
    case KIND.declTag:
      return { type: { kind: "other", name }, length: 16 };
    case KIND.forward:
    case KIND.function:
      return { type: { kind: "other", name }, length: 12 };
    default:
      throw new Error(`Cannot read BTF: unknown kind ${(info >>> 24) & 0x1f} at byte ${at}`);
  }
}

function readMembers(view: DataView, at: number, count: number, bitfields: boolean, text: Text): Member[] {
  return Array.from({ length: count }, (_, i) => {
    const row = at + i * 12;
    const bits = view.getUint32(row + 8, true) & (bitfields ? 0xff_ffff : 0xffff_ffff);
    return { name: text(view.getUint32(row, true)), typeId: view.getUint32(row + 4, true), offset: bits >>> 3 };
  });
}

function readValues(
  view: DataView,
  at: number,
  count: number,
  signed: boolean,
  stride: 8 | 12,
  text: Text,
): Map<string, number | bigint> {
  const values = new Map<string, number | bigint>();
  for (let row = at; row < at + count * stride; row += stride) {
    const name = text(view.getUint32(row, true));
    if (stride === 12) values.set(name, signed ? view.getBigInt64(row + 4, true) : view.getBigUint64(row + 4, true));
    else values.set(name, signed ? view.getInt32(row + 4, true) : view.getUint32(row + 4, true));
  }
  return values;
}

function readVariables(view: DataView, at: number, count: number): Variable[] {
  return Array.from({ length: count }, (_, i) => ({
    typeId: view.getUint32(at + i * 12, true),
    offset: view.getUint32(at + i * 12 + 4, true),
    size: view.getUint32(at + i * 12 + 8, true),
  }));
}

function stringReader(bytes: Uint8Array, start: number): Text {
  const decoder = new TextDecoder();
  return (offset) => {
    const from = start + offset;
    return decoder.decode(bytes.subarray(from, bytes.indexOf(0, from)));
  };
}
