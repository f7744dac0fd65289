/** Where a server listens, as operators write it: `127.0.0.1:7957`, `[::1]:7957`, `:7957`. */
export interface ListenAddress {
  /** An address or a name; `::` for every address of the machine. */
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

const LISTEN = /^(?:\[(?<bracketed>[0-9a-fA-F:.]+)\]|(?<plain>[^:[\]]*)):(?<port>\d{1,5})$/;

/** An IPv6 address needs brackets, a port is at most 65535; anything else is refused: `undefined`. */
export function parseListen(text: string): ListenAddress | undefined {
  const groups = LISTEN.exec(text)?.groups;
  const port = Number(groups?.["port"]);
  if (groups === undefined || port > 65535) return undefined;
  const host = groups["bracketed"] ?? groups["plain"] ?? "";
  return { host: host === "" ? "::" : host, port };
}
