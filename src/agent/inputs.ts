/** What the agent watches on its own machine: network interfaces, and the files of pods whose veth is ours. */
import { watchLinks } from "../kernel/link-watch.ts";
import { listLinks } from "../kernel/links.ts";
import type { Problem } from "../net/problem.ts";
import type { Log } from "../observe/log.ts";
import type { NodeLink } from "./devices.ts";
import { readEndpoints, watchEndpoints, type EndpointFolder } from "./endpoints.ts";

export interface Inputs {
  links(): readonly NodeLink[];
  endpoints(): EndpointFolder["endpoints"];
  problems(): readonly Problem[];
  stop(): void;
}

/** Everything is read once when the promise resolves. Rejects when the interfaces cannot be listed. */
export async function openInputs(endpointsFolder: string | undefined, log: Log, onChange: () => void): Promise<Inputs> {
  let links: readonly NodeLink[] = await listLinks();
  let folder: EndpointFolder = { endpoints: [], problems: [] };
  const readFolder = (): void => {
    if (endpointsFolder !== undefined) folder = readEndpoints(endpointsFolder);
  };
  readFolder();
  const refreshLinks = async (): Promise<void> => {
    links = await listLinks();
    onChange();
  };
  const stops = [
    watchLinks(() => {
      refreshLinks().catch((error: unknown) =>
        log("problem", { message: "Cannot list the network interfaces", cause: String(error) }),
      );
    }),
  ];
  if (endpointsFolder !== undefined) {
    const onFiles = (): void => {
      readFolder();
      onChange();
    };
    stops.push(watchEndpoints(endpointsFolder, onFiles));
  }
  return {
    links: () => links,
    endpoints: () => folder.endpoints,
    problems: () => folder.problems,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}
