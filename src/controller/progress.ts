/** How far a replica has come with its start: it is given to a Service, and the next is replaced, only when it is ready. */
export class Progress {
  readonly #servesWebhook: boolean;
  objectsRead = false;
  webhookServes = false;

  constructor({ webhook }: { readonly webhook?: unknown }) {
    this.#servesWebhook = webhook !== undefined;
  }

  /** `undefined`: nothing. Whether this replica acts does not count: one that stands by is as ready. */
  waitingFor(): string | undefined {
    if (!this.objectsRead) return "the objects have not been read yet";
    if (this.#servesWebhook && !this.webhookServes) return "the webhook has no certificates yet";
    return undefined;
  }
}
