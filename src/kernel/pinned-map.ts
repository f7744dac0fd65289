/**
 * Whether a pinned map still looks as an object expects: its sizes and the layout of every field of its key and value, as the
 * kernel's BTF of the map and the object's own BTF tell. Same sizes with fields moved about would be the worst kind of mistake.
 */
import { parseBtf, resolveType, type Btf } from "./btf.ts";
import { SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import { hasLayout, markLayout } from "./layout-marks.ts";
import { close } from "./libc.ts";
import { readMapInfo, type MapInfo, type MapShape } from "./map.ts";
import { btfBytes } from "./read-btf.ts";

export interface ExpectedMap {
  readonly shape: MapShape;
  /** Type ids in the object's BTF; 0: not declared. */
  readonly types: { readonly key: number; readonly value: number };
}

/** One line a difference. */
export function pinnedMapDifferences(pin: string, expected: ExpectedMap, btf: Btf): string[] {
  const fd = libbpf.bpf_obj_get(pin);
  if (fd < 0)
    throw new SystemError({ call: "bpf_obj_get", errno: fd, subject: pin, attempt: `open the pinned BPF map ${pin}` });
  try {
    const info = readMapInfo(fd, pin);
    return [...shapeDifferences(pin, info, expected.shape), ...layoutDifferences(pin, info, expected, btf)];
  } finally {
    close(fd);
  }
}

const SHAPE_WORDS = {
  type: "type",
  keySize: "key size",
  valueSize: "value size",
  maxEntries: "number of rows",
  flags: "flags",
} as const satisfies Record<keyof MapShape, string>;

function shapeDifferences(pin: string, found: MapShape, expected: MapShape): string[] {
  return (Object.keys(SHAPE_WORDS) as (keyof MapShape)[])
    .filter((key) => found[key] !== expected[key])
    .map((key) => `${pin}: ${SHAPE_WORDS[key]} is ${found[key]}, expected ${expected[key]}`);
}

/** Call it when the map is pinned. */
export function markPinnedMap(pin: string, { types }: Pick<ExpectedMap, "types">, btf: Btf): void {
  if (types.value !== 0) markLayout(pin, layoutText(types, btf));
}

function layoutText({ key, value }: ExpectedMap["types"], btf: Btf): string {
  return JSON.stringify([...layoutOf(btf, key), ...layoutOf(btf, value)]);
}

function layoutDifferences(pin: string, info: MapInfo, { types }: ExpectedMap, btf: Btf): string[] {
  if (info.btfId === 0 || types.value === 0) return [];
  const pointer = libbpf.btf__load_from_kernel_by_id(info.btfId);
  if (pointer === null)
    return hasLayout(pin, layoutText(types, btf))
      ? []
      : [`${pin}: fields lie elsewhere than expected (which, only a program with CAP_SYS_ADMIN can see)`];
  try {
    const found = parseBtf(btfBytes(pointer, pin));
    return [
      ...fieldDifferences(`${pin}: key`, layoutOf(found, info.btfKeyTypeId), layoutOf(btf, types.key)),
      ...fieldDifferences(`${pin}: value`, layoutOf(found, info.btfValueTypeId), layoutOf(btf, types.value)),
    ];
  } finally {
    libbpf.btf__free(pointer);
  }
}

function fieldDifferences(
  what: string,
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
): string[] {
  const names = new Set([...found.keys(), ...expected.keys()]);
  return [...names]
    .filter((name) => found.get(name) !== expected.get(name))
    .map(
      (name) => `${what} field "${name}" is ${found.get(name) ?? "missing"}, expected ${expected.get(name) ?? "none"}`,
    );
}

/** Field path → place and type, e.g. `address.word` → `4 × 4 bytes at 0`. */
function layoutOf(btf: Btf, typeId: number, path = "", at = 0): Map<string, string> {
  const fields = new Map<string, string>();
  const type = resolveType(btf, typeId);
  if (type.kind === "struct" || type.kind === "union") {
    for (const member of type.members) {
      const name = path === "" ? member.name : `${path}.${member.name}`;
      for (const [field, place] of layoutOf(btf, member.typeId, name, at + member.offset)) fields.set(field, place);
    }
  } else if (type.kind === "array") {
    const element = layoutOf(btf, type.elementId, `${path}[]`, 0);
    for (const [field, place] of element) fields.set(field, `${type.count} × (${place}) at ${at}`);
  } else if ("size" in type) {
    fields.set(path, `${type.size} bytes at ${at}`);
  }
  return fields;
}
