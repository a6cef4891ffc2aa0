import { setTimeout as delay } from 'node:timers/promises';

const forgetters = new Set<() => void>();

/**
 * Creates a service on first use, once per execution environment. After a failure the next use tries again.
 *
 * @param close closes the connections of the service after {@link renewServices} has replaced it
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

/** Concurrent calls may still use the old services, and end within this time. */
const CLOSE_AFTER_MS = 30_000;

const closeLater = async (close: () => Promise<void> | void): Promise<void> => {
  await delay(CLOSE_AFTER_MS, undefined, { ref: false });
  try {
    await close();
  } catch {
    // The server has already refused this service, so an error here has no effect.
  }
};

/** Drops every service. The next use creates it again from the current configuration. */
export const renewServices = (): void => {
  for (const forget of [...forgetters]) forget();
};

/** The services of a function by name, each created when the function first runs. */
export type Providers<Uses> = { [Name in keyof Uses]: () => Uses[Name] };

export const provide = <Uses extends object>(providers: Providers<Uses>): Uses =>
  Object.fromEntries(
    Object.entries<() => unknown>(providers).map(([name, provider]) => [name, provider()]),
  ) as Uses;
