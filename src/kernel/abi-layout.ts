/**
 * The layouts that TypeScript believes in, compared with those in a compiled object: once when abi.generated.ts is written, and
 * again each time the agent loads an object, which may have been compiled from another abi.h.
 */
import * as generated from "../datapath/abi.generated.ts";
import type { Btf } from "./btf.ts";
import { readObjectBtf } from "./read-btf.ts";

export interface StructLayout {
  readonly size: number;
  /** Field → bytes from the start. */
  readonly offset: Readonly<Record<string, number>>;
}

export type EnumValues = Readonly<Record<string, number>>;

export interface AbiLayouts {
  readonly structs: ReadonlyMap<string, StructLayout>;
  readonly enums: ReadonlyMap<string, EnumValues>;
}

/** What the object lays out otherwise than abi.generated.ts says, one line each; structs it does not contain cannot differ. */
export function abiDifferences(objectPath: string): string[] {
  return layoutDifferences(expectedLayouts(), layoutsOf(readObjectBtf(objectPath)));
}

/** Every named struct and enum of an object. */
export function layoutsOf(btf: Btf): AbiLayouts {
  const structs = new Map<string, StructLayout>();
  const enums = new Map<string, EnumValues>();
  for (const type of btf.types) {
    if (type.kind === "struct" && type.name !== "") {
      structs.set(type.name, {
        size: type.size,
        offset: Object.fromEntries(type.members.map(({ name, offset }) => [name, offset])),
      });
    } else if (type.kind === "enum" && type.name !== "") {
      enums.set(type.name, Object.fromEntries([...type.values].map(([name, value]) => [name, Number(value)])));
    }
  }
  return { structs, enums };
}

export function layoutDifferences(expected: AbiLayouts, found: AbiLayouts): string[] {
  const differences: string[] = [];
  for (const [name, layout] of expected.structs) {
    const other = found.structs.get(name);
    if (other === undefined) continue;
    if (other.size !== layout.size) differences.push(`struct ${name} has ${other.size} bytes, expected ${layout.size}`);
    differences.push(...numberDifferences(`struct ${name}: offset of`, layout.offset, other.offset));
  }
  for (const [name, values] of expected.enums) {
    const other = found.enums.get(name);
    if (other !== undefined) differences.push(...numberDifferences(`enum ${name}:`, values, other));
  }
  return differences;
}

function numberDifferences(
  what: string,
  expected: Readonly<Record<string, number>>,
  found: Readonly<Record<string, number>>,
): string[] {
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  return [...names]
    .filter((name) => expected[name] !== found[name])
    .map((name) => `${what} ${name} is ${found[name] ?? "missing"}, expected ${expected[name] ?? "none"}`);
}

function expectedLayouts(): AbiLayouts {
  const structs = new Map<string, StructLayout>();
  const enums = new Map<string, EnumValues>();
  for (const [name, value] of Object.entries<number | StructLayout | EnumValues>(generated)) {
    if (typeof value === "number") continue;
    if (isStruct(value)) structs.set(name, value);
    else enums.set(name, value);
  }
  return { structs, enums };
}

function isStruct(value: StructLayout | EnumValues): value is StructLayout {
  return "offset" in value && typeof value.offset === "object";
}
