const forgetters = new Set<() => void>();

/**
 * Makes a service when it is first asked for, once an execution environment. A failed start is not remembered.
 *
 * @param close ends what the service holds open, when {@link renewServices} has replaced it
 */
export const lazy = <Service>(
  make: () => Service,
  close?: (service: Service) => Promise<void> | void,
): (() => Service) => {
  let made: { service: Service } | undefined;
  return () => {
    if (made === undefined) {
      const current = { service: make() };
      made = current;
      const forget = () => {
        forgetters.delete(forget);
        made = undefined;
        if (close !== undefined) void closeLater(() => close(current.service));
      };
      forgetters.add(forget);
    }
    return made.service;
  };
};

/** Calls that run beside the one that renews still use the old services, and end within this. */
const CLOSE_AFTER_MS = 30_000;

const closeLater = async (close: () => Promise<void> | void): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, CLOSE_AFTER_MS).unref());
  try {
    await close();
  } catch {
    // Its server refused it already.
  }
};

/** Forgets every service, so that the next call makes them again, from the configuration as it is then. */
export const renewServices = (): void => {
  for (const forget of [...forgetters]) forget();
};

/** What a function uses, by name, each made when the function first runs. */
export type Providers<Uses> = { [Name in keyof Uses]: () => Uses[Name] };

export const provide = <Uses extends object>(providers: Providers<Uses>): Uses =>
  Object.fromEntries(
    Object.entries<() => unknown>(providers).map(([name, provider]) => [name, provider()]),
  ) as Uses;
