/**
 * Loads a compiled BPF object: sets its constants and map sizes, joins maps through their pins or those of another loaded object, and hands
 * out programs and maps by name. A pinned map that does not look as the object expects is refused before anything is loaded.
 */
import koffi from "koffi";
import { existsSync, mkdirSync } from "node:fs";
import { findVariable, parseBtf, type Btf } from "./btf.ts";
import { SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import { lastErrno } from "./libc.ts";
import { BpfMap, type MapShape } from "./map.ts";
import { collectMessages } from "./messages.ts";
import { markPinnedMap, pinnedMapDifferences } from "./pinned-map.ts";
import { btfBytes } from "./read-btf.ts";
import { summarizeVerifierLog } from "./verifier-log.ts";

export interface LoadOptions {
  /** File of the object. */
  readonly path: string;
  /** Directory in bpffs for maps that declare LIBBPF_PIN_BY_NAME. Absent: nothing is pinned. */
  readonly pinRoot?: string;
  /** Maps that declare to be pinned are taken from this object instead, where it has them. */
  readonly shareWith?: LoadedObject;
  /** Values of `const volatile` globals. */
  readonly rodata?: Readonly<Record<string, number | bigint>>;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Load only these programs. */
  readonly programs?: readonly string[];
}

export interface BpfProgram {
  readonly name: string;
  readonly fd: number;
  /** BPF_PROG_TYPE_*: 3 sched_cls, 6 XDP. */
  readonly type: number;
}

export interface LoadedObject extends Disposable {
  readonly path: string;
  readonly programs: readonly BpfProgram[];
  readonly maps: readonly BpfMap[];
  /** Throws when there is none of this name: that is our own mistake. */
  program(name: string): BpfProgram;
  map(name: string): BpfMap;
  /** Lets go of programs and maps; what is pinned or attached by a pinned link stays in the kernel. */
  close(): void;
}

const LOG_BYTES = 4 << 20;

/** Throws {@link SystemError} with what libbpf and the verifier said, or {@link IncompatibleMapsError}. Main thread only. */
export function loadObject(options: LoadOptions): LoadedObject {
  if (options.pinRoot !== undefined) mkdirSync(options.pinRoot, { recursive: true });
  const log = koffi.alloc("char", LOG_BYTES) as bigint;
  try {
    koffi.encode(log, "char", 0);
    const { result: object, messages } = collectMessages(() => openObject(options, log));
    if (object === null) throw loadError("bpf_object__open_file", lastErrno(), options.path, messages, "");
    try {
      return prepareAndLoad(object, options, log);
    } catch (error) {
      libbpf.bpf_object__close(object);
      throw error;
    }
  } finally {
    koffi.free(log);
  }
}

function openObject({ path, pinRoot }: LoadOptions, log: bigint): libbpf.Pointer | null {
  return libbpf.bpf_object__open_file(path, {
    sz: libbpf.OPEN_OPTIONS_SIZE,
    pin_root_path: pinRoot ?? null,
    kernel_log_buf: log,
    kernel_log_size: LOG_BYTES,
  });
}

function prepareAndLoad(object: libbpf.Pointer, options: LoadOptions, log: bigint): LoadedObject {
  const btf = parseBtf(btfBytes(libbpf.bpf_object__btf(object), options.path));
  const maps = listPointers(object, libbpf.bpf_object__next_map);
  const programs = listPointers(object, libbpf.bpf_object__next_program);
  setConstants(maps, btf, options);
  setMaxEntries(maps, options);
  const fresh = joinMaps(maps, btf, options);
  choosePrograms(programs, options);
  const { result, messages } = collectMessages(() => libbpf.bpf_object__load(object));
  if (result < 0) throw loadError("bpf_object__load", -result, options.path, messages, koffi.decode.string(log));
  for (const map of fresh) markPinnedMap(map.pin, map, btf);
  return loadedObject(object, options, programs, maps);
}

function loadedObject(
  object: libbpf.Pointer,
  options: LoadOptions,
  programs: readonly libbpf.Pointer[],
  maps: readonly libbpf.Pointer[],
): LoadedObject {
  const loadedPrograms = programs
    .map((pointer) => ({
      name: libbpf.bpf_program__name(pointer),
      fd: libbpf.bpf_program__fd(pointer),
      type: libbpf.bpf_program__type(pointer),
    }))
    .filter(({ fd }) => fd >= 0);
  const loadedMaps = maps
    .filter((pointer) => !libbpf.bpf_map__is_internal(pointer))
    .map(
      (pointer) =>
        new BpfMap(libbpf.bpf_map__name(pointer), libbpf.bpf_map__fd(pointer), mapShape(pointer), "borrowed"),
    );
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    for (const map of loadedMaps) map.close();
    libbpf.bpf_object__close(object);
  };
  return {
    path: options.path,
    programs: loadedPrograms,
    maps: loadedMaps,
    program: (name) => named(loadedPrograms, name, "program", options.path),
    map: (name) => named(loadedMaps, name, "map", options.path),
    close,
    [Symbol.dispose]: close,
  };
}

function setConstants(maps: readonly libbpf.Pointer[], btf: Btf, { rodata = {}, path }: LoadOptions): void {
  const section = maps.find((map) => libbpf.bpf_map__name(map).endsWith(".rodata"));
  for (const [name, value] of Object.entries(rodata)) {
    const variable = findVariable(btf, ".rodata", name);
    const memory = section === undefined ? null : libbpf.bpf_map__initial_value(section, new BigUint64Array(1));
    if (variable === undefined || memory === null) throw new Error(`${path} has no constant "${name}"`);
    const bits = variable.size * 8;
    if (![8, 16, 32, 64].includes(bits))
      throw new Error(`${path}: constant "${name}" has ${variable.size} bytes; only 1, 2, 4 and 8 can be set`);
    if (BigInt.asUintN(bits, BigInt(value)) !== BigInt(value))
      throw new RangeError(`Constant "${name}" of ${path} has ${bits} bits; ${value} does not fit`);
    koffi.encode(memory, variable.offset, `uint${bits}_t`, value);
  }
}

function setMaxEntries(maps: readonly libbpf.Pointer[], { maxEntries = {}, path }: LoadOptions): void {
  for (const [name, count] of Object.entries(maxEntries)) {
    const map = maps.find((pointer) => libbpf.bpf_map__name(pointer) === name);
    if (map === undefined) throw new Error(`${path} has no map "${name}"`);
    const result = libbpf.bpf_map__set_max_entries(map, count);
    if (result < 0)
      throw new SystemError({
        call: "bpf_map__set_max_entries",
        errno: result,
        subject: name,
        attempt: `give BPF map "${name}" room for ${count} rows`,
      });
  }
}

/** A pin that differs in anything would be read wrongly by one side: all differences of all maps are reported at once. */
export class IncompatibleMapsError extends Error {
  override readonly name = "IncompatibleMapsError";
  readonly differences: readonly string[];

  constructor(path: string, differences: readonly string[]) {
    super(
      `Cannot load ${path}: pinned maps differ from what it expects:\n${differences.map((line) => `  ${line}`).join("\n")}`,
    );
    this.differences = differences;
  }
}

interface FreshMap {
  readonly pin: string;
  readonly types: ReturnType<typeof typesOf>;
}

/** Those that will be pinned for the first time. */
function joinMaps(
  maps: readonly libbpf.Pointer[],
  btf: Btf,
  { path, pinRoot, shareWith }: LoadOptions,
): readonly FreshMap[] {
  const differences: string[] = [];
  const fresh: FreshMap[] = [];
  for (const map of maps) {
    const pin = libbpf.bpf_map__pin_path(map);
    if (pin === null) continue;
    const name = libbpf.bpf_map__name(map);
    const shared = shareWith?.maps.find((other) => other.name === name);
    const types = typesOf(map);
    if (shared !== undefined) libbpf.bpf_map__reuse_fd(map, shared.fd);
    else if (pinRoot !== undefined && existsSync(pin))
      differences.push(...pinnedMapDifferences(pin, { shape: mapShape(map), types }, btf));
    else if (pinRoot !== undefined) fresh.push({ pin, types });
    if (pinRoot === undefined) libbpf.bpf_map__set_pin_path(map, null);
  }
  if (differences.length > 0) throw new IncompatibleMapsError(path, differences);
  return fresh;
}

function typesOf(map: libbpf.Pointer): { readonly key: number; readonly value: number } {
  return { key: libbpf.bpf_map__btf_key_type_id(map), value: libbpf.bpf_map__btf_value_type_id(map) };
}

function choosePrograms(programs: readonly libbpf.Pointer[], { programs: chosen, path }: LoadOptions): void {
  if (chosen === undefined) return;
  const names = programs.map((program) => libbpf.bpf_program__name(program));
  const missing = chosen.find((name) => !names.includes(name));
  if (missing !== undefined) throw new Error(`${path} has no program "${missing}"`);
  programs.forEach((program, i) => libbpf.bpf_program__set_autoload(program, chosen.includes(names[i] ?? "")));
}

function mapShape(map: libbpf.Pointer): MapShape {
  return {
    type: libbpf.bpf_map__type(map),
    keySize: libbpf.bpf_map__key_size(map),
    valueSize: libbpf.bpf_map__value_size(map),
    maxEntries: libbpf.bpf_map__max_entries(map),
    flags: libbpf.bpf_map__map_flags(map),
  };
}

function listPointers(
  object: libbpf.Pointer,
  next: (object: libbpf.Pointer, previous: libbpf.Pointer | null) => libbpf.Pointer | null,
): libbpf.Pointer[] {
  const list: libbpf.Pointer[] = [];
  for (let pointer = next(object, null); pointer !== null; pointer = next(object, pointer)) list.push(pointer);
  return list;
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string, what: string, path: string): T {
  const found = list.find((one) => one.name === name);
  if (found === undefined)
    throw new Error(`${path} has no ${what} "${name}"; it has ${list.map((one) => one.name).join(", ")}`);
  return found;
}

function loadError(call: string, errno: number, path: string, messages: readonly string[], log: string): SystemError {
  const detail = [...messages, summarizeVerifierLog(log)].filter((text) => text !== "").join("\n");
  return new SystemError({
    call,
    errno,
    subject: path,
    attempt: `load BPF object ${path}`,
    ...(detail === "" ? {} : { detail }),
  });
}
