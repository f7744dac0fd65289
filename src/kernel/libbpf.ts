/**
 * The part of libbpf 1.x that Fairlead uses, through koffi. Raw: koffi checks argument types, the modules beside this one
 * check lengths and turn results into values or errors. `int` results are -errno on failure; pointers are 0n (null) with errno set.
 */
import koffi from "koffi";

export type Pointer = bigint;

const lib = loadLibrary();

function loadLibrary(): ReturnType<typeof koffi.load> {
  try {
    return koffi.load("libbpf.so.1");
  } catch (error) {
    throw new Error("Cannot load libbpf.so.1: install the package libbpf1 (Debian) or libbpf of version 1.x", {
      cause: error,
    });
  }
}

// ---- Objects -------------------------------------------------------------------------------------------------

const openOptions = koffi.struct("fl_bpf_object_open_opts", {
  sz: "size_t",
  object_name: "const char *",
  relaxed_maps: "bool",
  pin_root_path: "const char *",
  attach_prog_fd: "uint32_t",
  kconfig: "const char *",
  btf_custom_path: "const char *",
  kernel_log_buf: "void *",
  kernel_log_size: "size_t",
  kernel_log_level: "uint32_t",
});

export interface OpenOptions {
  readonly sz: number;
  readonly pin_root_path: string | null;
  readonly kernel_log_buf: Pointer | null;
  readonly kernel_log_size: number;
}

export const OPEN_OPTIONS_SIZE = koffi.sizeof(openOptions);

export const bpf_object__open_file: (path: string, options: Partial<OpenOptions>) => Pointer | null = lib.func(
  "void *bpf_object__open_file(const char *path, fl_bpf_object_open_opts *opts)",
);
export const bpf_object__load: (object: Pointer) => number = lib.func("int bpf_object__load(void *obj)");
export const bpf_object__close: (object: Pointer) => void = lib.func("void bpf_object__close(void *obj)");
export const bpf_object__btf: (object: Pointer) => Pointer | null = lib.func("void *bpf_object__btf(void *obj)");
export const bpf_object__next_map: (object: Pointer, previous: Pointer | null) => Pointer | null = lib.func(
  "void *bpf_object__next_map(void *obj, void *prev)",
);
export const bpf_object__next_program: (object: Pointer, previous: Pointer | null) => Pointer | null = lib.func(
  "void *bpf_object__next_program(void *obj, void *prev)",
);
export const bpf_program__name: (program: Pointer) => string = lib.func("const char *bpf_program__name(void *prog)");
export const bpf_program__fd: (program: Pointer) => number = lib.func("int bpf_program__fd(void *prog)");
export const bpf_program__type: (program: Pointer) => number = lib.func("int bpf_program__type(void *prog)");
export const bpf_program__set_autoload: (program: Pointer, autoload: boolean) => number = lib.func(
  "int bpf_program__set_autoload(void *prog, bool autoload)",
);

export const bpf_map__name: (map: Pointer) => string = lib.func("const char *bpf_map__name(void *map)");
export const bpf_map__fd: (map: Pointer) => number = lib.func("int bpf_map__fd(void *map)");
export const bpf_map__type: (map: Pointer) => number = lib.func("int bpf_map__type(void *map)");
export const bpf_map__key_size: (map: Pointer) => number = lib.func("uint32_t bpf_map__key_size(void *map)");
export const bpf_map__value_size: (map: Pointer) => number = lib.func("uint32_t bpf_map__value_size(void *map)");
export const bpf_map__max_entries: (map: Pointer) => number = lib.func("uint32_t bpf_map__max_entries(void *map)");
export const bpf_map__map_flags: (map: Pointer) => number = lib.func("uint32_t bpf_map__map_flags(void *map)");
export const bpf_map__btf_key_type_id: (map: Pointer) => number = lib.func(
  "uint32_t bpf_map__btf_key_type_id(void *map)",
);
export const bpf_map__btf_value_type_id: (map: Pointer) => number = lib.func(
  "uint32_t bpf_map__btf_value_type_id(void *map)",
);
export const bpf_map__is_internal: (map: Pointer) => boolean = lib.func("bool bpf_map__is_internal(void *map)");
export const bpf_map__pin_path: (map: Pointer) => string | null = lib.func("const char *bpf_map__pin_path(void *map)");
export const bpf_map__set_pin_path: (map: Pointer, path: string | null) => number = lib.func(
  "int bpf_map__set_pin_path(void *map, const char *path)",
);
export const bpf_map__set_max_entries: (map: Pointer, count: number) => number = lib.func(
  "int bpf_map__set_max_entries(void *map, uint32_t max_entries)",
);
export const bpf_map__reuse_fd: (map: Pointer, fd: number) => number = lib.func(
  "int bpf_map__reuse_fd(void *map, int fd)",
);
export const bpf_map__initial_value: (map: Pointer, size: BigUint64Array) => Pointer | null = lib.func(
  "void *bpf_map__initial_value(void *map, size_t *psize)",
);

// ---- BTF -----------------------------------------------------------------------------------------------------

export const btf__raw_data: (btf: Pointer, size: Uint32Array) => Pointer | null = lib.func(
  "void *btf__raw_data(void *btf, uint32_t *size)",
);
export const btf__parse_elf: (path: string, extension: null) => Pointer | null = lib.func(
  "void *btf__parse_elf(const char *path, void *btf_ext)",
);
export const btf__load_from_kernel_by_id: (id: number) => Pointer | null = lib.func(
  "void *btf__load_from_kernel_by_id(uint32_t id)",
);
export const btf__free: (btf: Pointer) => void = lib.func("void btf__free(void *btf)");

// ---- Maps, pins, links, test runs ----------------------------------------------------------------------------

type Batch = (fd: number, keys: Uint8Array, values: Uint8Array, count: Uint32Array, options: null) => number;

export const libbpf_num_possible_cpus: () => number = lib.func("int libbpf_num_possible_cpus()");
export const bpf_map_lookup_elem: (fd: number, key: Uint8Array, value: Uint8Array) => number = lib.func(
  "int bpf_map_lookup_elem(int fd, const void *key, void *value)",
);
export const bpf_map_update_elem: (fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number = lib.func(
  "int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)",
);
export const bpf_map_delete_elem: (fd: number, key: Uint8Array) => number = lib.func(
  "int bpf_map_delete_elem(int fd, const void *key)",
);
export const bpf_map_get_next_key: (fd: number, key: Uint8Array | null, next: Uint8Array) => number = lib.func(
  "int bpf_map_get_next_key(int fd, const void *key, void *next_key)",
);
export const bpf_map_update_batch: Batch = lib.func(
  "int bpf_map_update_batch(int fd, const void *keys, const void *values, uint32_t *count, const void *opts)",
);
export const bpf_map_delete_batch: (fd: number, keys: Uint8Array, count: Uint32Array, options: null) => number =
  lib.func("int bpf_map_delete_batch(int fd, const void *keys, uint32_t *count, const void *opts)");
export const bpf_map_lookup_batch: (
  fd: number,
  from: Uint8Array | null,
  next: Uint8Array,
  ...rest: DropFirst<Parameters<Batch>>
) => number = lib.func(
  "int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, uint32_t *count, const void *opts)",
);

type DropFirst<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

export const bpf_obj_get: (path: string) => number = lib.func("int bpf_obj_get(const char *pathname)");
export const bpf_obj_pin: (fd: number, path: string) => number = lib.func(
  "int bpf_obj_pin(int fd, const char *pathname)",
);
export const bpf_obj_get_info_by_fd: (fd: number, info: Uint8Array, length: Uint32Array) => number = lib.func(
  "int bpf_obj_get_info_by_fd(int bpf_fd, void *info, uint32_t *info_len)",
);

/** struct bpf_link_create_opts as far as the flags; the rest is zero. */
const linkCreateOptions = koffi.struct("fl_bpf_link_create_opts", {
  sz: "size_t",
  flags: "uint32_t",
  iter_info: "void *",
  iter_info_len: "uint32_t",
  target_btf_id: "uint32_t",
});
export const LINK_CREATE_OPTIONS_SIZE = koffi.sizeof(linkCreateOptions);

export const bpf_link_create: (
  program: number,
  target: number,
  attachType: number,
  options: { sz: number; flags: number } | null,
) => number = lib.func(
  "int bpf_link_create(int prog_fd, int target_fd, int attach_type, fl_bpf_link_create_opts *opts)",
);
export const bpf_link_update: (link: number, program: number, options: null) => number = lib.func(
  "int bpf_link_update(int link_fd, int new_prog_fd, const void *opts)",
);
export const bpf_link_detach: (link: number) => number = lib.func("int bpf_link_detach(int link_fd)");

const xdpQueryOptions = koffi.struct("fl_bpf_xdp_query_opts", {
  sz: "size_t",
  prog_id: "uint32_t",
  drv_prog_id: "uint32_t",
  hw_prog_id: "uint32_t",
  skb_prog_id: "uint32_t",
  attach_mode: "uint8_t",
});
export const XDP_QUERY_OPTIONS_SIZE = koffi.sizeof(xdpQueryOptions);

export interface XdpQuery {
  sz: number;
  prog_id: number;
  drv_prog_id: number;
  hw_prog_id: number;
  skb_prog_id: number;
  attach_mode: number;
}

export const bpf_xdp_query: (ifindex: number, flags: number, query: XdpQuery) => number = lib.func(
  "int bpf_xdp_query(int ifindex, int flags, _Inout_ fl_bpf_xdp_query_opts *opts)",
);

const testRunOptions = koffi.struct("fl_bpf_test_run_opts", {
  sz: "size_t",
  data_in: "void *",
  data_out: "void *",
  data_size_in: "uint32_t",
  data_size_out: "uint32_t",
  ctx_in: "void *",
  ctx_out: "void *",
  ctx_size_in: "uint32_t",
  ctx_size_out: "uint32_t",
  retval: "uint32_t",
  repeat: "int",
  duration: "uint32_t",
  flags: "uint32_t",
  cpu: "uint32_t",
  batch_size: "uint32_t",
});
export const TEST_RUN_OPTIONS_SIZE = koffi.sizeof(testRunOptions);

export interface TestRunOptions {
  sz: number;
  data_in: Uint8Array;
  data_out: Uint8Array | null;
  data_size_in: number;
  data_size_out: number;
  ctx_in: Uint8Array;
  ctx_out: Uint8Array | null;
  ctx_size_in: number;
  ctx_size_out: number;
  retval: number;
  repeat: number;
  duration: number;
  flags: number;
  cpu: number;
  batch_size: number;
}

export const bpf_prog_test_run_opts: (program: number, options: TestRunOptions) => number = lib.func(
  "int bpf_prog_test_run_opts(int prog_fd, _Inout_ fl_bpf_test_run_opts *opts)",
);

// ---- Probes and messages -------------------------------------------------------------------------------------

/** 1: there, 0: not there, negative: cannot tell. */
export const libbpf_probe_bpf_helper: (programType: number, helper: number, options: null) => number = lib.func(
  "int libbpf_probe_bpf_helper(int prog_type, int helper_id, const void *opts)",
);
export const libbpf_probe_bpf_map_type: (mapType: number, options: null) => number = lib.func(
  "int libbpf_probe_bpf_map_type(int map_type, const void *opts)",
);
export const libbpf_probe_bpf_prog_type: (programType: number, options: null) => number = lib.func(
  "int libbpf_probe_bpf_prog_type(int prog_type, const void *opts)",
);

/** The last argument is a va_list, which every 64-bit ABI we run on passes as a pointer. */
export const printCallback = koffi.proto("int fl_libbpf_print_fn(int level, void *format, void *args)");
export const libbpf_set_print: (callback: bigint | null) => Pointer | null = lib.func(
  "void *libbpf_set_print(fl_libbpf_print_fn *fn)",
);
