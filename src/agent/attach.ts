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
  /** Attaches what is missing, detaches what is too much. What the kernel refuses is a problem of that device. */
  apply(wanted: Wanted): AttachReport;
}

type Hook = "xdp" | "ingress" | "egress" | "pod";
/** tc before XDP: what XDP leaves to tc must find it. */
const DEVICE_HOOKS = ["egress", "ingress", "xdp"] as const;

export function createAttacher({ programs, links }: Pick<Datapath, "programs" | "links">, log: Log): Attacher {
  return new PinnedPrograms(programs, links, log);
}

class PinnedPrograms implements Attacher {
  readonly #programs: Datapath["programs"];
  readonly #links: string;
  readonly #log: Log;
  /** Pin → how. Only what this agent attached itself: the rest runs an earlier agent's programs and is updated. */
  readonly #attached = new Map<string, XdpMode | "tc">();

  constructor(programs: Datapath["programs"], links: string, log: Log) {
    this.#programs = programs;
    this.#links = links;
    this.#log = log;
  }

  apply(wanted: Wanted): AttachReport {
    const problems: Problem[] = [];
    const nameOf = (ifindex: number): string =>
      wanted.links.find((link) => link.ifindex === ifindex)?.name ?? `if${ifindex}`;
    const pins = [
      ...wanted.devices.flatMap(({ ifindex }) => DEVICE_HOOKS.map((hook) => this.#pin(hook, ifindex))),
      ...wanted.endpoints.map(({ ifindex }) => this.#pin("pod", ifindex)),
    ];
    // First what should no longer be there: a device may have come back under another number.
    this.#detachOthers(new Set(pins), problems);
    for (const device of wanted.devices) {
      const results = DEVICE_HOOKS.map((hook) => this.#attach(hook, device, problems));
      if (results.includes("attached")) this.#log("deviceAttached", { ...this.#status(device, wanted) });
    }
    for (const { ifindex } of wanted.endpoints) {
      const device = { name: nameOf(ifindex), ifindex };
      if (this.#attach("pod", device, problems) === "attached") this.#log("endpointAttached", { device: device.name });
    }
    return { devices: wanted.devices.map((device) => this.#status(device, wanted)), problems };
  }

  #pin(hook: Hook, ifindex: number): string {
    return join(this.#links, `${hook}-${ifindex}`);
  }

  #attach(hook: Hook, device: Device, problems: Problem[]): "attached" | "already" | "refused" {
    const pin = this.#pin(hook, device.ifindex);
    if (this.#attached.has(pin)) return "already";
    try {
      this.#attached.set(pin, hook === "xdp" ? this.#attachXdp(device, pin) : this.#attachTc(hook, device, pin));
      return "attached";
    } catch (error) {
      problems.push({ subject: `Device ${device.name}`, message: (error as Error).message });
      return "refused";
    }
  }

  #attachXdp(device: Device, pin: string): XdpMode {
    const { mode, refusal } = attachXdp(device, this.#programs.xdp, pin);
    if (mode === "generic") this.#log("xdpGeneric", { device: device.name, reason: refusal?.message });
    return mode;
  }

  #attachTc(hook: Exclude<Hook, "xdp">, device: Device, pin: string): "tc" {
    attachTcx(device, hook === "egress" ? "egress" : "ingress", this.#programs[hook], pin);
    return "tc";
  }

  #detachOthers(wanted: ReadonlySet<string>, problems: Problem[]): void {
    for (const { pin, ifindex } of listPinnedLinks(this.#links)) {
      if (wanted.has(pin) && ifindex !== undefined) continue;
      try {
        detachPinned(pin);
        this.#attached.delete(pin);
        this.#log(pin.includes("/pod-") ? "endpointDetached" : "deviceDetached", { pin, ifindex });
      } catch (error) {
        problems.push({ subject: pin, message: (error as Error).message });
      }
    }
  }

  #status(device: NodeDevice, wanted: Wanted): DeviceStatus {
    const { name, ifindex, mac } = device;
    const mode = this.#attached.get(this.#pin("xdp", ifindex));
    return {
      name,
      ifindex,
      mac: formatMac(mac),
      xdp: mode === undefined || mode === "tc" ? "none" : mode,
      tc: this.#attached.has(this.#pin("ingress", ifindex)) && this.#attached.has(this.#pin("egress", ifindex)),
      addresses: wanted.links.find((link) => link.ifindex === ifindex)?.addresses ?? [],
    };
  }
}
