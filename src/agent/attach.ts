/**
 * Keeps the programs on the devices that should have them. Pins are named by hook and ifindex (`xdp-2`): a device that
 * disappears leaves a dead link behind, which is found by its pin and removed.
 */
import { join } from "node:path";
import { attachTcx, attachXdp, detachPinned, listPinnedLinks, type Device, type XdpMode } from "../kernel/link.ts";
import type { Problem } from "../net/problem.ts";
import { formatMac } from "../net/mac.ts";
import type { NodeDevice } from "../datapath/records.ts";
import type { Log } from "../observe/log.ts";
import type { DeviceStatus } from "../observe/status.ts";
import type { Datapath } from "./datapath.ts";
import type { NodeLink } from "./devices.ts";

export interface Wanted {
  readonly devices: readonly NodeDevice[];
  /** Host ends of pods' veths. */
  readonly endpoints: readonly { readonly ifindex: number }[];
  readonly links: readonly NodeLink[];
}

export interface AttachReport {
  readonly devices: readonly DeviceStatus[];
  readonly problems: readonly Problem[];
}

export interface Attacher {
  apply(wanted: Wanted): AttachReport;
}

type Hook = "xdp" | "ingress" | "egress" | "pod";

export function createAttacher({ programs, links }: Pick<Datapath, "programs" | "links">, log: Log): Attacher {
  /** Pin → XDP mode, or true for tc. Only what this agent attached itself: the rest runs an earlier agent's programs. */
  const attached = new Map<string, XdpMode | true>();
  const pinOf = (hook: Hook, ifindex: number): string => join(links, `${hook}-${ifindex}`);

  const attach = (hook: Hook, device: Device): void => {
    const pin = pinOf(hook, device.ifindex);
    if (attached.has(pin)) return;
    if (hook === "xdp") {
      const { mode, refusal } = attachXdp(device, programs.xdp, pin);
      if (mode === "generic") log("xdpGeneric", { device: device.name, reason: refusal?.message });
      attached.set(pin, mode);
    } else {
      attachTcx(device, hook === "egress" ? "egress" : "ingress", programs[hook], pin);
      attached.set(pin, true);
    }
  };

  const attempt = (hook: Hook, device: Device, problems: Problem[]): void => {
    try {
      attach(hook, device);
    } catch (error) {
      problems.push({ subject: `Device ${device.name}`, message: (error as Error).message });
    }
  };

  const detachOthers = (wanted: ReadonlySet<string>, problems: Problem[]): void => {
    for (const { pin, ifindex } of listPinnedLinks(links)) {
      if (wanted.has(pin) && ifindex !== undefined) continue;
      try {
        detachPinned(pin);
        attached.delete(pin);
        log(pin.includes("/pod-") ? "endpointDetached" : "deviceDetached", { pin, ifindex });
      } catch (error) {
        problems.push({ subject: pin, message: (error as Error).message });
      }
    }
  };

  const status = (device: NodeDevice, wanted: Wanted): DeviceStatus => {
    const { name, ifindex, mac } = device;
    const mode = attached.get(pinOf("xdp", ifindex));
    return {
      name,
      ifindex,
      mac: formatMac(mac),
      xdp: mode === undefined || mode === true ? "none" : mode,
      tc: attached.has(pinOf("ingress", ifindex)) && attached.has(pinOf("egress", ifindex)),
      addresses: wanted.links.find((link) => link.ifindex === ifindex)?.addresses ?? [],
    };
  };

  return {
    apply: (wanted) => {
      const problems: Problem[] = [];
      const pins = new Set([
        ...wanted.devices.flatMap(({ ifindex }) =>
          (["xdp", "ingress", "egress"] as const).map((hook) => pinOf(hook, ifindex)),
        ),
        ...wanted.endpoints.map(({ ifindex }) => pinOf("pod", ifindex)),
      ]);
      // First what should no longer be there: a device may have come back under another number.
      detachOthers(pins, problems);
      for (const device of wanted.devices) {
        const known = attached.has(pinOf("ingress", device.ifindex));
        // tc before XDP: what XDP leaves to tc must find it.
        for (const hook of ["egress", "ingress", "xdp"] as const) attempt(hook, device, problems);
        if (!known && attached.has(pinOf("ingress", device.ifindex)))
          log("deviceAttached", { ...status(device, wanted) });
      }
      for (const { ifindex } of wanted.endpoints) {
        const name = wanted.links.find((link) => link.ifindex === ifindex)?.name ?? `if${ifindex}`;
        const known = attached.has(pinOf("pod", ifindex));
        attempt("pod", { name, ifindex }, problems);
        if (!known && attached.has(pinOf("pod", ifindex))) log("endpointAttached", { device: name });
      }
      return { devices: wanted.devices.map((device) => status(device, wanted)), problems };
    },
  };
}
