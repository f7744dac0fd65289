/**
 * Programs on devices, held by links that are pinned in bpffs: they outlive the agent, and its successor swaps the program in the link
 * it finds, so that no packet goes without one. A link dies with its device; its pin stays behind, is recognized and replaced.
 *
 * libbpf 1.1 knows no tcx: bpf_link_create() passes attach types it does not know straight to the kernel, which is all it takes.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { checked, SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import { close } from "./libc.ts";
import type { BpfProgram } from "./object.ts";

export type Direction = "ingress" | "egress";
export type XdpMode = "native" | "generic";

export interface Device {
  readonly name: string;
  readonly ifindex: number;
}

export interface Attached {
  /** `updated`: the pinned link was there and now runs this program. `replaced`: a dead link was in its place. */
  readonly result: "created" | "updated" | "replaced";
}

export interface XdpAttached extends Attached {
  readonly mode: XdpMode;
  /** Why the driver did not take the program, when `mode` is generic and the attempt was made now. */
  readonly refusal?: SystemError;
}

export interface PinnedLink {
  readonly pin: string;
  readonly kind: "xdp" | Direction | "other";
  /** `undefined`: the device is gone and the link with it. */
  readonly ifindex: number | undefined;
  readonly programId: number;
}

const ATTACH_TYPE = { xdp: 37, ingress: 46, egress: 47 } as const;
const XDP_FLAGS = { generic: 1 << 1, native: 1 << 2 } as const satisfies Record<XdpMode, number>;
const XDP_ATTACHED_GENERIC = 2;
const LINK_TYPE = { xdp: 6, tcx: 11 } as const;

/** Another program is there, the device is gone, or we may not: trying again in generic mode would not help or would hide it. */
const FINAL_CODES: ReadonlySet<string> = new Set(["EBUSY", "EEXIST", "ENODEV", "EPERM", "EACCES", "ENOMEM", "EINTR"]);

/** In the driver where it can, else in generic mode: slower, and only from where the kernel has built an skb. */
export function attachXdp(device: Device, program: BpfProgram, pin: string): XdpAttached {
  const found = updatePinned(device, program, pin, "xdp");
  if (found === "updated") return { result: "updated", mode: xdpMode(device) };
  const result = found === "dead" ? "replaced" : "created";
  try {
    createXdp(device, program, pin, "native");
    return { result, mode: "native" };
  } catch (error) {
    if (!(error instanceof SystemError) || FINAL_CODES.has(error.code)) throw error;
    createXdp(device, program, pin, "generic");
    return { result, mode: "generic", refusal: error };
  }
}

/** tcx: before anything that `tc filter` put there. */
export function attachTcx(device: Device, direction: Direction, program: BpfProgram, pin: string): Attached {
  const found = updatePinned(device, program, pin, direction);
  if (found === "updated") return { result: "updated" };
  createPinned(
    device,
    program,
    pin,
    direction,
    0,
    `attach tc ${direction} program "${program.name}" to "${device.name}"`,
  );
  return { result: found === "dead" ? "replaced" : "created" };
}

/** Every link pinned directly in `directory`; none when it does not exist. */
export function listPinnedLinks(directory: string): PinnedLink[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).map((name) => {
    const pin = join(directory, name);
    const fd = openPin(pin);
    try {
      return readLink(fd, pin);
    } finally {
      close(fd);
    }
  });
}

/** Takes the program off its device and removes the pin; that both are gone already is success. */
export function detachPinned(pin: string): void {
  if (!existsSync(pin)) return;
  const fd = openPin(pin);
  try {
    const result = libbpf.bpf_link_detach(fd);
    // ENOLINK: its device is gone.
    if (result < 0 && readLink(fd, pin).ifindex !== undefined) {
      throw new SystemError({
        call: "bpf_link_detach",
        errno: result,
        subject: pin,
        attempt: `detach the link pinned at ${pin}`,
      });
    }
  } finally {
    close(fd);
  }
  rmSync(pin);
}

/** `dead`: there was a pin, but its device is gone or another one; it was removed. */
function updatePinned(
  device: Device,
  program: BpfProgram,
  pin: string,
  kind: PinnedLink["kind"],
): "updated" | "dead" | "absent" {
  if (!existsSync(pin)) return "absent";
  const fd = openPin(pin);
  try {
    const link = readLink(fd, pin);
    if (link.ifindex === device.ifindex && link.kind === kind) {
      const attempt = `put program "${program.name}" into the link on "${device.name}"`;
      checked(libbpf.bpf_link_update(fd, program.fd, null), { call: "bpf_link_update", subject: device.name, attempt });
      return "updated";
    }
  } finally {
    close(fd);
  }
  detachPinned(pin);
  return "dead";
}

function createXdp(device: Device, program: BpfProgram, pin: string, mode: XdpMode): void {
  createPinned(device, program, pin, "xdp", XDP_FLAGS[mode], `attach XDP program to "${device.name}" (${mode} mode)`);
}

function createPinned(
  device: Device,
  program: BpfProgram,
  pin: string,
  kind: keyof typeof ATTACH_TYPE,
  flags: number,
  attempt: string,
): void {
  mkdirSync(dirname(pin), { recursive: true });
  const options = flags === 0 ? null : { sz: libbpf.LINK_CREATE_OPTIONS_SIZE, flags };
  const created = libbpf.bpf_link_create(program.fd, device.ifindex, ATTACH_TYPE[kind], options);
  const fd = checked(created, { call: "bpf_link_create", subject: device.name, attempt });
  try {
    checked(libbpf.bpf_obj_pin(fd, pin), { call: "bpf_obj_pin", subject: pin, attempt: `pin a link at ${pin}` });
  } finally {
    close(fd);
  }
}

function openPin(pin: string): number {
  return checked(libbpf.bpf_obj_get(pin), {
    call: "bpf_obj_get",
    subject: pin,
    attempt: `open the pinned link ${pin}`,
  });
}

/** struct bpf_link_info: type, id, prog_id, then a union aligned to eight bytes that starts with the ifindex for XDP and tcx. */
function readLink(fd: number, pin: string): PinnedLink {
  const info = new Uint8Array(64);
  const attempt = `read what is pinned at ${pin}`;
  const result = libbpf.bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(info.length));
  checked(result, { call: "bpf_obj_get_info_by_fd", subject: pin, attempt });
  const view = new DataView(info.buffer);
  const type = view.getUint32(0, true);
  const ifindex = view.getUint32(16, true);
  return {
    pin,
    kind: linkKind(type, view.getUint32(20, true)),
    ifindex: ifindex === 0 ? undefined : ifindex,
    programId: view.getUint32(8, true),
  };
}

function linkKind(type: number, attachType: number): PinnedLink["kind"] {
  if (type === LINK_TYPE.xdp) return "xdp";
  if (type !== LINK_TYPE.tcx) return "other";
  return attachType === ATTACH_TYPE.ingress ? "ingress" : "egress";
}

function xdpMode(device: Device): XdpMode {
  const query = {
    sz: libbpf.XDP_QUERY_OPTIONS_SIZE,
    prog_id: 0,
    drv_prog_id: 0,
    hw_prog_id: 0,
    skb_prog_id: 0,
    attach_mode: 0,
  };
  const attempt = `ask how XDP runs on "${device.name}"`;
  checked(libbpf.bpf_xdp_query(device.ifindex, 0, query), { call: "bpf_xdp_query", subject: device.name, attempt });
  return query.attach_mode === XDP_ATTACHED_GENERIC ? "generic" : "native";
}
